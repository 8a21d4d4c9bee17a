/// Small messages at many ranks: everyone's input reaches everyone in ceil(log2 N) rounds, then each folds for itself.
///
/// Before round k a rank has the parts of the 2^k ranks up to itself; it passes all of them, or as many as are still missing, to the rank
/// 2^k further on. The parts of consecutive ranks lie in consecutive slots, so a round is one write, or two where they go around
/// the end. Eager slots and the order of sums are those of `OneShot`; a barrier is the same with nothing inside.
///
/// Source: Bruck et al., "Efficient algorithms for all-to-all communications in multiport message-passing systems", IEEE TPDS 8 (1997);
/// for the barrier Hensgen, Finkel and Manber, "Two algorithms for barrier synchronization", IJPP 17 (1988).
public struct Bruck: Equatable, Sendable {
    let shape: Shape
    let rounds: Int

    init(_ shape: Shape) {
        self.shape = shape
        rounds = Int.bitWidth - (shape.worldSize - 1).leadingZeroBitCount
    }

    private var isEmpty: Bool { shape.count == 0 || shape.collective == .barrier }

    /// The own part into its slot; four steps a round: two writes, two messages to wait for, of which the second may be missing; the work.
    public var count: Int { 1 + 4 * rounds + work }

    public subscript(index: Int) -> Step {
        if index == 0 {
            return Step(action: isEmpty ? nil : .copy(from: .input(0), to: .eager(rank: shape.rank), count: shape.block(shape.rank).count))
        }
        guard index <= 4 * rounds else { return Step(action: action(index - 1 - 4 * rounds)) }
        let (round, turn) = (index - 1).quotientAndRemainder(dividingBy: 4)
        let distance = 1 << round
        if turn < 2 {
            let owners = parts(of: shape.rank, round: round, isAround: turn == 1)
            return owners.isEmpty ? Step() : Step(send: send(owners, to: (shape.rank + distance) % shape.worldSize))
        }
        let peer = (shape.rank + shape.worldSize - distance) % shape.worldSize
        return parts(of: peer, round: round, isAround: turn == 3).isEmpty ? Step() : Step(receive: peer)
    }

    /// Whose parts a rank passes on: those up to itself, or those that lie around the end.
    private func parts(of rank: Int, round: Int, isAround: Bool) -> Range<Int> {
        let number = min(1 << round, shape.worldSize - (1 << round))
        if isEmpty { return 0..<(isAround ? 0 : 1) }
        let first = rank + 1 - number
        return isAround ? min(shape.worldSize, first + shape.worldSize)..<shape.worldSize : max(0, first)..<rank + 1
    }

    private func send(_ owners: Range<Int>, to peer: Int) -> Send {
        if isEmpty { return .signal(peer) }
        return Send(
            peer: peer, from: .eager(rank: owners.lowerBound), to: .eager(rank: owners.lowerBound), count: owners.count * shape.count)
    }

    private var work: Int {
        switch shape.collective {
        case .allReduce: Folding(shape).count
        case .allGather: isEmpty ? 0 : shape.worldSize
        default: 0
        }
    }

    private func action(_ index: Int) -> Action {
        guard shape.collective == .allGather else { return Folding(shape)[index] }
        let block = shape.block(index)
        return .copy(from: .eager(rank: index), to: .output(block.lowerBound), count: block.count)
    }
}
