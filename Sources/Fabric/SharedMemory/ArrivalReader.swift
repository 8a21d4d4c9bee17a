internal import Synchronization

// SAFETY (whole file): rings lie in mappings that the fabric holds longer than these values. An entry is written before the release
// store of its sequence and read after the acquire load; it is written again after the acquire load of the reader's word only.

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
