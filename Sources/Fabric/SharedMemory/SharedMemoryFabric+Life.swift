internal import CPlatform
public import Fabric

// SAFETY (whole file): channels are places in the fabric's own table.
/// Waiting, and how peers leave.
extension SharedMemoryFabric: DescriptorWaiting {
    public mutating func wait(until deadline: FabricInstant) {
        if isLinked { return waitForLink(until: deadline, isPatient: false) }
        if isAwaited() { return }
        for _ in 0..<configuration.waits.spins {
            platform_pause()
            if isAwaited() { return }
        }
        var start = now()
        if sharing.begins(at: start) {
            for _ in 0..<configuration.waits.yields {
                platform_yield()
                start = now()
                let goesOn = sharing.yielded(at: start)
                if isAwaited() { return }
                if !goesOn { break }
            }
        }
        checkLiveness(at: start)
        guard deadline > start, prepareToSleep() else { return }
        control.bell.sleep(nanoseconds: min(deadline.since(start), longestSleepMilliseconds * 1_000_000))
        control.bell.rise()
    }

    public mutating func waitPatiently(until deadline: FabricInstant) {
        if isLinked { waitForLink(until: deadline, isPatient: true) } else { wait(until: deadline) }
    }

    // MARK: sleeping, alone or with another fabric

    public var sleepDescriptors: [Int32] { control.pipe.map { [$0.descriptor] } ?? [] }

    public var longestSleepMilliseconds: UInt64 { isSleepFenced ? livenessIntervalMilliseconds : 1 }

    @inline(__always)
    public mutating func isAwaited() -> Bool {
        channels.unreportedCount > 0 || channels.isAnyReady || leaving > 0 || control.bell.takeRing()
    }

    public mutating func prepareToSleep() -> Bool {
        guard channels.unreportedCount == 0, leaving == 0, control.bell.prepareToSleep() else { return false }
        // A writer may rely on this instead of a fence of its own. Where it cannot be had, what is missed is missed for a millisecond.
        isSleepFenced = platform_fence_all() != 0
        if channels.isAnyReady {
            control.bell.rise()
            return false
        }
        return true
    }

    public mutating func rise() {
        control.bell.rise()
        checkLiveness(at: now())
    }

    // MARK: peers' ends

    /// Looks at the process descriptors, at most once an interval. A peer that is gone makes its last arrivals readable and then fails.
    mutating func checkLiveness(at time: FabricInstant) {
        guard time.since(lastLivenessCheck) >= livenessIntervalMilliseconds * 1_000_000 else { return }
        lastLivenessCheck = time
        for slot in peers.indices where platform_process_ended(peers[slot].processDescriptor) != 0 {
            beginLeave(of: slot, Self.death(of: peers[slot].rank))
        }
    }

    /// A peer's last word. Its other channels may hold more, so it is reported when they are empty.
    mutating func takeLeave(of row: Int, _ cause: FabricError.Cause) -> FabricEvent? {
        let slot = row / channelsPerPeer
        unsafe channels[row].pointee.reader.advance()
        let rank = peers[slot].rank
        let detail = cause == .peerDied ? "it went without taking leave: the process ended, or gave this rank up" : "it left"
        let error = FabricError(cause, during: .receive, peer: rank, detail: detail, remedy: cause == .peerDied ? "see its own output" : "")
        beginLeave(of: slot, error)
        return nil
    }

    private mutating func beginLeave(of slot: Int, _ error: FabricError) {
        guard case .open = peers[slot].status else { return }
        peers[slot].status = .leaving(error)
        leaving += 1
    }

    /// The leave of a peer of which nothing more is to be read.
    mutating func nextLeave() -> FabricEvent? {
        for slot in peers.indices {
            guard case .leaving(let error) = peers[slot].status else { continue }
            if hasUnread(slot) { continue }
            return end(slot, error)
        }
        return nil
    }

    func hasUnread(_ slot: Int) -> Bool {
        (slot * channelsPerPeer..<(slot + 1) * channelsPerPeer).contains { unsafe channels[$0].pointee.reader.isReady }
    }

    /// An arrival that no fabric of ours writes: the peer fails, and nothing of it is believed any more.
    @inline(never)
    mutating func failForNonsense(_ row: Int, _ what: String) -> FabricEvent? {
        let (slot, channel) = row.quotientAndRemainder(dividingBy: channelsPerPeer)
        if case .open = peers[slot].status { leaving += 1 }
        return end(
            slot,
            FabricError(
                .wrongPeer, during: .receive, peer: peers[slot].rank, detail: "its arrival on channel \(channel) \(what)",
                remedy: "start all ranks from the same build"))
    }

    private mutating func end(_ slot: Int, _ error: FabricError) -> FabricEvent {
        leaving -= 1
        peers[slot].status = .gone(error.cause)
        for channel in 0..<channelsPerPeer { channels.silence(slot * channelsPerPeer + channel) }
        return error.cause == .peerClosed ? .closed(peer: peers[slot].rank) : .failure(error)
    }

    private static func death(of rank: Int) -> FabricError {
        FabricError(
            .peerDied, during: .write, peer: rank, detail: "its process ended without taking leave", remedy: "see its own output")
    }

    // MARK: our own end

    /// Says to every peer that is still there that we leave; the rings keep room for it.
    func takeLeave(_ kind: ArrivalEntry.Kind) {
        for slot in peers.indices where unsafe channels[slot * channelsPerPeer].pointee.isOpen {
            let first = isLinked ? books.nextFirstByte(at: now().nanoseconds) : 0
            unsafe channels[slot * channelsPerPeer].pointee.writer.push(kind, immediate: 0, firstByteAt: first, duration: 0)
            peers[slot].control.bell.ring()
        }
    }
}
