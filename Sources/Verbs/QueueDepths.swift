/// How many work requests of each kind may be posted and not yet be completed.
public struct QueueDepths: Sendable, Equatable {
    public var sends: Int
    public var receives: Int

    public init(sends: Int, receives: Int) {
        self.sends = sends
        self.receives = receives
    }
}
