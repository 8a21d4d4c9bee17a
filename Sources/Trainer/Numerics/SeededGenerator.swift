/// The trainer's only source of randomness: xoshiro256** whose state is filled by SplitMix64.
///
/// The same seed gives the same numbers on every machine and with every Swift release, which the standard library's own
/// `shuffle` and `random(in:)` do not promise. Each purpose has streams of its own, so that drawing more numbers for one
/// (a larger data set, say) changes nothing in another. Not for secrets.
/// Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021.
struct SeededGenerator {
    enum Purpose: UInt64 {
        case parameters = 1
        case shuffle = 2
        case digits = 3
        case text = 4
        case continuation = 5
    }

    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// - Parameter index: tells the streams of one purpose apart, such as the number of the epoch.
    init(seed: UInt64, purpose: Purpose, index: UInt64 = 0) {
        var mixer = SplitMix64(state: seed)
        mixer = SplitMix64(state: mixer.next() ^ purpose.rawValue)
        mixer = SplitMix64(state: mixer.next() ^ index)
        state = (mixer.next(), mixer.next(), mixer.next(), mixer.next())
    }

    mutating func next() -> UInt64 {
        let result = Self.rotated(state.1 &* 5, by: 7) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = Self.rotated(state.3, by: 45)
        return result
    }

    private static func rotated(_ value: UInt64, by count: UInt64) -> UInt64 { (value << count) | (value >> (64 - count)) }

    /// Uniform in `0 ..< bound`, without bias. Draws again for the few values that would favour small results.
    mutating func below(_ bound: Int) -> Int {
        invariant(bound > 0, "no number is below \(bound) and at least 0")
        let divisor = UInt64(bound)
        let biased = (0 &- divisor) % divisor
        while true {
            let (high, low) = next().multipliedFullWidth(by: divisor)
            if low >= biased { return Int(high) }
        }
    }

    /// Uniform in `0 ..< 1`, a multiple of 2^-24: exact in `Float`.
    mutating func unit() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// Uniform in `low ... high`.
    mutating func uniform(_ low: Float, _ high: Float) -> Float { low + (high - low) * unit() }
}

/// Fills the state of a larger generator from one word. Source: Steele, Lea and Flood, 2014.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
