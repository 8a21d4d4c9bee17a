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

/// A point on a fabric's own clock, in nanoseconds since its unspecified beginning.
public struct FabricInstant: Comparable, Sendable, Hashable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static let distantFuture = FabricInstant(nanoseconds: .max)

    public static func < (left: FabricInstant, right: FabricInstant) -> Bool { left.nanoseconds < right.nanoseconds }

    /// Saturates at `distantFuture`.
    public func advanced(milliseconds: UInt64) -> FabricInstant {
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, carry) = nanoseconds.addingReportingOverflow(product)
        return overflow || carry ? .distantFuture : FabricInstant(nanoseconds: sum)
    }

    /// Nanoseconds since `earlier`, 0 where that is later.
    public func since(_ earlier: FabricInstant) -> UInt64 {
        nanoseconds > earlier.nanoseconds ? nanoseconds - earlier.nanoseconds : 0
    }
}

/// Ends the owner's `wait` from any thread.
public struct Waker: Sendable {
    private let action: @Sendable () -> Void

    public init(_ action: @escaping @Sendable () -> Void) { self.action = action }

    public func wake() { action() }
}
