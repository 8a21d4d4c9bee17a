/// One rank's end of a transfer between two: the receiver tells the sender where, and the sender writes there. The receiver says so again
/// before each window of as many messages as may be unread.
public struct PointToPoint: Equatable, Sendable {
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

    public var count: Int {
        let messages = shape.messages(of: shape.count)
        return messages + (messages + shape.maxUnread - 1) / shape.maxUnread
    }

    public subscript(index: Int) -> Step {
        let (window, part) = index.quotientAndRemainder(dividingBy: 1 + shape.maxUnread)
        guard isSend else {
            return part == 0 ? Step(send: .invitation(peer)) : Step(receive: peer)
        }
        guard part > 0 else { return Step(receive: peer) }
        let start = (window * shape.maxUnread + part - 1) * shape.messageElements
        let count = max(0, min(shape.count - start, shape.messageElements))
        return Step(send: Send(peer: peer, from: .input(start), to: .invited(start), count: count))
    }
}
