/// One step of a rank's part in a collective. A schedule is a fixed list of them, carried out in order: a pure value.
///
/// The parts of a step, each of which may be missing, in the order in which they are done: wait for the next message of a peer (`receive`),
/// wait until all writes of the operation have completed (`drain`), do something with memory (`action`), write to a peer (`send`).
/// Because steps are taken in order, every element is reduced in an order that the schedule alone decides, so the result has the
/// same bits whatever arrives first.
public struct Step: Equatable, Sendable {
    public var drain = false
    public var receive: Int?
    public var action: Action?
    public var send: Send?
    /// By which of the channels to the peer the message comes or goes, counted from the lane's own. Order holds inside a channel only.
    public var channel: Int
    /// The message says that others have done this rank's share as well: it may come long after the one before it, and whether those still move is
    /// for them to judge first.
    public var isPatient = false

    public init(drain: Bool = false, receive: Int? = nil, action: Action? = nil, send: Send? = nil, channel: Int = 0) {
        self.drain = drain
        self.receive = receive
        self.action = action
        self.send = send
        self.channel = channel
    }
}
