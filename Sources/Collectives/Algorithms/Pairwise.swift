/// All-to-all, gather and scatter: every block is written once, from where it lies to where it belongs, when its receiver has invited it.
///
/// In turn i of an all-to-all, rank r writes to rank r + i, so that no rank is written to by many at once. Blocks of more messages than may
/// be unread go in rounds, each of which is a schedule of its own: its invitations say that the round before has been read.
///
/// *Uneven counts.* A rank knows how much it gets from each rank, and not where that lies with the others. So the invitation of an allToAll of uneven
/// counts says where its receiver is to write, and how much is expected, which that one compares with what it sends (`followInvitation`). The
/// invitations lie in the lane's eager slots: nobody ends such an operation without one of everybody.
public struct Pairwise: Equatable, Sendable {
    let shape: Shape
    /// Writes of the longest block: one, unless it is longer than a message may be.
    private let messages: Int

    init(_ shape: Shape) {
        self.shape = shape
        messages = shape.messages(of: shape.count)
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

    /// Writes that come from a rank, and that go to one.
    private func messages(from source: Int) -> Int { shape.messages(of: shape.extents.received(from: source).count) }
    private func messages(to target: Int) -> Int { shape.messages(of: shape.block(target).count) }

    /// What belongs to longer blocks only is left out.
    /// - Parameter first: of the round's messages of a block.
    private func step(_ index: Int, first: Int, messages: Int) -> Step {
        var index = index
        if index < sources {
            let source = source(index)
            guard first < self.messages(from: source) else { return Step() }
            return Step(send: shape.extents.isUneven ? .invitation(source) : .signal(source))
        }
        index -= sources
        if index == 0 { return Step(action: first == 0 ? own : nil) }
        index -= 1
        if index < targets * (1 + messages) {
            let (turn, part) = index.quotientAndRemainder(dividingBy: 1 + messages)
            let (target, message) = (target(turn), first + max(0, part - 1))
            guard message < self.messages(to: target) else { return Step() }
            return part == 0 ? Step(receive: target) : Step(send: send(to: target, message: message))
        }
        let (turn, part) = (index - targets * (1 + messages)).quotientAndRemainder(dividingBy: messages)
        let source = source(turn)
        return first + part < self.messages(from: source) ? Step(receive: source) : Step()
    }

    private var own: Action? {
        let block = shape.block(shape.rank).lowerBound
        switch shape.collective {
        case .allToAll: return shape.copyOwn(from: block, to: shape.extents.received(from: shape.rank).lowerBound)
        case .gather: return shape.rank == root ? shape.copyOwn(from: 0, to: block) : nil
        default: return shape.rank == root ? shape.copyOwn(from: block, to: 0) : nil
        }
    }

    private func send(to peer: Int, message: Int) -> Send {
        let start = message * shape.messageElements
        let count = max(0, min(shape.block(peer).count - start, shape.messageElements))
        let (own, theirs) = (shape.block(shape.rank).lowerBound, shape.block(peer).lowerBound)
        if shape.extents.isUneven { return Send(peer: peer, from: .input(theirs + start), to: .invited(start), count: count) }
        switch shape.collective {
        case .gather: return Send(peer: peer, from: .input(start), to: .output(own + start), count: count)
        case .scatter: return Send(peer: peer, from: .input(theirs + start), to: .output(start), count: count)
        default: return Send(peer: peer, from: .input(theirs + start), to: .output(own + start), count: count)
        }
    }
}
