// Sendable without the compiler's proof: the handle is immutable; who may touch its bytes when is the executor's protocol.
/// Memory of this rank that peers may write into. A handle: the fabric that allocated it owns the memory, and the pointer is
/// good until `release` or the fabric's end. Copy it freely; it frees nothing.
@safe
public struct Region: @unchecked Sendable, Hashable, BitwiseCopyable {
    /// The fabric's own number for the region, never reused in one fabric.
    public let identifier: UInt32
    public let byteCount: Int
    /// The first byte: page-aligned where the fabric allocated it, anywhere where the caller's memory was registered.
    public let base: UnsafeMutableRawPointer

    public init(identifier: UInt32, base: UnsafeMutableRawPointer, byteCount: Int) {
        self.identifier = identifier
        // SAFETY: the fabric that makes the handle keeps the memory, as said above.
        unsafe self.base = base
        self.byteCount = byteCount
    }

    public static func == (left: Region, right: Region) -> Bool { left.identifier == right.identifier }

    public func hash(into hasher: inout Hasher) { hasher.combine(identifier) }
}
