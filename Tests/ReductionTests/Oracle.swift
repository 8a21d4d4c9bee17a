import Reduction

/// What the kernels are held against: each operation in plain Swift, one element at a time.
protocol Reducible: Element {
    /// One element of random bits.
    init(bits: UInt64)
    /// One of a size at which sums and products round and stay finite.
    init(moderate: UInt64)
    static func reduced(_ operation: ReductionOperation, _ values: [Self], averaging: Averaging) -> Self
}

extension Reducible {
    /// An average over so many ranks, of which these are parts.
    static func reduced(_ operation: ReductionOperation, _ values: [Self], divisor: Int) -> Self {
        reduced(operation, values, averaging: Averaging(ranks: divisor, isFinal: true))
    }
}

/// Deterministic random numbers: each value is a function of its place.
func scrambled(_ place: Int) -> UInt64 {
    var bits = UInt64(truncatingIfNeeded: place) &* 0x9e37_79b9_7f4a_7c15
    bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return bits ^ bits >> 31
}

extension Reducible {
    /// Every third element is random bits, so that each call meets infinities, subnormals and NaNs of all kinds.
    static func samples(count: Int, seed: Int) -> [Self] {
        (0..<count).map { $0 % 3 == 0 ? Self(bits: scrambled($0 &+ seed << 32)) : Self(moderate: scrambled($0 &+ seed << 32)) }
    }
}

/// Folds in the type itself: a NaN wins, -0 is below +0, and the NaN that is stored is the canonical one.
/// - Parameters:
///   - room: how many more powers of two than the ranks need a part of an average is divided by.
///   - largest: what a finite sum is at most as an average.
private func folded<F: BinaryFloatingPoint>(
    _ operation: ReductionOperation, _ values: [F], averaging: Averaging, room: Int = 1, largest: F = .greatestFiniteMagnitude
) -> F {
    let isAverage = operation == .average && averaging.ranks > 1
    var power = F(1)
    if isAverage { for _ in 0..<Int.bitWidth - (averaging.ranks - 1).leadingZeroBitCount + room { power *= 2 } }
    let values = values.enumerated().map { index, value in
        isAverage && !(index < 64 && averaging.partials >> index & 1 == 1) ? value / power : value
    }
    let result = values.dropFirst().reduce(values[0]) { left, right in
        switch operation {
        case .sum, .average: return left + right
        case .product: return left * right
        case .minimum, .maximum:
            if left.isNaN || right.isNaN { return .nan }
            let isLeft = left == right ? left.sign == .minus : left < right
            return isLeft == (operation == .minimum) ? left : right
        }
    }
    var finished = isAverage && averaging.isFinal ? result / (F(averaging.ranks) / power) : result
    if isAverage, result.isFinite { finished = min(max(finished, -largest), largest) }
    return finished.isNaN ? .nan : finished
}

extension Float: Reducible {
    init(bits: UInt64) { self.init(bitPattern: UInt32(truncatingIfNeeded: bits)) }
    init(moderate: UInt64) { self = (Float(moderate >> 40) - 0x1p23) * 0x1.8p-22 }

    static func reduced(_ operation: ReductionOperation, _ values: [Float], averaging: Averaging) -> Float {
        folded(operation, values, averaging: averaging)
    }
}

extension Double: Reducible {
    init(bits: UInt64) { self.init(bitPattern: bits) }
    init(moderate: UInt64) { self = (Double(moderate >> 11) - 0x1p52) * 0x1.8p-51 }

    static func reduced(_ operation: ReductionOperation, _ values: [Double], averaging: Averaging) -> Double {
        folded(operation, values, averaging: averaging)
    }
}

extension Float16: Reducible {
    init(bits: UInt64) { self.init(bitPattern: UInt16(truncatingIfNeeded: bits)) }
    init(moderate: UInt64) { self.init(Float(moderate: moderate)) }

    static func reduced(_ operation: ReductionOperation, _ values: [Float16], averaging: Averaging) -> Float16 {
        let result = Float16(folded(operation, values.map(Float.init), averaging: averaging, room: 0, largest: 65504))
        return result.isNaN ? .nan : result
    }
}

extension BFloat16: Reducible {
    init(bits: UInt64) { self.init(bitPattern: UInt16(truncatingIfNeeded: bits)) }
    init(moderate: UInt64) { self.init(Float(moderate: moderate)) }

    static func reduced(_ operation: ReductionOperation, _ values: [BFloat16], averaging: Averaging) -> BFloat16 {
        BFloat16(folded(operation, values.map(Float.init), averaging: averaging, largest: BFloat16(bitPattern: 0x7f7f).float))
    }
}

/// Integers wrap; the average divides what wrapped, in numbers that hold any divisor.
protocol ReducibleInteger: Reducible, FixedWidthInteger {}

extension ReducibleInteger {
    init(bits: UInt64) { self.init(truncatingIfNeeded: bits) }
    init(moderate: UInt64) { self.init(truncatingIfNeeded: moderate >> 59) }

    static func reduced(_ operation: ReductionOperation, _ values: [Self], averaging: Averaging) -> Self {
        let result = values.dropFirst().reduce(values[0]) { left, right in
            switch operation {
            case .sum, .average: left &+ right
            case .product: left &* right
            case .minimum: left < right ? left : right
            case .maximum: left < right ? right : left
            }
        }
        let divides = operation == .average && averaging.ranks > 1 && averaging.isFinal
        return divides ? Self(Int128(result) / Int128(averaging.ranks)) : result
    }
}

extension Int8: ReducibleInteger {}
extension Int16: ReducibleInteger {}
extension Int32: ReducibleInteger {}
extension Int64: ReducibleInteger {}
extension UInt8: ReducibleInteger {}
extension UInt16: ReducibleInteger {}
extension UInt32: ReducibleInteger {}
extension UInt64: ReducibleInteger {}

extension ElementType {
    /// The Swift type of its elements.
    var swiftType: any Reducible.Type {
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
