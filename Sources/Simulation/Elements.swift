internal import Reduction

/// Values by type, as bytes: what the oracle computes with, plainly and slowly.
enum Elements {
    /// The bytes of a small whole number, or of the nearest value that the type has.
    static func bytes(_ value: Double, _ type: ElementType) -> UInt64 {
        switch type {
        case .float32: UInt64(Float(value).bitPattern)
        case .float64: value.bitPattern
        case .float16: UInt64(Float16(Float(value)).bitPattern)
        case .bfloat16: UInt64(BFloat16(Float(value)).bitPattern)
        default: UInt64(bitPattern: Int64(value)) & mask(type)
        }
    }

    static func double(_ bits: UInt64, _ type: ElementType) -> Double {
        switch type {
        case .float32: Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        case .float64: Double(bitPattern: bits)
        case .float16: Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits)))
        case .bfloat16: Double(BFloat16(bitPattern: UInt16(truncatingIfNeeded: bits)).float)
        default: Double(integer(bits, type))
        }
    }

    /// An integer's value; one of 64 bits without a sign keeps its pattern.
    static func integer(_ bits: UInt64, _ type: ElementType) -> Int64 {
        switch type {
        case .int8: Int64(Int8(truncatingIfNeeded: bits))
        case .int16: Int64(Int16(truncatingIfNeeded: bits))
        case .int32: Int64(Int32(truncatingIfNeeded: bits))
        default: Int64(bitPattern: bits & mask(type))
        }
    }

    private static func mask(_ type: ElementType) -> UInt64 { type.byteCount == 8 ? .max : 1 << UInt64(8 * type.byteCount) - 1 }

    static func isSigned(_ type: ElementType) -> Bool {
        switch type {
        case .uint8, .uint16, .uint32, .uint64: false
        default: true
        }
    }

    /// The relative error of one rounding.
    static func precision(_ type: ElementType) -> Double {
        switch type {
        case .float32: 0x1p-24
        case .float64: 0x1p-53
        case .float16: 0x1p-11
        case .bfloat16: 0x1p-8
        default: 0
        }
    }

    /// A power of two of which the type holds 10, and not 40.
    static func large(_ type: ElementType) -> Double {
        switch type {
        case .float16: 0x1p12
        case .float64: 0x1p1020
        default: 0x1p124
        }
    }

    static func append(_ bits: UInt64, _ type: ElementType, to bytes: inout [UInt8]) {
        for index in 0..<type.byteCount { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * index))) }
    }

    static func bits(_ bytes: [UInt8], at element: Int, _ type: ElementType) -> UInt64 {
        var bits: UInt64 = 0
        for index in (0..<type.byteCount).reversed() { bits = bits << 8 | UInt64(bytes[element * type.byteCount + index]) }
        return bits
    }
}
