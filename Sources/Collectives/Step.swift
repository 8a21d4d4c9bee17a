/// One step of a rank's part in a collective. A schedule is a fixed list of them, carried out in order: a pure value.
///
/// A step first receives (waits for the peer's next piece and does with it what `Receive` says), then sends. Either part may be
/// missing. Because steps are taken in order, every element is reduced in an order that the schedule alone decides, so the
/// result has the same bits whatever arrives first.
public struct Step: Equatable, Sendable {
    public var receive: Receive?
    public var send: Send?

    public init(receive: Receive? = nil, send: Send? = nil) {
        self.receive = receive
        self.send = send
    }
}

/// A piece that arrives. Ranges are in elements of the operation's buffer and may be empty.
public struct Receive: Equatable, Sendable {
    public enum Action: Equatable, Sendable {
        /// `buffer[range] += landing[slot]`.
        case reduce(slot: Int)
        /// The same, and the range then holds every rank's part: finish it (divide an average).
        case reduceAndFinish(slot: Int)
        /// The peer wrote the result straight into `buffer[range]`.
        case stored
    }

    public var peer: Int
    public var range: Range<Int>
    public var action: Action
}

/// A piece that leaves from `buffer[range]`.
public struct Send: Equatable, Sendable {
    public enum Target: Equatable, Sendable {
        /// Into the peer's landing slot.
        case landing(slot: Int)
        /// Into the peer's buffer at the same range.
        case buffer
    }

    public var peer: Int
    public var range: Range<Int>
    public var target: Target
}
