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

extension Float16: Element {
    public static var elementType: ElementType { .float16 }
}

extension BFloat16: Element {
    public static var elementType: ElementType { .bfloat16 }
}

extension Int8: Element {
    public static var elementType: ElementType { .int8 }
}

extension Int16: Element {
    public static var elementType: ElementType { .int16 }
}

extension Int32: Element {
    public static var elementType: ElementType { .int32 }
}

extension Int64: Element {
    public static var elementType: ElementType { .int64 }
}

extension UInt8: Element {
    public static var elementType: ElementType { .uint8 }
}

extension UInt16: Element {
    public static var elementType: ElementType { .uint16 }
}

extension UInt32: Element {
    public static var elementType: ElementType { .uint32 }
}

extension UInt64: Element {
    public static var elementType: ElementType { .uint64 }
}
