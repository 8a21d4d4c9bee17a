internal import CPlatform
import Fabric
internal import Synchronization

// SAFETY (whole file): channels are places in the fabric's own table.
/// Writing, looking and waiting where a link is emulated.
extension SharedMemoryFabric {
    /// Copies the bytes at once, and has the peer take the arrival when they have passed the link. The peer may not look at them before: what
    /// a write goes to is the fabric's from before it is posted until it arrives, on any fabric.
    @inline(never)
    mutating func post(
        _ write: Write, on row: Int, from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer
    ) throws(FabricError) -> UInt64 {
        guard unsafe channels[row].pointee.posted - channels[row].pointee.reported < UInt64(writeDepth) else { throw queueFull(write) }
        let (firstByteAt, duration) = books.post(byteCount: write.byteCount, row: row, at: platform_now())
        // SAFETY: both sides have so many bytes, as the caller has looked up.
        unsafe target.copyMemory(from: source, byteCount: write.byteCount)
        unsafe channels[row].pointee.writer.push(.placed, immediate: write.immediate, firstByteAt: firstByteAt, duration: duration)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        unsafe channels[row].pointee.bell.wakeIfAsleep(past: firstByteAt + duration)
        return channels.count(on: row)
    }

    @inline(never)
    mutating func pollLink() -> FabricEvent? {
        let time = now().nanoseconds
        while let row = books.takeCompletion(at: time) {
            unsafe channels[row].pointee.reported += 1
            if hasFailed(row / channelsPerPeer) { continue }
            return .completion(channel(of: row), through: unsafe channels[row].pointee.reported)
        }
        while let (row, arrival) = nextArrival, arrival <= time {
            books.take(arrivedAt: arrival)
            if let event = take(from: row) { return event }
        }
        return leaving > 0 ? nextLeave() : nil
    }

    private func hasFailed(_ slot: Int) -> Bool {
        if case .gone(let cause) = peers[slot].status { cause != .peerClosed } else { false }
    }

    /// Of the writes whose arrivals are in the rings, that whose first byte comes first, and when all of it is there.
    private var nextArrival: (row: Int, at: UInt64)? {
        var found: (row: Int, firstByteAt: UInt64)?
        for row in 0..<channels.count where unsafe channels[row].pointee.reader.isReady {
            let firstByteAt = unsafe channels[row].pointee.reader.entry.pointee.offset
            if found == nil || firstByteAt < found!.firstByteAt { found = (row, firstByteAt) }
        }
        guard let (row, firstByteAt) = found else { return nil }
        let duration = unsafe channels[row].pointee.reader.payload.load(as: UInt64.self)
        return (row, books.arrival(firstByteAt: firstByteAt, duration: duration))
    }

    /// When there is an event next, as far as it is known; 0 for at once.
    private var nextEvent: UInt64 {
        if leaving > 0 {
            for slot in peers.indices {
                if case .leaving = peers[slot].status, !hasUnread(slot) { return 0 }
            }
        }
        return min(books.nextCompletion, nextArrival?.at ?? .max)
    }

    /// Sleeps until the next event is almost due, and looks for the last microseconds: to be woken takes as long.
    ///
    /// A patient sleeper is woken for many events at once, as a NIC moderates its interrupts, and never looks: a rank that handled each of many small messages
    /// in time would keep the core from the thread that computes. Where ranks outnumber cores, all gather while that keeps no link idle: the rank whose message
    /// is awaited wants the core, too.
    mutating func waitForLink(until deadline: FabricInstant, isPatient: Bool) {
        let start = now()
        let next = nextEvent
        guard min(next, deadline.nanoseconds) > start.nanoseconds, !control.bell.takeRing() else { return }
        let isCrowded = configuration.waits.spins == 0
        let last = isPatient ? lastSleepEnd.nanoseconds : 0
        let end = min(isPatient || isCrowded ? books.gatheringEnd(next: next, last: last) : next, deadline.nanoseconds)
        let early = isPatient ? 0 : isCrowded ? LinkBooks.crowdedWakeNanoseconds : LinkBooks.wakeNanoseconds
        if end - start.nanoseconds <= early {
            while platform_now() < end, !control.bell.takeRing() { platform_pause() }
            return
        }
        checkLiveness(at: start)
        // Nobody need wake a sleeper that wakes later than for what it knows.
        let isGathering = end > next
        control.bell.willSleep(until: isGathering ? 0 : end)
        guard control.bell.prepareToSleep() else { return }
        // What was written in the meantime may be due earlier.
        if isGathering || nextEvent >= end {
            let longest = livenessIntervalMilliseconds * 1_000_000
            control.bell.sleepPrecisely(nanoseconds: min(longest, end - start.nanoseconds - early))
        }
        control.bell.rise()
        lastSleepEnd = now()
    }
}
