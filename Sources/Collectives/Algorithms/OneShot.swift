/// Small messages: every rank writes its part to all others at once, and each takes what it needs from what has come: one message
/// of delay, and nobody is asked first. Between two ranks where there is a root, too: who has nothing to give sends a signal.
///
/// *Eager slots.* A rank may write before the others have begun. It is never ahead of any by more than one such operation on a lane, because it
/// cannot finish without a message from each: two sets of slots, used in turn, are enough (`ReceiveBuffers`). The same holds for
/// `Bruck` and `RecursiveDoubling`, which share the slots.
///
/// *Sources.* Between nodes an allreduce sends from a copy in the own slot: the operation ends without waiting for completions, which come a round trip
/// later (`Lane.endsBeforeWrites`), and in place the result may replace what was sent. Where ranks see each other's memory a write has left by the
/// time that it is posted, and in place waiting for its completion costs less than the copy.
///
/// *Bits.* Sums are taken in the order of the ring: segment s begins with rank s; in a nested world (`Topology`) in the order of the
/// hierarchical ring, of a reduce in that of the chain.
public struct OneShot: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    private var others: Int { shape.worldSize - 1 }
    private func peer(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }
    private var isReducing: Bool { shape.count > 0 && shape.collective == .allReduce }
    private var copiesFirst: Bool { isReducing && !shape.topology.isOneNode }

    public var count: Int { 1 + others + others + 1 + work }

    public subscript(index: Int) -> Step {
        var index = index
        if index == 0 {
            return Step(action: copiesFirst ? .copy(from: .input(0), to: .eager(rank: shape.rank), count: shape.count) : nil)
        }
        index -= 1
        if index < others { return Step(send: send(to: peer(index))) }
        index -= others
        if index < others { return Step(receive: peer(index)) }
        index -= others
        if index == 0 { return Step(drain: shape.swaps || (isReducing && shape.isInPlace && !copiesFirst)) }
        return Step(action: action(index - 1))
    }

    private func send(to peer: Int) -> Send {
        guard shape.count > 0, shape.collective != .barrier else { return .signal(peer) }
        switch shape.collective {
        case .broadcast(let root) where root != shape.rank, .scatter(let root) where root != shape.rank,
            .reduce(let root) where root == shape.rank, .gather(let root) where root == shape.rank:
            return .signal(peer)
        case .reduceScatter, .allToAll, .scatter:
            let block = shape.block(peer)
            return Send(peer: peer, from: .input(block.lowerBound), to: .eager(rank: shape.rank), count: block.count)
        default:
            let source: Location = copiesFirst ? .eager(rank: shape.rank) : .input(0)
            return Send(peer: peer, from: source, to: .eager(rank: shape.rank), count: shape.block(shape.rank).count)
        }
    }

    private var work: Int {
        switch shape.collective {
        case .allReduce: Folding(shape).count
        case .reduceScatter: 1
        case .allGather, .allToAll: shape.worldSize
        case .broadcast, .scatter: 1
        case .reduce(let root): root == shape.rank ? 1 : 0
        case .gather(let root): root == shape.rank ? shape.worldSize : 0
        default: 0
        }
    }

    private func action(_ index: Int) -> Action? {
        let (rank, own) = (shape.rank, shape.block(shape.rank))
        switch shape.collective {
        case .allReduce: return Folding(shape)[index]
        case .reduceScatter:
            return .fold(
                Fold(
                    .eager(first: (rank + 1) % shape.worldSize, start: 0, inputStart: own.lowerBound), into: .location(.output(0)),
                    count: own.count, isFinal: true))
        case .reduce:
            return .fold(
                Fold(
                    .eager(first: (rank + 1) % shape.worldSize, start: 0, inputStart: 0), into: .location(.output(0)), count: shape.count,
                    isFinal: true))
        case .broadcast(let root) where root != rank, .scatter(let root) where root != rank:
            return .copy(from: .eager(rank: root), to: .output(0), count: own.count)
        case .allGather where index < others, .allToAll where index < others, .gather where index < others:
            let block = shape.block(peer(index))
            return .copy(from: .eager(rank: peer(index)), to: .output(block.lowerBound), count: block.count)
        case .allGather, .gather: return shape.copyOwn(from: 0, to: own.lowerBound)
        case .broadcast: return shape.copyOwn(from: 0, to: 0)
        case .scatter: return shape.copyOwn(from: own.lowerBound, to: 0)
        case .allToAll: return shape.copyOwn(from: own.lowerBound, to: own.lowerBound)
        default: return nil
        }
    }
}
