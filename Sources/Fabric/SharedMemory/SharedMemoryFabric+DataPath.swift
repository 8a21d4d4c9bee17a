internal import CPlatform
public import Fabric
internal import Synchronization

// SAFETY (whole file): channels are places in the fabric's own table; addresses come from its tables of regions, which hold the mappings
// and say where they end.
extension SharedMemoryFabric {
    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let rank = write.channel.peer
        guard 0..<worldSize ~= rank, slots[rank] >= 0, 0..<channelsPerPeer ~= write.channel.index, write.destination.peer == rank else {
            throw Self.noChannel(write)
        }
        let row = slots[rank] * channelsPerPeer + write.channel.index
        guard unsafe channels[row].pointee.isOpen else { throw gone(slots[rank]) }
        let remote = attachedMemory[Int(write.destination.identifier)]
        guard
            let source = unsafe regionMemory[Int(write.source.identifier)].address(
                offset: write.sourceOffset, byteCount: write.byteCount),
            let target = unsafe remote.address(offset: write.destinationOffset, byteCount: write.byteCount)
        else { throw Self.outOfBounds(write) }
        guard unsafe channels[row].pointee.writer.hasRoom() else { throw queueFull(write) }
        if isLinked { return unsafe try post(write, on: row, from: source, to: target) }
        if write.byteCount > ArrivalEntry.inlineLimit {
            unsafe target.copyMemory(from: source, byteCount: write.byteCount)
            unsafe channels[row].pointee.writer.push(.placed, immediate: write.immediate)
        } else if write.byteCount > 0 {
            unsafe channels[row].pointee.writer.push(
                immediate: write.immediate, source: source, byteCount: write.byteCount, region: remote.ownersNumber,
                offset: write.destinationOffset)
        } else {
            unsafe channels[row].pointee.writer.push(.placed, immediate: write.immediate)
        }
        guard configuration.reportsCompletions else {
            // Where a peer that goes to sleep fences this core, a write needs no fence of its own.
            if isFencedBySleepers { platform_compiler_fence() } else { atomicMemoryFence(ordering: .sequentiallyConsistent) }
            unsafe channels[row].pointee.bell.wakeIfAsleep()
            return channels.count(on: row)
        }
        owesWake = true
        // One that has slept for long is seen here; one that is just going to sleep, by `flush`.
        unsafe channels[row].pointee.bell.wakeIfAsleep()
        return channels.post(on: row)
    }

    public mutating func poll() -> FabricEvent? {
        if isLinked { return pollLink() }
        if channels.unreportedCount > 0, let completion = nextCompletion() { return completion }
        let count = channels.count
        var row = cursor
        for _ in 0..<count {
            let following = row + 1 == count ? 0 : row + 1
            if unsafe channels[row].pointee.reader.isReady {
                cursor = following  // Each channel in its turn.
                if let event = take(from: row) { return event }
            }
            row = following
        }
        return leaving > 0 ? nextLeave() : nil
    }

    private mutating func nextCompletion() -> FabricEvent? {
        flush()
        while channels.unreportedCount > 0 {
            let row = channels.takeUnreported()
            guard unsafe channels[row].pointee.isOpen else { continue }
            return .completion(channel(of: row), through: unsafe channels[row].pointee.posted)
        }
        return nil
    }

    /// Wakes peers that went to sleep while we wrote to them. One fence for all writes since the last call: it waits until the cores of the
    /// readers have let go of the entries' lines.
    public mutating func flush() {
        guard owesWake else { return }
        owesWake = false
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        channels.wakeSleepers()
    }

    /// Takes the arrival that is ready on a channel: nil where it is the peer's leave.
    @inline(__always)
    mutating func take(from row: Int) -> FabricEvent? {
        // An entry that is ready stays as it is until `advance`; each field is read once.
        let entry = unsafe channels[row].pointee.reader.entry
        let immediate = unsafe entry.pointee.immediate
        switch unsafe ArrivalEntry.Kind(rawValue: entry.pointee.kind) {
        case .placed: break
        case .carried:
            let (byteCount, number, offset) = unsafe (Int(entry.pointee.byteCount), Int(entry.pointee.region), entry.pointee.offset)
            guard byteCount <= ArrivalEntry.inlineLimit, number < regionMemory.count, regionMemory[number].isTarget,
                let target = unsafe regionMemory[number].address(offset: Int(truncatingIfNeeded: offset), byteCount: byteCount)
            else { return failForNonsense(row, "names \(byteCount) bytes at \(offset) of our region \(number)") }
            unsafe copySmall(target, channels[row].pointee.reader.payload, byteCount)
        case .closed: return takeLeave(of: row, .peerClosed)
        case .abandoned: return takeLeave(of: row, .peerDied)
        case nil: return failForNonsense(row, "is of no known kind")
        }
        unsafe channels[row].pointee.reader.advance()
        return .arrival(channel(of: row), immediate: immediate)
    }

    @inline(__always)
    func channel(of row: Int) -> Channel {
        if channelsPerPeer == 1 { return Channel(peer: peers[row].rank, index: 0) }
        let (slot, index) = row.quotientAndRemainder(dividingBy: channelsPerPeer)
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
    func queueFull(_ write: Write) -> FabricError {
        FabricError(
            .queueFull, during: .write, peer: write.channel.peer,
            detail: "\(arrivalDepth) arrivals or more unread, or writes not completed, on channel \(write.channel.index)")
    }
}
