internal import CPlatform
public import Fabric

extension SharedMemoryFabric {
    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let slot = try slot(of: write)
        let channel = write.channel.index
        let control = peers[slot].control
        let lane = control.lane(peer: rank, channel: channel)
        guard control.hasRoom(lane: lane) else {
            throw FabricError(
                .queueFull, during: .write, peer: write.channel.peer,
                detail: "\(control.layout.depth) arrivals unread on channel \(channel)")
        }
        if write.byteCount > 0 {
            guard let source = regions[Int(write.source.identifier)], let target = attachments[Int(write.destination.identifier)] else {
                throw FabricError(.outOfBounds, during: .write, peer: write.channel.peer, detail: "the region was given back")
            }
            // SAFETY: both mappings are held by the tables, and `slot(of:)` checked both ranges.
            unsafe (target.base + write.destinationOffset).copyMemory(
                from: source.base + write.sourceOffset, byteCount: write.byteCount)
        }
        _ = control.push(write.immediate, lane: lane)  // There is room: this rank is the lane's only writer.
        control.ring()
        let index = slot * channelsPerPeer + channel
        posted[index] += 1
        unreported += 1
        return posted[index]
    }

    /// The peer's slot, if the write may be posted.
    private func slot(of write: Write) throws(FabricError) -> Int {
        let rank = write.channel.peer
        guard 0..<worldSize ~= rank, slots[rank] >= 0, 0..<channelsPerPeer ~= write.channel.index, write.destination.peer == rank else {
            throw FabricError(
                .wrongPeer, during: .write, peer: rank, detail: "no channel \(write.channel.index) to it, or another's region")
        }
        if case .gone(let cause) = peers[slots[rank]].status {
            throw FabricError(cause, during: .write, peer: rank, detail: "it is gone")
        }
        guard write.byteCount >= 0, write.sourceOffset >= 0, write.destinationOffset >= 0,
            write.sourceOffset <= write.source.byteCount - write.byteCount,
            write.destinationOffset <= write.destination.byteCount - write.byteCount
        else {
            throw FabricError(
                .outOfBounds, during: .write, peer: rank,
                detail: "\(write.byteCount) bytes from \(write.sourceOffset) of \(write.source.byteCount) "
                    + "to \(write.destinationOffset) of \(write.destination.byteCount)")
        }
        return slots[rank]
    }

    public mutating func poll() -> FabricEvent? {
        if unreported > 0, let completion = nextCompletion() { return completion }
        let bell = control.doorbell
        if bell == seenDoorbell { return nil }
        for _ in 0..<peers.count {
            if let event = nextEvent(from: cursor) { return event }
            cursor = cursor + 1 == peers.count ? 0 : cursor + 1
        }
        // Nothing anywhere: what rings from now on makes another number.
        seenDoorbell = bell
        return nil
    }

    private mutating func nextCompletion() -> FabricEvent? {
        for index in posted.indices where posted[index] != reported[index] {
            let (slot, channel) = index.quotientAndRemainder(dividingBy: channelsPerPeer)
            unreported -= Int(posted[index] - reported[index])
            reported[index] = posted[index]
            if case .gone = peers[slot].status { continue }
            return .completion(Channel(peer: peers[slot].rank, index: channel), through: posted[index])
        }
        return nil
    }

    private mutating func nextEvent(from slot: Int) -> FabricEvent? {
        let rank = peers[slot].rank
        if case .gone = peers[slot].status { return nil }
        // The state is read before the lanes are drained: what was written before it was set is then seen.
        let state = control.state(lane: control.lane(peer: rank, channel: 0))
        for channel in 0..<channelsPerPeer {
            if let immediate = control.pop(lane: control.lane(peer: rank, channel: channel)) {
                return .arrival(Channel(peer: rank, index: channel), immediate: immediate)
            }
        }
        if state == .closed {
            peers[slot].status = .gone(.peerClosed)
            return .closed(peer: rank)
        }
        var died = state == .abandoned
        if case .dying = peers[slot].status { died = true }
        guard died else { return nil }
        peers[slot].status = .gone(.peerDied)
        return .failure(
            FabricError(
                .peerDied, during: .write, peer: rank, detail: "its process ended without taking leave", remedy: "see its own output"))
    }

    public mutating func wait(until deadline: FabricInstant) {
        if unreported > 0 { return }
        for _ in 0..<configuration.spins {
            if control.doorbell != seenDoorbell { return }
            platform_pause()
        }
        let start = now()
        checkLiveness(at: start)
        guard deadline > start else { return }
        control.sleep(seen: seenDoorbell, nanoseconds: min(deadline.since(start), Self.livenessIntervalMilliseconds * 1_000_000))
    }

    /// Looks at the process descriptors, at most once an interval. A peer that is gone makes its last arrivals readable and then fails.
    private mutating func checkLiveness(at time: FabricInstant) {
        guard time.since(lastLivenessCheck) >= Self.livenessIntervalMilliseconds * 1_000_000 else { return }
        lastLivenessCheck = time
        for slot in peers.indices {
            guard case .open = peers[slot].status, platform_process_ended(peers[slot].processDescriptor) != 0 else { continue }
            peers[slot].status = .dying
            control.ring()
        }
    }
}
