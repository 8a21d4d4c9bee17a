/// What a buffer is made of. Raw values are part of the wire's operation signature: append, never renumber.
public enum ElementType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case float32 = 0
    case float64 = 1

    public var byteCount: Int {
        switch self {
        case .float32: 4
        case .float64: 8
        }
    }

    /// As perf tools print it.
    public var description: String {
        switch self {
        case .float32: "float"
        case .float64: "double"
        }
    }
}

/// How elements of the ranks become one. Raw values are part of the wire's operation signature.
public enum ReductionOperation: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case sum = 0
    /// The sum, divided once by the number of ranks at the end.
    case average = 1

    public var description: String {
        switch self {
        case .sum: "sum"
        case .average: "avg"
        }
    }
}

/// A Swift type that the engine reduces.
public protocol Element: BitwiseCopyable, Sendable {
    static var elementType: ElementType { get }
}

extension Float: Element {
    public static var elementType: ElementType { .float32 }
}

extension Double: Element {
    public static var elementType: ElementType { .float64 }
}
