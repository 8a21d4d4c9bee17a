/// All-to-all, gather and scatter: every block is written once, from where it lies to where it belongs, when its receiver has invited it.
///
/// In turn i of an all-to-all, rank r writes to rank r + i, so that no rank is written to by many at once.
public struct Pairwise: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    private var others: Int { shape.worldSize - 1 }
    private func after(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }
    private func before(_ index: Int) -> Int { (shape.rank + shape.worldSize - 1 - index) % shape.worldSize }
    private var root: Int { shape.collective.root }

    /// Ranks that write to this one, and that it writes to.
    private var sources: Int {
        switch shape.collective {
        case .gather: shape.rank == root ? others : 0
        case .scatter: shape.rank == root ? 0 : 1
        default: others
        }
    }

    private var targets: Int {
        switch shape.collective {
        case .gather: shape.rank == root ? 0 : 1
        case .scatter: shape.rank == root ? others : 0
        default: others
        }
    }

    private func source(_ index: Int) -> Int { shape.collective == .scatter(root: root) ? root : before(index) }
    private func target(_ index: Int) -> Int { shape.collective == .gather(root: root) ? root : after(index) }

    /// Writes of a block: one, unless it is longer than a message may be.
    private var messages: Int { max(1, (shape.count + shape.messageElements - 1) / shape.messageElements) }

    /// Invitations; the own block; the writes, each target's after its invitation; what comes in.
    public var count: Int { sources + 1 + targets * (1 + messages) + sources * messages }

    public subscript(index: Int) -> Step {
        var index = index
        if index < sources { return Step(send: .signal(source(index))) }
        index -= sources
        if index == 0 { return Step(action: own) }
        index -= 1
        if index < targets * (1 + messages) {
            let (turn, part) = index.quotientAndRemainder(dividingBy: 1 + messages)
            return part == 0 ? Step(receive: target(turn)) : Step(send: send(to: target(turn), message: part - 1))
        }
        return Step(receive: source((index - targets * (1 + messages)) / messages))
    }

    private var own: Action? {
        let block = shape.rank * shape.count
        switch shape.collective {
        case .allToAll: return shape.copyOwn(from: block, to: block)
        case .gather: return shape.rank == root ? shape.copyOwn(from: 0, to: block) : nil
        default: return shape.rank == root ? shape.copyOwn(from: block, to: 0) : nil
        }
    }

    private func send(to peer: Int, message: Int) -> Send {
        let start = message * shape.messageElements
        let count = max(0, min(shape.count - start, shape.messageElements))
        switch shape.collective {
        case .gather: return Send(peer: peer, from: .input(start), to: .output(shape.rank * shape.count + start), count: count)
        case .scatter: return Send(peer: peer, from: .input(peer * shape.count + start), to: .output(start), count: count)
        default:
            return Send(
                peer: peer, from: .input(peer * shape.count + start), to: .output(shape.rank * shape.count + start), count: count)
        }
    }
}

/// One rank's end of a transfer between two: the receiver tells the sender where, and the sender writes there.
public struct Transfer: Equatable, Sendable {
    let shape: Shape
    let peer: Int
    let isSend: Bool

    init(_ shape: Shape) {
        self.shape = shape
        switch shape.collective {
        case .send(let to): (peer, isSend) = (to, true)
        case .receive(let from): (peer, isSend) = (from, false)
        default: invariantFailure("only a transfer between two ranks is one")
        }
    }

    private var messages: Int { max(1, (shape.count + shape.messageElements - 1) / shape.messageElements) }

    public var count: Int { 1 + messages }

    public subscript(index: Int) -> Step {
        guard isSend else {
            return index == 0 ? Step(send: Send(peer: peer, from: .input(0), to: .invitation, count: 0)) : Step(receive: peer)
        }
        guard index > 0 else { return Step(receive: peer) }
        let start = (index - 1) * shape.messageElements
        let count = max(0, min(shape.count - start, shape.messageElements))
        return Step(send: Send(peer: peer, from: .input(start), to: .invited(start), count: count))
    }
}
