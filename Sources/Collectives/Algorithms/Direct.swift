/// Collectives between ranks that see each other's memory: nothing travels but signals.
///
/// Every rank says that its memory is ready to those who will touch it, and waits for those whose memory it touches; then it does its
/// share in one pass over the mapped buffers; then it says that it is done, and waits for those who touch its memory. A reduction is shared
/// by segments: rank r reduces segment r over all inputs and stores it into every output that wants it. What only moves is
/// fetched by the rank that wants it.
///
/// *Bits.* Sums are taken in the order of the ring, of the chain where there is a root.
public struct Direct: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    private var others: Int { shape.worldSize - 1 }
    private func peer(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }

    /// Whose memory this rank touches: all, or only the root's; nobody's.
    private enum Reach { case all, root, none }

    private var touches: Reach {
        switch shape.collective {
        case .broadcast(let root), .scatter(let root): root == shape.rank ? .none : .root
        case .gather(let root): root == shape.rank ? .all : .none
        default: .all
        }
    }

    /// Who touches this rank's memory.
    private var isTouchedBy: Reach {
        switch shape.collective {
        case .broadcast(let root), .scatter(let root): root == shape.rank ? .all : .none
        case .gather(let root): root == shape.rank ? .none : .root
        default: .all
        }
    }

    private func count(_ reach: Reach) -> Int {
        switch reach {
        case .all: others
        case .root: 1
        case .none: 0
        }
    }

    private func peer(_ index: Int, in reach: Reach) -> Int { reach == .root ? shape.collective.root : peer(index) }

    public var count: Int { 2 * count(touches) + 2 * count(isTouchedBy) + work }

    public subscript(index: Int) -> Step {
        let (mine, theirs) = (count(isTouchedBy), count(touches))
        var index = index
        if index < mine { return Step(send: .signal(peer(index, in: isTouchedBy))) }
        index -= mine
        if index < theirs { return Step(receive: peer(index, in: touches)) }
        index -= theirs
        if index < work { return Step(action: action(index)) }
        index -= work
        if index < theirs { return Step(send: .signal(peer(index, in: touches))) }
        return Step(receive: peer(index - theirs, in: isTouchedBy))
    }

    /// Actions of this rank's share.
    private var work: Int {
        switch shape.collective {
        case .allReduce, .reduceScatter, .reduce: 1
        case .allGather, .allToAll: shape.worldSize
        case .gather(let root): root == shape.rank ? shape.worldSize : 0
        case .broadcast, .scatter: 1
        case .barrier, .send, .receive: 0
        }
    }

    private func action(_ index: Int) -> Action? {
        let (rank, count) = (shape.rank, shape.count)
        switch shape.collective {
        case .allReduce:
            let range = part(rank, of: shape.worldSize, in: 0..<count)
            return fold(from: range.lowerBound, into: .node(start: range.lowerBound), count: range.count, first: rank)
        case .reduce(let root):
            let range = part(rank, of: shape.worldSize, in: 0..<count)
            let target: Location = root == rank ? .output(range.lowerBound) : .peerOutput(range.lowerBound, rank: root)
            return fold(from: range.lowerBound, into: .location(target), count: range.count, first: (root + 1) % shape.worldSize)
        case .reduceScatter:
            return fold(from: rank * count, into: .location(.output(0)), count: count, first: (rank + 1) % shape.worldSize)
        case .allGather, .gather:
            guard index < others else { return shape.copyOwn(from: 0, to: rank * count) }
            return .copy(from: .peerInput(0, rank: peer(index)), to: .output(peer(index) * count), count: count)
        case .allToAll:
            guard index < others else { return shape.copyOwn(from: rank * count, to: rank * count) }
            return .copy(from: .peerInput(rank * count, rank: peer(index)), to: .output(peer(index) * count), count: count)
        case .broadcast(let root):
            return root == rank ? shape.copyOwn(from: 0, to: 0) : .copy(from: .peerInput(0, rank: root), to: .output(0), count: count)
        case .scatter(let root):
            guard root != rank else { return shape.copyOwn(from: rank * count, to: 0) }
            return .copy(from: .peerInput(rank * count, rank: root), to: .output(0), count: count)
        case .barrier, .send, .receive: return nil
        }
    }

    private func fold(from start: Int, into target: Fold.Target, count: Int, first: Int) -> Action {
        .fold(Fold(.node(partial: nil, start: start, first: first), into: target, count: count, isFinal: true))
    }
}
