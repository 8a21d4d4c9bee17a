public import Verbena

/// Layers one after the other.
public final class Sequential: Layer {
    public let output: Shape
    let layers: [any Layer]
    private let firstThatLearns: Int

    /// - Parameter layers: at least one.
    public init(_ layers: [any Layer]) {
        invariant(!layers.isEmpty, "a stack of no layers")
        for (layer, next) in zip(layers, layers.dropFirst()) {
            // Dropout only makes more of a rectified output 0, and nothing comes back there; to rectify twice changes nothing.
            let isHarmless = next is Dropout || next is ReLU
            invariant(
                !layer.readsOutput || !next.overwritesInput || isHarmless, "\(type(of: next)) would overwrite what \(type(of: layer)) reads"
            )
        }
        self.layers = layers
        output = layers[layers.count - 1].output
        firstThatLearns = layers.firstIndex { $0.learns } ?? 0
    }

    public var overwritesInput: Bool { layers.first { !$0.passesInputOn }?.overwritesInput ?? false }
    public var readsOutput: Bool { layers[layers.count - 1].readsOutput }
    public var passesInputOn: Bool { layers.allSatisfy(\.passesInputOn) }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        var value = input
        for layer in layers { value = try layer.forward(value, pass) }
        return value
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        var gradient = gradient
        let first = wantsInput ? 0 : firstThatLearns
        for index in (first..<layers.count).reversed() {
            gradient = try layers[index].backward(gradient, wantsInput: wantsInput || index > first, pass)
        }
        return gradient
    }
}
