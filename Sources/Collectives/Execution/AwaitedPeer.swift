/// A collective that waits for a message, and from which peer.
public struct AwaitedPeer: Sendable, Equatable {
    public var peer: Int
    /// The operation's place in the order of its stream, from 0 on.
    public var stream: Stream
    public var number: UInt64
    public var operation: String
}
