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
    /// Of a carried payload: where it goes in the reader's memory.
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

// SAFETY (whole file): rings lie in mappings that the fabric holds longer than these values. An entry is written before the release
// store of its sequence and read after the acquire load; it is written again after the acquire load of the reader's word only.

/// The writer's end of a ring. One thread.
@safe
struct ArrivalWriter {
    private var next: UnsafeMutableRawPointer
    private let first: UnsafeMutableRawPointer
    private let end: UnsafeMutableRawPointer
    private let head: UnsafeMutablePointer<Atomic<UInt32>>
    /// Of the next arrival.
    private var sequence: UInt32 = 1
    /// The reader's word when it was last read.
    private var knownHead: UInt32 = 0
    private let limit: UInt32

    init(at base: UnsafeMutableRawPointer, size: ArrivalRingSize) {
        unsafe first = base + ArrivalRingSize.header
        unsafe next = first
        unsafe end = first + size.entries * ArrivalEntry.byteCount
        unsafe head = base.assumingMemoryBound(to: Atomic<UInt32>.self)
        limit = UInt32(size.limit)
    }

    @inline(__always)
    mutating func hasRoom() -> Bool {
        if sequence &- 1 &- knownHead < limit { return true }
        knownHead = unsafe head.pointee.load(ordering: .acquiring)
        return sequence &- 1 &- knownHead < limit
    }

    /// Appends an arrival whose bytes are where they belong. There is room.
    @inline(__always)
    mutating func push(_ kind: ArrivalEntry.Kind, immediate: UInt32) {
        let entry = unsafe next.assumingMemoryBound(to: ArrivalEntry.self)
        unsafe entry.pointee.immediate = immediate
        unsafe entry.pointee.kind = kind.rawValue
        publish()
    }

    /// Appends an arrival with at most `inlineLimit` bytes of its own. There is room.
    @inline(__always)
    mutating func push(immediate: UInt32, source: UnsafeRawPointer, byteCount: Int, region: UInt32, offset: Int) {
        let entry = unsafe next.assumingMemoryBound(to: ArrivalEntry.self)
        unsafe entry.pointee.immediate = immediate
        unsafe entry.pointee.offset = UInt64(truncatingIfNeeded: offset)
        unsafe entry.pointee.region = region
        unsafe entry.pointee.byteCount = UInt16(truncatingIfNeeded: byteCount)
        unsafe entry.pointee.kind = ArrivalEntry.Kind.carried.rawValue
        unsafe copySmall(next + ArrivalEntry.payloadOffset, source, byteCount)
        publish()
    }

    @inline(__always)
    private mutating func publish() {
        unsafe next.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.store(sequence, ordering: .releasing)
        sequence &+= 1
        unsafe next += ArrivalEntry.byteCount
        if unsafe next == end { unsafe next = first }
        unsafe platform_prefetch_to_write(next)
    }
}

/// The reader's end of a ring. One thread.
@safe
struct ArrivalReader {
    private var next: UnsafeMutableRawPointer
    private let first: UnsafeMutableRawPointer
    private let end: UnsafeMutableRawPointer
    private let head: UnsafeMutablePointer<Atomic<UInt32>>
    /// The sequence of the next arrival.
    private var expected: UInt32 = 1
    private var untold: UInt32 = 0
    private let batch: UInt32

    init(at base: UnsafeMutableRawPointer, size: ArrivalRingSize) {
        unsafe first = base + ArrivalRingSize.header
        unsafe next = first
        unsafe end = first + size.entries * ArrivalEntry.byteCount
        unsafe head = base.assumingMemoryBound(to: Atomic<UInt32>.self)
        batch = UInt32(size.batch)
    }

    /// Whether there is an arrival.
    @inline(__always)
    var isReady: Bool {
        unsafe next.assumingMemoryBound(to: Atomic<UInt32>.self).pointee.load(ordering: .acquiring) == expected
    }

    /// The next arrival, which is ready; its fields are to be read once each: the writer may be no friend.
    @inline(__always)
    var entry: UnsafePointer<ArrivalEntry> { unsafe UnsafePointer(next.assumingMemoryBound(to: ArrivalEntry.self)) }

    @inline(__always)
    var payload: UnsafeRawPointer { unsafe UnsafeRawPointer(next + ArrivalEntry.payloadOffset) }

    @inline(__always)
    mutating func advance() {
        expected &+= 1
        unsafe next += ArrivalEntry.byteCount
        if unsafe next == end { unsafe next = first }
        untold += 1
        if untold == batch {
            untold = 0
            unsafe head.pointee.store(expected &- 1, ordering: .releasing)
        }
    }

    /// From now on nothing is ever ready: the ring of a peer that is gone.
    mutating func silence(with quietLine: UnsafeMutableRawPointer) {
        unsafe next = quietLine
        expected = 1
    }
}

/// At most `inlineLimit` bytes; the common sizes without a call.
@inline(__always)
func copySmall(_ target: UnsafeMutableRawPointer, _ source: UnsafeRawPointer, _ byteCount: Int) {
    // Both sides have `byteCount` bytes, as the callers checked.
    switch byteCount {
    case 4: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt32.self), as: UInt32.self)
    case 8: unsafe target.storeBytes(of: source.loadUnaligned(as: UInt64.self), as: UInt64.self)
    default: unsafe target.copyMemory(from: source, byteCount: byteCount)
    }
}
