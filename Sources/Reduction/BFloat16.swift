/// The upper half of a `Float`: its range at 8 bits of precision, as trainers exchange gradients. Compute in `Float`.
public struct BFloat16: BitwiseCopyable, Sendable, CustomStringConvertible {
    /// Sign, 8 bits of exponent, 7 of fraction.
    public var bitPattern: UInt16

    public init(bitPattern: UInt16) { self.bitPattern = bitPattern }

    /// Rounds to nearest, ties to even; beyond the largest finite value to infinity. A NaN keeps its sign and the upper bits of its
    /// payload, and becomes quiet.
    public init(_ value: Float) {
        let bits = value.bitPattern
        if value.isNaN {
            bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
        } else {
            bitPattern = UInt16(truncatingIfNeeded: (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
        }
    }

    /// The same value, exactly.
    public var float: Float { Float(bitPattern: UInt32(bitPattern) << 16) }

    public var description: String { float.description }
}

extension BFloat16: Comparable {
    /// As numbers: both zeros are equal, a NaN equals nothing.
    public static func == (left: BFloat16, right: BFloat16) -> Bool { left.float == right.float }
    public static func < (left: BFloat16, right: BFloat16) -> Bool { left.float < right.float }
}

extension Float {
    /// The same value, exactly.
    public init(_ value: BFloat16) { self = value.float }
}
