/// A peer's memory as we may address it: a handle into the tables of the fabric that attached it.
public struct RemoteRegion: Sendable, Hashable, BitwiseCopyable {
    public let peer: Int
    /// The attaching fabric's own number for it, never reused in one fabric.
    public let identifier: UInt32
    public let byteCount: Int

    public init(peer: Int, identifier: UInt32, byteCount: Int) {
        self.peer = peer
        self.identifier = identifier
        self.byteCount = byteCount
    }
}
