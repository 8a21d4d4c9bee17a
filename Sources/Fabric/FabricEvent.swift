/// Something that happened, in the order in which the fabric learnt of it.
public enum FabricEvent: Sendable {
    /// A peer's write is in our memory, whole.
    case arrival(Channel, immediate: UInt32)
    /// Every write on the channel up to this ticket has completed: its source may be reused.
    case completion(Channel, through: UInt64)
    /// The peer took leave in order.
    case closed(peer: Int)
    /// The peer cannot be reached any more; said once a peer.
    indirect case failure(FabricError)
}
