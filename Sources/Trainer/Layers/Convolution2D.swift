public import Verbena

/// y = x * W (+ b), rectified if wanted: square windows over images, padded by zeros so that with stride 1 the image keeps its size.
/// W is window x window x inputs x channels.
public final class Convolution2D: Layer {
    public let output: Shape
    private let convolution: Convolution
    private let isRectified: Bool
    private let weight: NumberedParameter
    private let bias: NumberedParameter?
    private let memory: FloatBuffer
    private let scratch: Scratch
    private var input: Matrix?

    /// - Parameter window: odd.
    public init(
        _ input: Shape, channels: Int, window: Int = 3, stride: Int = 1, hasBias: Bool = true, isRectified: Bool = false,
        _ builder: inout Builder
    ) {
        convolution = Convolution(
            height: input.height, width: input.width, inChannels: input.channels, outChannels: channels, kernel: window, stride: stride,
            padding: window / 2)
        self.isRectified = isRectified
        output = Shape(height: convolution.outputHeight, width: convolution.outputWidth, channels: channels)
        weight = builder.parameter(
            "weight", [window, window, input.channels, channels], .he(inputs: convolution.weightRows), decays: true)
        bias = hasBias ? builder.parameter("bias", [channels], .constant(0), decays: false) : nil
        memory = builder.activation(output)
        builder.wantGradient(of: input)
        scratch = builder.scratch
        scratch.reserveWork(convolution.scratchCount)
    }

    public var readsOutput: Bool { isRectified }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        self.input = input
        let weight = try weight.current(pass)
        let bias = try bias?.current(pass)
        let output = outputs(of: input)
        convolution.forward(input, weights: weight, bias: bias, isRectified: isRectified, into: output, scratch: scratch.work)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        guard let input else { fatalError("a backward pass before any forward pass") }
        if isRectified { Elements.chosen.rectify(gradient: gradient, output: outputs(of: input)) }
        if let bias {
            Elements.chosen.sumColumns(of: gradient, into: bias.gradient(pass))
            try bias.announce(pass)
        }
        convolution.weightGradient(input, gradient, into: weight.gradient(pass), scratch: scratch.work)
        try weight.announce(pass)
        guard wantsInput else { return gradient }
        let result = scratch.matrix(besides: gradient, rows: input.rows, columns: input.columns)
        convolution.inputGradient(gradient, weights: weight.matrix, into: result, scratch: scratch.work)
        return result
    }

    private func outputs(of input: Matrix) -> Matrix {
        let batch = input.rows / (convolution.height * convolution.width)
        return memory.matrix(rows: batch * output.positions, columns: output.channels)
    }
}
