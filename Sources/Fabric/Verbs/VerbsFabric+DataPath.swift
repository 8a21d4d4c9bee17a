public import Fabric
import Verbs

// Nothing here allocates, locks or enters the kernel unless something has failed: all tables were made in `connect`.
extension VerbsFabric {
    /// Chains the write; the chain leaves at the next `poll`, `wait` or `close`, or when it is full. The last of a chain is signalled: its
    /// completion is a watermark, because a queue pair completes in order.
    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let slot = try slotForWriting(write)
        let source = Int(write.source.identifier)
        let destination = Int(write.destination.identifier)
        guard regions.indices.contains(source), regions[source].isLive,
            isInside(offset: write.sourceOffset, byteCount: write.byteCount, size: regions[source].byteCount)
        else { throw outOfBounds(write, "source", size: write.source.byteCount, offset: write.sourceOffset) }
        guard remotes.indices.contains(destination), remotes[destination].isLive, remotes[destination].peer == write.channel.peer,
            isInside(offset: write.destinationOffset, byteCount: write.byteCount, size: remotes[destination].byteCount)
        else { throw outOfBounds(write, "destination", size: write.destination.byteCount, offset: write.destinationOffset) }
        let ticket = channels[slot].posted + 1
        guard channels[slot].posted - channels[slot].completed < UInt64(configuration.writeDepth) else { throw queueFull(write) }
        guard let queuePair = channels[slot].queuePair else { fatalError("VerbsFabric: open channel without a queue pair") }
        let device = channels[slot].device
        let (sourcePiece, piece) = (
            write.sourceOffset >> regions[source].strideExponent, write.destinationOffset >> remotes[destination].strideExponent
        )
        // SAFETY: inside the region by the check above; it stays until `release`, which the contract forbids while this is under way.
        unsafe queuePair.chainWrite(
            identifier: WorkRequestTag(.write, slot: slot, ticket: ticket).identifier, source: regions[source].base + write.sourceOffset,
            localKey: localKeys[regions[source].firstKey + sourcePiece * devices.count + device], byteCount: UInt32(write.byteCount),
            remoteAddress: remotes[destination].address + UInt64(write.destinationOffset),
            remoteKey: remoteKeys[remotes[destination].firstKey + piece * devices.count + device], immediate: write.immediate)
        if queuePair.chained == queuePair.chainCapacity {
            post(slot)
            if let failure = peers[write.channel.peer].failure { throw failure }
        } else if !channels[slot].isHeldBack {
            channels[slot].isHeldBack = true
            heldBack.append(slot)
        }
        channels[slot].posted = ticket
        return ticket
    }

    /// Gives every chain to the device.
    mutating func postHeldBack() {
        for index in heldBack.indices {
            channels[heldBack[index]].isHeldBack = false
            post(heldBack[index])
        }
        heldBack.removeAll(keepingCapacity: true)
    }

    /// A refused chain fails the peer: its tickets are out, and no completion would come for them.
    private mutating func post(_ slot: Int) {
        do throws(VerbsError) {
            try channels[slot].queuePair?.postChain()
        } catch {
            let peer = channels[slot].channel.peer
            fail(peer: peer, FabricError(error, during: .write, peer: peer))
        }
    }

    public mutating func poll() -> FabricEvent? {
        if !heldBack.isEmpty { postHeldBack() }
        guard let completions else { return pollControl() }
        while true {
            if !pending.isEmpty { return pending.removeFirst() }
            if completions.isEmpty {
                pollsUntilControlCheck -= 1
                if pollsUntilControlCheck < 0 { checkControl() }
                guard fetch(completions) else {
                    // What a disconnected peer delivered has been reported by now: the queue was empty after the disconnection was seen.
                    if hasDisconnections { endDisconnected() }
                    return pending.isEmpty ? nil : pending.removeFirst()
                }
            }
            while let completion = completions.take() {
                if let event = event(of: completion, in: completions) { return event }
            }
        }
    }

    /// - Returns: whether there are completions to take.
    mutating func fetch(_ completions: CompletionQueue) -> Bool {
        do throws(VerbsError) {
            return try completions.fetch()
        } catch {
            failAllPeers(FabricError(error, during: .receive))
            return false
        }
    }

    /// For a fabric without peers.
    private mutating func pollControl() -> FabricEvent? {
        pollsUntilControlCheck -= 1
        if pollsUntilControlCheck < 0 { checkControl() }
        return pending.isEmpty ? nil : pending.removeFirst()
    }

    /// What a completion means to the owner, nil where nothing.
    private mutating func event(of completion: Completion, in completions: CompletionQueue) -> FabricEvent? {
        guard let tag = WorkRequestTag(completion.identifier), channels.indices.contains(tag.slot) else {
            fatalError("VerbsFabric: completion with the unknown identifier \(completion.identifier)")
        }
        let peer = channels[tag.slot].channel.peer
        guard peers[peer].phase != .failed else { return nil }
        guard completion.status == .success else {
            fail(channel: tag.slot, kind: tag.kind, status: completion.status)
            return nil
        }
        switch tag.kind {
        case .write: return writesCompleted(tag, in: completions)
        case .goodbye:
            channels[tag.slot].hasGoodbyeCompleted = true
            return nil
        case .receive:
            replenish(tag.slot)
            if completion.kind == .receivedWrite { return .arrival(channels[tag.slot].channel, immediate: completion.immediate) }
            return goodbyeReceived(from: peer)
        }
    }

    /// Takes the completions that follow on the same channel along: one watermark for all.
    private mutating func writesCompleted(_ first: WorkRequestTag, in completions: CompletionQueue) -> FabricEvent {
        var last = first
        while let next = completions.peek(), next.status == .success, let tag = WorkRequestTag(next.identifier), tag.kind == .write,
            tag.slot == first.slot
        {
            _ = completions.take()
            last = tag
        }
        channels[first.slot].completed = last.ticket(after: channels[first.slot].completed)
        return .completion(channels[first.slot].channel, through: channels[first.slot].completed)
    }

    /// Counts a receive that was used, and posts them again when there are enough.
    private mutating func replenish(_ slot: Int) {
        channels[slot].consumedReceives += 1
        guard channels[slot].consumedReceives >= sizes.replenishBatch, let queuePair = channels[slot].queuePair else { return }
        do throws(VerbsError) {
            let identifier = WorkRequestTag(.receive, slot: slot).identifier
            try queuePair.postReceives(identifier: identifier, count: channels[slot].consumedReceives)
            channels[slot].consumedReceives = 0
        } catch {
            let peer = channels[slot].channel.peer
            fail(peer: peer, FabricError(error, during: .receive, peer: peer))
        }
    }

    /// The last thing on each channel of a peer: after the last channel's, everything that the peer wrote has been reported.
    private mutating func goodbyeReceived(from peer: Int) -> FabricEvent? {
        peers[peer].goodbyes += 1
        guard peers[peer].goodbyes == configuration.channelsPerPeer, peers[peer].phase == .open else { return nil }
        peers[peer].phase = .closed
        return .closed(peer: peer)
    }

    // MARK: Refusals

    private func slotForWriting(_ write: Write) throws(FabricError) -> Int {
        let peer = write.channel.peer
        guard peers.indices.contains(peer), write.channel.index >= 0, write.channel.index < configuration.channelsPerPeer else {
            fatalError("VerbsFabric.write: there is no channel \(write.channel)")
        }
        switch peers[peer].phase {
        case .open: return peers[peer].firstSlot + write.channel.index
        case .failed: throw peers[peer].failure ?? FabricError(.peerDied, during: .write, peer: peer, detail: "it failed before")
        case .closed:
            let who = isClosed ? "this rank" : "it"
            throw FabricError(.peerClosed, during: .write, peer: peer, detail: "\(who) took leave before the write")
        case .unconnected, .connecting:
            throw FabricError(.peerUnreachable, during: .write, peer: peer, detail: "it is not connected", remedy: "name it in connect")
        }
    }

    private func isInside(offset: Int, byteCount: Int, size: Int) -> Bool {
        offset >= 0 && byteCount >= 0 && offset <= size && byteCount <= size - offset && byteCount <= writeByteLimit
    }

    private func outOfBounds(_ write: Write, _ side: String, size: Int, offset: Int) -> FabricError {
        if write.byteCount > writeByteLimit {
            return FabricError(
                .outOfBounds, during: .write, peer: write.channel.peer,
                detail: "\(write.byteCount) bytes in one write; \(deviceName) takes at most \(writeByteLimit)",
                remedy: "write them in several parts")
        }
        return FabricError(
            .outOfBounds, during: .write, peer: write.channel.peer,
            detail: "\(write.byteCount) bytes at \(offset) are not inside the \(side) region of \(size) bytes, or it is not known here")
    }

    private func queueFull(_ write: Write) -> FabricError {
        FabricError(
            .queueFull, during: .write, peer: write.channel.peer,
            detail: "\(configuration.writeDepth) writes on channel \(write.channel) have not completed yet")
    }
}
