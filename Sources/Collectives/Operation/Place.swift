/// Where something begins in a shared buffer. The offset is in bytes, a multiple of the element's size, the same on every rank.
public struct Place: Sendable, Equatable {
    public var buffer: SharedBuffer
    public var byteOffset: Int

    @inlinable
    public init(_ buffer: SharedBuffer, byteOffset: Int = 0) {
        self.buffer = buffer
        self.byteOffset = byteOffset
    }
}
