public import Reduction

/// One parameter of a model as the exchange sees it: a name for messages, and the number and type of its gradient's elements.
public struct ParameterLayout: Sendable, Equatable {
    public var name: String
    public var elementCount: Int
    /// fp32, fp64, fp16 or bf16.
    public var type: ElementType

    public init(name: String, elementCount: Int, type: ElementType = .float32) {
        self.name = name
        self.elementCount = elementCount
        self.type = type
    }

    /// What a gradient may be made of.
    public static let types: [ElementType] = [.float32, .float64, .float16, .bfloat16]
}
