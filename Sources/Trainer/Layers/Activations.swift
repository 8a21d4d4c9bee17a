import Verbena

/// max(x, 0), in place. Its output tells where the gradient passes.
public final class ReLU: Layer {
    public let output: Shape
    private var values: Matrix?

    public init(_ input: Shape) { output = input }

    public var overwritesInput: Bool { true }
    public var readsOutput: Bool { true }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        values = input
        Elements.chosen.rectify(input)
        return input
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        guard let values else { fatalError("a backward pass before any forward pass") }
        if wantsInput { Elements.chosen.rectify(gradient: gradient, output: values) }
        return gradient
    }
}

/// Every sample as one position: the same memory, seen otherwise.
public final class Flatten: Layer {
    public let output: Shape
    public let learns = false
    private let input: Shape

    public init(_ input: Shape) { (self.input, output) = (input, input.flat) }

    public var passesInputOn: Bool { true }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        input.reshaped(rows: input.rows / self.input.positions, columns: output.channels)
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        gradient.reshaped(rows: gradient.rows * input.positions, columns: input.channels)
    }
}

/// x times the share of a normal distribution below x, in the form with tanh. Its input becomes its slope. Source: Hendrycks and Gimpel, arXiv 1606.08415.
public final class GELU: Layer {
    public let output: Shape
    private let memory: FloatBuffer
    private var slopes: Matrix?

    public init(_ input: Shape, _ builder: Builder) {
        output = input
        memory = builder.activation(input)
    }

    public var overwritesInput: Bool { true }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        slopes = input
        let output = memory.matrix(rows: input.rows, columns: input.columns)
        Elements.chosen.gelu(input, into: output)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        guard let slopes else { fatalError("a backward pass before any forward pass") }
        if wantsInput { Elements.chosen.multiply(gradient, by: slopes) }
        return gradient
    }
}

/// In training clears each element with a probability and divides the others by what is left of 1, in place. What is cleared hangs on the pass and the layer alone.
/// Source: Srivastava et al., 2014.
public final class Dropout: Layer {
    public let output: Shape
    private let rate: Float
    /// Tells the layers of a model apart.
    private let number: UInt64

    /// - Parameter rate: 0 ..< 1.
    public init(_ input: Shape, rate: Float, _ builder: inout Builder) {
        invariant(rate >= 0 && rate < 1, "a dropout of \(rate)")
        (output, self.rate) = (input, rate)
        number = builder.nextDraw()
    }

    public var overwritesInput: Bool { true }

    public func forward(_ input: Matrix, _ pass: Pass) -> Matrix {
        drop(input, pass)
        return input
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) -> Matrix {
        if wantsInput { drop(gradient, pass) }
        return gradient
    }

    private func drop(_ values: Matrix, _ pass: Pass) {
        if pass.isTraining, rate > 0 { Elements.chosen.drop(values, rate: rate, key: pass.seed ^ number << 56) }
    }
}
