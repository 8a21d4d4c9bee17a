/// The simulation's only source of chance: SplitMix64, the same numbers for the same seed on every node.
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SeededRandom: Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number in `0 ..< bound`; 0 where `bound` is 0. The bias of the multiplication, under 2^-32 for small bounds, does not matter here.
    public mutating func below(_ bound: Int) -> Int {
        bound <= 1 ? 0 : Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number in `range`.
    public mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// True so many times in a thousand.
    public mutating func chance(perMille: Int) -> Bool { below(1000) < perMille }

    /// One of the choices, which are not empty.
    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
