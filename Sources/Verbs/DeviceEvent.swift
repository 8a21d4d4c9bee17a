/// Something that the device says by itself, not by a completion. Source: ibv_get_async_event(3).
public enum DeviceEvent: Sendable, Equatable {
    case deviceFailed
    case portFailed(Int)
    /// It took more completions than it has room for, or broke otherwise: completions are lost.
    case completionQueueFailed
    /// The pair with this number met with a failure that no completion tells.
    case queuePairFailed(UInt32)
    /// A peer asked the pair with this number for memory that is not offered.
    case accessRefused(UInt32)
    /// The addresses or the keys of a port changed. Connections may go on, or not.
    case portChanged(Int, String)
    /// Of no consequence.
    case other
}
