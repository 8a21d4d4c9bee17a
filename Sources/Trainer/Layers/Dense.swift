public import Verbena

/// y = x W + b, position by position: W is channels x outputs, b outputs long.
public final class Dense: Layer {
    public let output: Shape
    private let weight: NumberedParameter
    private let bias: NumberedParameter?
    private let memory: FloatBuffer
    private let scratch: Scratch
    private var input: Matrix?

    public convenience init(_ input: Shape, outputs: Int, _ builder: inout Builder) {
        self.init(input, outputs: outputs, initial: .he(inputs: input.channels), &builder)
    }

    /// - Parameter part: what of W this rank keeps, and of b with its columns; `outputs` and the rows of W are the whole's.
    init(
        _ input: Shape, outputs: Int, initial: Builder.Initial, keeping part: MatrixPart? = nil, inputs: Int? = nil, hasBias: Bool = true,
        _ builder: inout Builder
    ) {
        output = Shape(height: input.height, width: input.width, channels: part?.columnCount(of: outputs) ?? outputs)
        weight = builder.parameter("weight", [inputs ?? input.channels, outputs], initial, decays: true, keeping: part)
        bias = hasBias ? builder.parameter("bias", [outputs], .constant(0), decays: false, keeping: part) : nil
        memory = builder.activation(output)
        builder.wantGradient(of: input)
        scratch = builder.scratch
    }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        self.input = input
        let weight = try weight.current(pass)
        let bias = try bias?.current(pass)
        let output = memory.matrix(rows: input.rows, columns: weight.columns)
        if let bias { output.setRows(bias) }
        output.setProduct(input.plain, weight.plain, accumulating: bias != nil)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        guard let input else { fatalError("a backward pass before any forward pass") }
        if let bias {
            Elements.chosen.sumColumns(of: gradient, into: bias.gradient(pass))
            try bias.announce(pass)
        }
        weight.gradient(pass).setProduct(input.transposed, gradient.plain)
        try weight.announce(pass)
        guard wantsInput else { return gradient }
        let result = scratch.matrix(besides: gradient, rows: input.rows, columns: input.columns)
        result.setProduct(gradient.plain, weight.matrix.transposed)
        return result
    }
}
