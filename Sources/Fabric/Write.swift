/// A one-sided write: `byteCount` bytes from `sourceOffset` of our region to `destinationOffset` of the peer's region.
/// `byteCount` may be 0: then only the immediate data travels. Offsets are in bytes and need no alignment.
public struct Write: Sendable, BitwiseCopyable {
    public var channel: Channel
    public var source: Region
    public var sourceOffset: Int
    public var destination: RemoteRegion
    public var destinationOffset: Int
    public var byteCount: Int
    /// Delivered with the arrival, all 32 bits the caller's.
    public var immediate: UInt32

    public init(
        channel: Channel, source: Region, sourceOffset: Int, destination: RemoteRegion, destinationOffset: Int, byteCount: Int,
        immediate: UInt32
    ) {
        self.channel = channel
        self.source = source
        self.sourceOffset = sourceOffset
        self.destination = destination
        self.destinationOffset = destinationOffset
        self.byteCount = byteCount
        self.immediate = immediate
    }
}
