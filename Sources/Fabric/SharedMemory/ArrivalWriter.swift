internal import CPlatform
internal import Synchronization

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

    /// Appends an arrival that the reader takes no earlier than its bytes have passed an emulated link. There is room.
    /// - Parameters:
    ///   - firstByteAt: nanoseconds of CLOCK_MONOTONIC.
    ///   - duration: nanoseconds from the first byte to the last.
    mutating func push(_ kind: ArrivalEntry.Kind, immediate: UInt32, firstByteAt: UInt64, duration: UInt64) {
        unsafe next.assumingMemoryBound(to: ArrivalEntry.self).pointee.offset = firstByteAt
        unsafe (next + ArrivalEntry.payloadOffset).storeBytes(of: duration, as: UInt64.self)
        push(kind, immediate: immediate)
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
