internal import CPlatform
internal import Synchronization

/// One arrival: a cache line that goes from the writer's core to the reader's, and all that a small message costs.
///
/// The reader looks at the entry itself, not at a count beside it: an entry is there when its `sequence` is the one the reader waits for
/// (FastForward, PPoPP 2008, which took it from Lamport's queue). How far the reader has come is a word of its own, which the reader
/// writes a few times a lap and the writer reads when it runs out of what it knew to be free.
struct ArrivalEntry {
    /// 1 for the first arrival, then one more each, wrapping around. Written last.
    var sequence: UInt32
    var immediate: UInt32
    /// Of a carried payload: where it goes in the reader's memory. Over an emulated link, where nothing is carried: when the first byte is there,
    /// and the payload begins with the nanoseconds that all bytes take.
    var offset: UInt64
    var region: UInt32
    var byteCount: UInt16
    var kind: UInt16
    // Then the payload.

    static let byteCount = 64
    static let payloadOffset = 24
    static let inlineLimit = byteCount - payloadOffset

    enum Kind: UInt16 {
        /// The bytes are in the region, or there are none.
        case placed = 0
        /// The bytes are in the entry; the reader puts them into its region.
        case carried = 1
        /// The writer took leave in order; its last entry.
        case closed = 2
        /// The writer's fabric was destroyed; its last entry.
        case abandoned = 3
    }
}

/// How many entries a ring has, which both sides compute from the depth that users see.
struct ArrivalRingSize: Equatable, Sendable {
    /// Unread arrivals for which there is always room.
    var depth: Int

    /// The reader says how far it has come once in so many arrivals, so the writer may think it so much further behind.
    var batch: Int { max(1, depth / 4) }
    /// One entry more than depth and batch: a leave always finds room.
    var entries: Int { depth + batch + 1 }
    /// Unread arrivals, as the writer knows it, beyond which a write is refused.
    var limit: Int { depth + batch }
    /// The reader's word on a pair of lines of its own (cores fetch lines in pairs), then the entries.
    static let header = 128
    var byteCount: Int { (Self.header + entries * ArrivalEntry.byteCount + 127) / 128 * 128 }
}

/// At most `inlineLimit` bytes; the common sizes without a call.
@inline(__always)
func copySmall(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ byteCount: Int) {
    // SAFETY: both sides have `byteCount` bytes, as the callers checked.
    switch byteCount {
    case 4: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
    case 8: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
    default: unsafe target.copyMemory(from: source, byteCount: byteCount)
    }
}
