public import Verbena

/// A vector for each token, plus one for each position of a sequence. Tokens come as whole numbers in a matrix of one column, below `tokenCount`, or it traps.
public final class Embedding: Layer {
    public let output: Shape
    private let tokens: NumberedParameter
    private let positions: NumberedParameter
    private let memory: FloatBuffer
    private var indices: [Int32]
    private let length: Int

    /// - Parameter input: as many positions as tokens of a sequence.
    public init(_ input: Shape, tokenCount: Int, width: Int, _ builder: inout Builder) {
        invariant(input.channels == 1, "one token a position, not \(input.channels)")
        length = input.positions
        output = Shape(width: length, channels: width)
        tokens = builder.parameter("tokens", [tokenCount, width], .uniform(Self.bound), decays: false)
        positions = builder.parameter("positions", [length, width], .uniform(Self.bound), decays: false)
        memory = builder.activation(output)
        indices = [Int32](repeating: 0, count: builder.capacity * length)
    }

    /// A standard deviation of 0.02, as GPT-2 has it.
    private static let bound: Float = 0.035

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let (tokens, positions) = (try tokens.current(pass), try positions.current(pass))
        for row in 0..<input.rows {
            // SAFETY: a row of the input, which has one column.
            indices[row] = unsafe Int32(input.base[row])
        }
        let output = memory.matrix(rows: input.rows, columns: tokens.columns)
        unsafe indices.withUnsafeBufferPointer { indices in
            // SAFETY: the array is held for the call.
            unsafe Elements.chosen.gather(UnsafeBufferPointer(rebasing: indices[..<input.rows]), of: tokens, into: output)
        }
        for sample in 0..<input.rows / length {
            Elements.chosen.add(positions, to: output.part(rows: sample * length..<(sample + 1) * length))
        }
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let positionGradient = positions.gradient(pass)
        positionGradient.copy(gradient.part(rows: 0..<length))
        for sample in 1..<max(gradient.rows / length, 1) {
            Elements.chosen.add(gradient.part(rows: sample * length..<(sample + 1) * length), to: positionGradient)
        }
        try positions.announce(pass)
        let tokenGradient = tokens.gradient(pass)
        tokenGradient.clear()
        unsafe indices.withUnsafeBufferPointer { indices in
            // SAFETY: as above.
            unsafe Elements.chosen.scatter(gradient, to: UnsafeBufferPointer(rebasing: indices[..<gradient.rows]), of: tokenGradient)
        }
        try tokens.announce(pass)
        return gradient
    }
}
