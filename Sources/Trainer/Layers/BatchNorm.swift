public import Verbena

/// Each channel brought to mean 0 and variance 1 over the batch and all positions, then times gamma plus beta, and rectified if wanted. In evaluation by running
/// means and variances, which every rank keeps for itself until they are averaged. Source: Ioffe and Szegedy, arXiv 1502.03167.
public final class BatchNorm: Layer {
    public let output: Shape
    private let isRectified: Bool
    private let gamma: NumberedParameter
    private let beta: NumberedParameter
    private let runningMean: Parameter
    private let runningVariance: Parameter
    private let memory: FloatBuffer
    /// Of this batch, or of the running ones: means, inverses, and before those the sums of squares.
    private let means: FloatBuffer
    private let inverses: FloatBuffer
    private let ranks: RankSums?
    private var input: Matrix?

    private static let epsilon: Float = 1e-5
    /// What of a running value each batch replaces.
    private static let momentum: Float = 0.1

    /// - Parameter isSynchronised: by the batches of all ranks of the builder's communicator, as if they were one, which costs a small allreduce in forward and one in
    ///   backward. No other bulk operations of that communicator may be under way then.
    /// - Throws: where there is no memory for that.
    public init(
        _ input: Shape, isRectified: Bool = false, isSynchronised: Bool = false, _ builder: inout Builder
    ) throws(VerbenaError) {
        let channels = input.channels
        (output, self.isRectified) = (input, isRectified)
        gamma = builder.parameter("gamma", [channels], .constant(1), decays: false)
        beta = builder.parameter("beta", [channels], .constant(0), decays: false)
        runningMean = builder.statistic("running_mean", [channels], 0)
        runningVariance = builder.statistic("running_var", [channels], 1)
        memory = builder.activation(input)
        means = FloatBuffer(count: channels)
        inverses = FloatBuffer(count: channels)
        ranks =
            isSynchronised
            ? try builder.communicator.flatMap { (ranks) throws(VerbenaError) in try RankSums(ranks, count: 2 * channels) } : nil
    }

    public var readsOutput: Bool { isRectified }

    public func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        self.input = input
        let (gamma, beta) = (try gamma.current(pass), try beta.current(pass))
        if pass.isTraining { try measure(input) } else { takeRunning() }
        let output = memory.matrix(rows: input.rows, columns: input.columns)
        Elements.chosen.normaliseColumns(input, by: moments(gamma), beta: beta, isRectified: isRectified, into: output)
        return output
    }

    public func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        guard let input else { fatalError("a backward pass before any forward pass") }
        let (gammaGradient, betaGradient) = (gamma.gradient(pass), beta.gradient(pass))
        let moments = moments(gamma.matrix)
        let outputs = isRectified ? memory.matrix(rows: input.rows, columns: input.columns) : nil
        Elements.chosen.normaliseColumns(
            gradient: gradient, inputs: input, by: moments, outputs: outputs, gammaGradient: gammaGradient, betaGradient: betaGradient)
        if wantsInput {
            // Before they are announced, for they are read here.
            let sums = try ranks?.add(gammaGradient, betaGradient)
            Elements.chosen.normaliseColumns(
                gradient: gradient, inputs: input, by: moments, gammaGradient: sums?.first ?? gammaGradient,
                betaGradient: sums?.second ?? betaGradient, count: input.rows * (ranks?.count ?? 1), inputGradient: gradient)
        }
        try beta.announce(pass)
        try gamma.announce(pass)
        return gradient
    }

    private func moments(_ gamma: Matrix) -> ColumnMoments {
        ColumnMoments(means: means.row(gamma.count), inverses: inverses.row(gamma.count), gamma: gamma)
    }

    private func measure(_ input: Matrix) throws(VerbenaError) {
        let (mean, inverse) = (means.row(input.columns), inverses.row(input.columns))
        Elements.chosen.columnMoments(of: input, sums: mean, squares: inverse)
        if let ranks {
            let sums = try ranks.add(mean, inverse)
            mean.copy(sums.first)
            inverse.copy(sums.second)
        }
        let count = Float(input.rows * (ranks?.count ?? 1))
        for channel in 0..<input.columns {
            // SAFETY: all of these have an element for each channel, and are held here.
            unsafe mean.base[channel] /= count
            let variance = unsafe max(inverse.base[channel] / count - mean.base[channel] * mean.base[channel], 0)
            unsafe inverse.base[channel] = 1 / (variance + Self.epsilon).squareRoot()
            let unbiased = variance * count / max(count - 1, 1)
            unsafe runningMean.values[channel] += Self.momentum * (mean.base[channel] - runningMean.values[channel])
            unsafe runningVariance.values[channel] += Self.momentum * (unbiased - runningVariance.values[channel])
        }
    }

    private func takeRunning() {
        let (mean, inverse) = (means.row(output.channels), inverses.row(output.channels))
        mean.copy(runningMean.matrix)
        for channel in 0..<output.channels {
            // SAFETY: as above.
            unsafe inverse.base[channel] = 1 / (runningVariance.values[channel] + Self.epsilon).squareRoot()
        }
    }
}

/// Adds up pairs of vectors over all ranks, in the middle of a pass.
final class RankSums {
    private let communicator: Communicator
    private let buffer: Buffer<Float>
    /// How many ranks.
    var count: Int { communicator.worldSize }

    /// Nil where a rank is alone.
    init?(_ communicator: Communicator, count: Int) throws(VerbenaError) {
        guard communicator.worldSize > 1 else { return nil }
        self.communicator = communicator
        buffer = try communicator.allocate(Float.self, count: count)
    }

    /// The sums, in this object's memory until the next call. Collective.
    func add(_ first: Matrix, _ second: Matrix) throws(VerbenaError) -> (first: Matrix, second: Matrix) {
        // SAFETY: the buffer is held here and has room for both, which `init`'s caller has seen to.
        let halves = unsafe (
            Matrix(UnsafeMutableBufferPointer(rebasing: buffer.elements[..<first.count]), rows: 1, columns: first.count),
            Matrix(UnsafeMutableBufferPointer(rebasing: buffer.elements[first.count...]), rows: 1, columns: second.count)
        )
        halves.0.copy(first)
        halves.1.copy(second)
        try communicator.allReduce(buffer)
        return halves
    }
}
