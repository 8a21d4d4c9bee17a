import Verbena

/// An element that the check can make of whole numbers.
protocol Measurable: Element, Equatable {
    static var isSigned: Bool { get }
    /// Whole numbers up to this, and sums that stay below it, are exact.
    static var exactLimit: Int { get }
    /// What no right answer is made of; or, where every value is a number, what few are.
    static var poison: Self { get }
    /// Exact up to the limit; beyond it whole-number types wrap.
    init(whole: Int)
    /// So many times a power of two of which the type holds 31 and no more; whole-number types hold what they hold.
    init(large: Int)
}

extension Measurable where Self: FixedWidthInteger {
    static var exactLimit: Int { Self.bitWidth > 31 ? 1 << 30 : Int(truncatingIfNeeded: Self.max) }
    static var poison: Self { Self(truncatingIfNeeded: -99) }
    init(whole: Int) { self.init(truncatingIfNeeded: whole) }
    init(large: Int) { self.init(whole: large) }
}

extension Measurable where Self: BinaryFloatingPoint {
    static var isSigned: Bool { true }
    static var exactLimit: Int { 1 << min(30, Self.significandBitCount + 1) }
    static var poison: Self { .nan }
    init(whole: Int) { self.init(whole) }
    init(large: Int) { self = Self(large) * Self(sign: .plus, exponent: Self.greatestFiniteMagnitude.exponent - 4, significand: 1) }
}

extension Float: Measurable {}
extension Double: Measurable {}
extension Float16: Measurable {}
extension Int8: Measurable {}
extension Int16: Measurable {}
extension Int32: Measurable {}
extension Int64: Measurable {}
extension UInt8: Measurable {}
extension UInt16: Measurable {}
extension UInt32: Measurable {}
extension UInt64: Measurable {}

extension BFloat16: Measurable {
    static var isSigned: Bool { true }
    static var exactLimit: Int { 256 }
    static var poison: BFloat16 { BFloat16(.nan) }
    init(whole: Int) { self.init(Float(whole)) }
    init(large: Int) { self.init(Float(large: large)) }
}

extension ElementType {
    /// The Swift type that stands for it.
    var measurable: any Measurable.Type {
        switch self {
        case .float32: Float.self
        case .float64: Double.self
        case .float16: Float16.self
        case .bfloat16: BFloat16.self
        case .int8: Int8.self
        case .int16: Int16.self
        case .int32: Int32.self
        case .int64: Int64.self
        case .uint8: UInt8.self
        case .uint16: UInt16.self
        case .uint32: UInt32.self
        case .uint64: UInt64.self
        }
    }
}
