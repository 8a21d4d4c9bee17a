import Verbena

/// Ranks that share one copy of a model: each computes a part of its wide layers (tensor parallelism), with the same samples. Between a `TeamCopy` and a `TeamSum` each works
/// alone. Source: Shoeybi et al., arXiv 1909.08053.
struct Team {
    let communicator: Communicator
    var rank: Int { communicator.rank }
    var count: Int { communicator.worldSize }

    /// This rank's part of `count` columns.
    func part(of count: Int, from start: Int = 0) -> Range<Int> {
        start + count / self.count * rank..<start + count / self.count * (rank + 1)
    }
}

/// Adds up what the ranks of a team have made of their parts, and a bias, which all of them have; in backward each goes on with the whole gradient.
final class TeamSum: Layer {
    let output: Shape
    private let bias: NumberedParameter
    private let team: Team
    private let buffer: Buffer<Float>

    init(_ input: Shape, _ team: Team, _ builder: inout Builder) throws(VerbenaError) {
        (output, self.team) = (input, team)
        bias = builder.parameter("bias", [input.channels], .constant(0), decays: false)
        buffer = try team.communicator.allocate(Float.self, count: builder.capacity * input.elementCount)
    }

    func forward(_ input: Matrix, _ pass: Pass) throws(VerbenaError) -> Matrix {
        let sum = try team.sum(input, in: buffer)
        Elements.chosen.add(bias: try bias.current(pass), to: sum)
        return sum
    }

    func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        Elements.chosen.sumColumns(of: gradient, into: bias.gradient(pass))
        try bias.announce(pass)
        return gradient
    }
}

/// Where the ranks of a team begin to work apart on the same input: its gradient is the sum of theirs.
final class TeamCopy: Layer {
    let output: Shape
    private let team: Team
    private let buffer: Buffer<Float>

    init(_ input: Shape, _ team: Team, _ builder: Builder) throws(VerbenaError) {
        (output, self.team) = (input, team)
        buffer = try team.communicator.allocate(Float.self, count: builder.capacity * input.elementCount)
    }

    var passesInputOn: Bool { true }
    func forward(_ input: Matrix, _ pass: Pass) -> Matrix { input }
    func backward(_ gradient: Matrix, wantsInput: Bool, _ pass: Pass) throws(VerbenaError) -> Matrix {
        wantsInput ? try team.sum(gradient, in: buffer) : gradient
    }
}

extension Team {
    /// The sum over the team, in the buffer's memory until it is used again. Collective.
    fileprivate func sum(_ matrix: Matrix, in buffer: Buffer<Float>) throws(VerbenaError) -> Matrix {
        // SAFETY: the layer holds the buffer, which has room for its largest batch.
        let sum = unsafe Matrix(buffer.elements, rows: matrix.rows, columns: matrix.columns)
        sum.copy(matrix)
        try communicator.allReduce(buffer[..<matrix.count])
        return sum
    }
}
