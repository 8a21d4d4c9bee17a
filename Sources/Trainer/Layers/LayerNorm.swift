public import Verbena

/// Each position brought to mean 0 and variance 1, then times gamma plus beta. Source: Ba, Kiros and Hinton, arXiv 1607.06450.
public final class LayerNorm: Layer {
    public let output: Shape
    private let gamma: NumberedParameter
    private let beta: NumberedParameter
    private let memory: FloatBuffer
    /// Of each position.
    private let means: FloatBuffer
    private let inverses: FloatBuffer
    private var input: Matrix?

    private static let epsilon: Float = 1e-5

    public init(_ input: Shape, _ builder: inout Builder) {
        output = input
        gamma = builder.parameter("gamma", [input.channels], .constant(1), decays: false)
        beta = builder.parameter("beta", [input.channels], .constant(0), decays: false)
        memory = builder.activation(input)
        means = FloatBuffer(count: builder.capacity * input.positions)
        inverses = FloatBuffer(count: builder.capacity * input.positions)
    }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        self.input = input
        let (gamma, beta) = (try gamma.current(pass), try beta.current(pass))
        let output = memory.matrix(rows: input.rows, columns: input.columns)
        Elements.chosen.normaliseRows(
            input, gamma: gamma, beta: beta, epsilon: Self.epsilon, means: means.row(input.rows), inverses: inverses.row(input.rows),
            into: output)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        guard let input else { fatalError("a backward pass before any forward pass") }
        Elements.chosen.normaliseRows(
            gradient: gradient, inputs: input, gamma: gamma.matrix, means: means.row(input.rows), inverses: inverses.row(input.rows),
            inputGradient: gradient, isAccumulating: false, gammaGradient: gamma.gradient(pass), betaGradient: beta.gradient(pass))
        try beta.announce(pass)
        try gamma.announce(pass)
        return gradient
    }
}
