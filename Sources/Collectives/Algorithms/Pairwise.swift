/// All-to-all, gather and scatter: every block is written once, from where it lies to where it belongs, when its receiver has invited it.
///
/// In turn i of an all-to-all, rank r writes to rank r + i, so that no rank is written to by many at once. Blocks of more messages than may
/// be unread go in rounds, each of which is a schedule of its own: its invitations say that the round before has been read.
public struct Pairwise: Equatable, Sendable {
    let shape: Shape
    /// Writes of a block: one, unless it is longer than a message may be.
    private let messages: Int

    init(_ shape: Shape) {
        self.shape = shape
        messages = shape.messages
    }

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

    /// Steps of a round in which each block has so many messages: invitations; the own block; the writes, each target's after its invitation;
    /// what comes in.
    private func steps(_ messages: Int) -> Int { sources + 1 + targets * (1 + messages) + sources * messages }

    public var count: Int {
        let (full, rest) = messages.quotientAndRemainder(dividingBy: shape.maxUnread)
        return full * steps(shape.maxUnread) + (rest > 0 ? steps(rest) : 0)
    }

    public subscript(index: Int) -> Step {
        let (round, step) = index.quotientAndRemainder(dividingBy: steps(min(messages, shape.maxUnread)))
        let first = round * shape.maxUnread
        return self.step(step, first: first, messages: min(messages - first, shape.maxUnread))
    }

    /// - Parameter first: of the round's messages of a block.
    private func step(_ index: Int, first: Int, messages: Int) -> Step {
        var index = index
        if index < sources { return Step(send: .signal(source(index))) }
        index -= sources
        if index == 0 { return Step(action: first == 0 ? own : nil) }
        index -= 1
        if index < targets * (1 + messages) {
            let (turn, part) = index.quotientAndRemainder(dividingBy: 1 + messages)
            return part == 0 ? Step(receive: target(turn)) : Step(send: send(to: target(turn), message: first + part - 1))
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
