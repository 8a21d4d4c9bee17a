import Foundation
import Testing

@testable import SharedMemoryFabric

/// A ring of arrivals between two threads that see it at one address. Ranks of one process map the same memory at addresses of their own,
/// between which thread sanitizer sees no order; here it sees the ring's.
@Suite struct RingTests {
    /// An entry that is ready is whole, and so is what was written before it; the reader has done with an entry that the writer writes again.
    @Test(arguments: [1, 5, 64]) func entriesCarryWhatCameBefore(depth: Int) {
        let ring = RingMemory(ArrivalRingSize(depth: depth), count: 5_000)
        let (written, read) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        Thread.detachNewThread {
            ring.write()
            written.signal()
        }
        Thread.detachNewThread {
            ring.read()
            read.signal()
        }
        written.wait()
        read.wait()
        #expect(ring.goodEntries == ring.count)
    }
}

/// A ring, and beside it a number for each entry that will ever be.
// Sendable without the compiler's proof: that is what the test is about. The ring orders the writer's and the reader's accesses.
// SAFETY (whole file): both pieces of memory live as long as this object, which both threads hold.
@safe
private final class RingMemory: @unchecked Sendable {
    let count: Int
    private let size: ArrivalRingSize
    private let base: UnsafeMutableRawPointer
    private let numbers: UnsafeMutablePointer<UInt64>
    /// The reader's, until it has ended.
    private(set) var goodEntries = 0

    init(_ size: ArrivalRingSize, count: Int) {
        self.size = size
        self.count = count
        unsafe base = .allocate(byteCount: size.byteCount, alignment: 128)
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: size.byteCount)
        unsafe numbers = .allocate(capacity: count)
        unsafe numbers.initialize(repeating: 0, count: count)
    }

    deinit {
        unsafe base.deallocate()
        unsafe numbers.deallocate()
    }

    func write() {
        var writer = unsafe ArrivalWriter(at: base, size: size)
        for index in 0..<count {
            while !writer.hasRoom() { sched_yield() }
            unsafe numbers[index] = UInt64(index) + 1
            unsafe writer.push(immediate: UInt32(index), source: numbers + index, byteCount: 8, region: 0, offset: 0)
        }
    }

    func read() {
        var reader = unsafe ArrivalReader(at: base, size: size)
        for index in 0..<count {
            while !reader.isReady { sched_yield() }
            let (immediate, payload) = unsafe (reader.entry.pointee.immediate, reader.payload.loadUnaligned(as: UInt64.self))
            let isGood = unsafe immediate == UInt32(index) && payload == UInt64(index) + 1 && numbers[index] == payload
            if isGood { goodEntries += 1 }
            reader.advance()
        }
    }
}
