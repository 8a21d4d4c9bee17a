/// What a buffer is made of. Raw values are part of the wire's operation signature: append, never renumber.
public enum ElementType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case float32 = 0
    case float64 = 1
    case float16 = 2
    case bfloat16 = 3
    case int8 = 4
    case int16 = 5
    case int32 = 6
    case int64 = 7
    case uint8 = 8
    case uint16 = 9
    case uint32 = 10
    case uint64 = 11

    public var byteCount: Int {
        switch self {
        case .int8, .uint8: 1
        case .float16, .bfloat16, .int16, .uint16: 2
        case .float32, .int32, .uint32: 4
        case .float64, .int64, .uint64: 8
        }
    }

    public var isInteger: Bool {
        switch self {
        case .float32, .float64, .float16, .bfloat16: false
        case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: true
        }
    }

    /// As nccl-tests prints it.
    public var description: String {
        switch self {
        case .float32: "float"
        case .float64: "double"
        case .float16: "half"
        case .bfloat16: "bfloat16"
        case .int8: "int8"
        case .int16: "int16"
        case .int32: "int32"
        case .int64: "int64"
        case .uint8: "uint8"
        case .uint16: "uint16"
        case .uint32: "uint32"
        case .uint64: "uint64"
        }
    }
}

/// How elements of the ranks become one; `Kernels` says what each does to the bits. Raw values are part of the wire's operation
/// signature: append, never renumber.
public enum ReductionOperation: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case sum = 0
    /// The sum over the number of ranks. Of numbers that are not integers it fits where they do (`Averaging`); integers' sums wrap first.
    case average = 1
    case product = 2
    case minimum = 3
    case maximum = 4

    /// As nccl-tests prints it.
    public var description: String {
        switch self {
        case .sum: "sum"
        case .average: "avg"
        case .product: "prod"
        case .minimum: "min"
        case .maximum: "max"
        }
    }
}
