/// Memory of a rank beyond its buffers.
public struct MemoryReport: Sendable {
    /// Where peers write what is to be reduced or passed on.
    public let receiveBufferByteCount: Int
    /// What it may be at most.
    public let limitByteCount: Int
}
