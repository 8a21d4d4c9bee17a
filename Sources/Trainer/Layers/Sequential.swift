public import Verbena

/// Layers one after the other.
public final class Sequential: Layer {
    public let output: Shape
    let layers: [any Layer]

    /// - Parameter layers: at least one.
    public init(_ layers: [any Layer]) {
        invariant(!layers.isEmpty, "a stack of no layers")
        self.layers = layers
        output = layers[layers.count - 1].output
    }

    public var overwritesInput: Bool { layers[0].overwritesInput }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        var value = input
        for layer in layers { value = try layer.forward(value, pass) }
        return value
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        var gradient = gradient
        for index in layers.indices.reversed() {
            gradient = try layers[index].backward(gradient, wantsInput: wantsInput || index > 0, pass)
        }
        return gradient
    }
}
