internal import CPlatform
public import Fabric
internal import Synchronization

// SAFETY (whole file): lanes are places in the fabric's own table; addresses come from its tables of regions, which hold the mappings
// and say where they end.
extension SharedMemoryFabric {
    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let rank = write.channel.peer
        guard 0..<worldSize ~= rank, slots[rank] >= 0, 0..<channelsPerPeer ~= write.channel.index, write.destination.peer == rank else {
            throw Self.noChannel(write)
        }
        let lane = slots[rank] * channelsPerPeer + write.channel.index
        guard unsafe lanes[lane].pointee.isOpen else { throw gone(slots[rank]) }
        let remote = attachedMemory[Int(write.destination.identifier)]
        guard
            let source = unsafe regionMemory[Int(write.source.identifier)].address(
                offset: write.sourceOffset, byteCount: write.byteCount),
            let target = unsafe remote.address(offset: write.destinationOffset, byteCount: write.byteCount)
        else { throw Self.outOfBounds(write) }
        guard unsafe lanes[lane].pointee.writer.hasRoom() else { throw queueFull(write) }
        if write.byteCount > ArrivalEntry.inlineLimit {
            unsafe target.copyMemory(from: source, byteCount: write.byteCount)
            unsafe lanes[lane].pointee.writer.push(.placed, immediate: write.immediate)
        } else if write.byteCount > 0 {
            unsafe lanes[lane].pointee.writer.push(
                immediate: write.immediate, source: source, byteCount: write.byteCount, region: remote.ownersNumber,
                offset: write.destinationOffset)
        } else {
            unsafe lanes[lane].pointee.writer.push(.placed, immediate: write.immediate)
        }
        guard configuration.reportsCompletions else {
            // Where sleepers fence us, nobody who is awake pays for it.
            if isFencedBySleepers { platform_compiler_fence() } else { atomicMemoryFence(ordering: .sequentiallyConsistent) }
            unsafe lanes[lane].pointee.bell.wakeIfAsleep()
            return lanes.count(on: lane)
        }
        owesWake = true
        // One that has slept for long is seen here; one that is just going to sleep, by `flush`.
        unsafe lanes[lane].pointee.bell.wakeIfAsleep()
        return lanes.post(on: lane)
    }

    public mutating func poll() -> FabricEvent? {
        if lanes.unreportedCount > 0, let completion = nextCompletion() { return completion }
        let count = lanes.count
        var lane = cursor
        for _ in 0..<count {
            let following = lane + 1 == count ? 0 : lane + 1
            if unsafe lanes[lane].pointee.reader.isReady {
                cursor = following  // Each lane in its turn.
                if let event = take(from: lane) { return event }
            }
            lane = following
        }
        return leaving > 0 ? nextLeave() : nil
    }

    private mutating func nextCompletion() -> FabricEvent? {
        flush()
        while lanes.unreportedCount > 0 {
            let lane = lanes.takeUnreported()
            guard unsafe lanes[lane].pointee.isOpen else { continue }
            return .completion(channel(of: lane), through: unsafe lanes[lane].pointee.posted)
        }
        return nil
    }

    /// Wakes peers that went to sleep while we wrote to them. One fence for all writes since the last call: it waits until the cores of the
    /// readers have let go of the entries' lines.
    public mutating func flush() {
        guard owesWake else { return }
        owesWake = false
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        lanes.wakeSleepers()
    }

    /// Takes the arrival that is ready on a lane: nil where it is the peer's leave.
    @inline(__always)
    private mutating func take(from lane: Int) -> FabricEvent? {
        // An entry that is ready stays as it is until `advance`; each field is read once.
        let entry = unsafe lanes[lane].pointee.reader.entry
        let immediate = unsafe entry.pointee.immediate
        switch unsafe ArrivalEntry.Kind(rawValue: entry.pointee.kind) {
        case .placed: break
        case .carried:
            let (byteCount, number, offset) = unsafe (Int(entry.pointee.byteCount), Int(entry.pointee.region), entry.pointee.offset)
            guard byteCount <= ArrivalEntry.inlineLimit, number < regionMemory.count,
                let target = unsafe regionMemory[number].address(offset: Int(truncatingIfNeeded: offset), byteCount: byteCount)
            else { return failForNonsense(lane, "names \(byteCount) bytes at \(offset) of our region \(number)") }
            unsafe copySmall(target, lanes[lane].pointee.reader.payload, byteCount)
        case .closed: return takeLeave(of: lane, .peerClosed)
        case .abandoned: return takeLeave(of: lane, .peerDied)
        case nil: return failForNonsense(lane, "is of no known kind")
        }
        unsafe lanes[lane].pointee.reader.advance()
        return .arrival(channel(of: lane), immediate: immediate)
    }

    @inline(__always)
    private func channel(of lane: Int) -> Channel {
        if channelsPerPeer == 1 { return Channel(peer: peers[lane].rank, index: 0) }
        let (slot, index) = lane.quotientAndRemainder(dividingBy: channelsPerPeer)
        return Channel(peer: peers[slot].rank, index: index)
    }

    // MARK: refusals

    @inline(never)
    private static func noChannel(_ write: Write) -> FabricError {
        FabricError(
            .wrongPeer, during: .write, peer: write.channel.peer, detail: "no channel \(write.channel.index) to it, or another's region")
    }

    @inline(never)
    private func gone(_ slot: Int) -> FabricError {
        var cause = FabricError.Cause.peerDied
        if case .gone(let known) = peers[slot].status { cause = known }
        return FabricError(cause, during: .write, peer: peers[slot].rank, detail: "it is gone")
    }

    @inline(never)
    private static func outOfBounds(_ write: Write) -> FabricError {
        FabricError(
            .outOfBounds, during: .write, peer: write.channel.peer,
            detail: "\(write.byteCount) bytes from \(write.sourceOffset) of \(write.source.byteCount) "
                + "to \(write.destinationOffset) of \(write.destination.byteCount), or a region given back")
    }

    @inline(never)
    private func queueFull(_ write: Write) -> FabricError {
        FabricError(
            .queueFull, during: .write, peer: write.channel.peer,
            detail: "\(arrivalDepth) arrivals or more unread on channel \(write.channel.index)")
    }
}
