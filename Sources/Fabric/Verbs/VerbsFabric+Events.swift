internal import CPlatform
public import Fabric
import Verbs

// Sleeping, and everything that goes wrong.
extension VerbsFabric {
    /// Looks, spins for a bounded while, arms the queue, looks once more, sleeps: a completion between looking and arming is not lost.
    public mutating func wait(until deadline: FabricInstant) {
        postHeldBack()
        guard !hasSomething() else { return }
        if configuration.waits.deviceYieldNanoseconds > 0 {
            let end = min(deadline, FabricInstant(nanoseconds: now().nanoseconds + configuration.waits.deviceYieldNanoseconds))
            while now() < end {
                platform_yield()
                if hasSomething() { return }
            }
        }
        do throws(VerbsError) {
            try completions?.arm()
        } catch {
            return failAllPeers(FabricError(error, during: .receive))
        }
        guard !hasSomething() else { return }
        sleep(until: deadline)
    }

    /// Whether `poll` would find work without a system call.
    mutating func hasSomething() -> Bool {
        if hasDisconnections || !pending.isEmpty { return true }
        guard let completions else { return false }
        return fetch(completions) || !pending.isEmpty
    }

    /// Hears what the connection manager and the device have to say. Never blocks.
    mutating func checkControl() {
        pollsUntilControlCheck = Self.pollsPerControlCheck
        do throws(VerbsError) {
            while let event = try manager.nextEvent() { handle(event) }
        } catch {
            failAllPeers(FabricError(error, during: .receive))
        }
        while let failure = deviceFailure(during: .receive) {
            guard let number = failure.queuePair else {
                failAllPeers(failure.error)
                continue
            }
            // One that is closed already is nobody's.
            guard let channel = channels.first(where: { $0.queuePair?.number == number }) else { continue }
            var error = failure.error
            error.peer = channel.channel.peer
            fail(peer: channel.channel.peer, error)
        }
    }

    /// The next failure that one of the devices has told of.
    mutating func deviceFailure(during operation: FabricError.Operation) -> OpenDevice.Failure? {
        for index in devices.indices {
            if let failure = devices[index].failure(during: operation) { return failure }
        }
        return nil
    }

    /// The kernel took away the device of the connection or listener with this token.
    func deviceRemoved(_ token: Int, during operation: FabricError.Operation) -> FabricError {
        let device = channels.indices.contains(token - 1) ? channels[token - 1].device : -token
        let name = devices.indices.contains(device) ? devices[device].name : deviceName
        return FabricError(.deviceFailed, during: operation, detail: "device \(name) was removed")
    }

    /// Events of the connection manager once the job is connected.
    mutating func handle(_ event: ConnectionEvent) {
        switch event.kind {
        case .request: refuseLateRequest(event)
        case .disconnected: channelDisconnected(event.token - 1)
        case .deviceRemoved: failAllPeers(deviceRemoved(event.token, during: .receive))
        default: break
        }
    }

    /// Marks the channel; the rest waits until everything that the peer delivered has been read from the queue.
    mutating func channelDisconnected(_ slot: Int) {
        guard channels.indices.contains(slot), !channels[slot].isDisconnected else { return }
        channels[slot].isDisconnected = true
        hasDisconnections = true
    }

    /// Ends our side of what the peers have ended, and gives up those that said no goodbye. Not before the queue was seen empty: ending
    /// flushes our requests, and of a queue in parts those of one channel may be read before the goodbye on another.
    mutating func endDisconnected() {
        hasDisconnections = false
        for slot in channels.indices where channels[slot].isDisconnected {
            channels[slot].connection?.disconnect()
            let peer = channels[slot].channel.peer
            if peers[peer].phase == .open { fail(peer: peer, died(peer)) }
        }
    }

    private func died(_ peer: Int) -> FabricError {
        FabricError(
            .peerDied, during: .receive, peer: peer,
            detail: "its end of the connection was torn down without taking leave: the process ended, or gave this rank up")
    }

    // MARK: Verdicts

    /// A work request failed: finds out why, and gives the peer up.
    mutating func fail(channel slot: Int, kind: WorkRequestTag.Kind, status: CompletionStatus) {
        let peer = channels[slot].channel.peer
        // Flushed is a consequence; the cause may be waiting where it is heard of.
        if status == .flushed { checkControl() }
        switch peers[peer].phase {
        case .unconnected, .connecting, .failed: return
        case .closed where kind != .write: return  // receives and goodbyes to one that has left
        case .open, .closed: break
        }
        // The peer is to say itself what it has done with the region, or its end is to show: not that this rank went away.
        fail(peer: peer, verdict(slot, kind, status), keepsConnections: status == .remoteAccess && kind != .receive)
    }

    private func verdict(_ slot: Int, _ kind: WorkRequestTag.Kind, _ status: CompletionStatus) -> FabricError {
        let peer = channels[slot].channel.peer
        let operation: FabricError.Operation = kind == .receive ? .receive : .write
        let device = devices[channels[slot].device]
        func verdict(_ cause: FabricError.Cause, _ detail: String, _ remedy: String = "") -> FabricError {
            FabricError(
                cause, during: operation, peer: peer, detail: "\(detail) (completion status: \(status))\(device.noticeText)", remedy: remedy
            )
        }
        switch status {
        case _ where peers[peer].phase == .closed: return verdict(.peerClosed, "it took leave while writes to it were under way")
        case .flushed where channels[slot].isDisconnected: return died(peer)
        case .retryExceeded: return verdict(.peerUnreachable, noAnswer(slot))
        case .receiverNotReadyExceeded:
            return verdict(
                .peerUnreachable,
                "it had no receive posted for \(RetryBounds.receiverNotReadyMilliseconds) ms: more arrivals than it takes")
        case .remoteAccess where kind == .receive:
            var error = device.refusedAccess(during: .receive)
            error.peer = peer
            error.detail += " (completion status: \(status))"
            return error
        // Bounds and keys were right when they were checked here, and the regions of a dying process go before its connections.
        case .remoteAccess:
            return verdict(.peerDied, "its device knows the region no more: the process ended, or released it too early")
        case .localProtection: return verdict(.outOfBounds, "device \(device.name) refused the source: the region is gone")
        case .flushed:
            let (detail, remedy) = stopped(device, kind)
            return verdict(.deviceFailed, detail, remedy)
        default: return verdict(.deviceFailed, "the queue pair on device \(device.name) stopped")
        }
    }

    private func noAnswer(_ slot: Int) -> String {
        let mtu = channels[slot].connection?.pathMTU.map { ", in packets of up to \($0) bytes" } ?? ""
        return "no acknowledgement within \(RetryBounds.unreachableMilliseconds) ms and \(RetryBounds.retryCount) resends, from device "
            + "\(devices[channels[slot].device].name)\(mtu)"
    }

    /// Flushed without a cause of its own. The news of a port that goes down comes after the requests that it flushes; and a peer's write of
    /// several packets into memory that is not offered stops the pair and says no more, on devices that give no event for it.
    private func stopped(_ device: OpenDevice, _ kind: WorkRequestTag.Kind) -> (detail: String, remedy: String) {
        let text = "the queue pair on device \(device.name) was stopped"
        let remedy = VerbsError.remedy(for: .portInactive)
        if !isActive(device) { return ("\(text) and its port \(device.portNumber) is down", remedy) }
        guard kind == .receive else { return (text, remedy) }
        return (
            "\(text): its port went down, it failed, or the peer wrote into memory that this rank does not offer, or offers no more", remedy
        )
    }

    private func isActive(_ device: OpenDevice) -> Bool {
        do throws(VerbsError) { return try device.context.activeMTU(port: device.portNumber) != nil } catch { return false }
    }

    mutating func failAllPeers(_ error: FabricError) {
        for peer in peers.indices where peers[peer].phase == .open {
            var mine = error
            mine.peer = peer
            fail(peer: peer, mine)
        }
    }

    /// Says so once, and ends its connections so that everything posted on them is flushed; what comes of that is not reported. Where a
    /// device or the way has failed, they stay until the fabric ends: over another device their end would tell the peer that this rank has
    /// died, before it can hear what has really failed.
    mutating func fail(peer: Int, _ error: FabricError, keepsConnections: Bool = false) {
        guard peers[peer].phase == .open || peers[peer].phase == .closed else { return }
        peers[peer].phase = .failed
        peers[peer].failure = error
        pending.append(.failure(error))
        for slot in slots(of: peer) {
            channels[slot].queuePair?.dropChain()
            if !keepsConnections, error.cause != .deviceFailed, error.cause != .peerUnreachable { channels[slot].connection?.disconnect() }
        }
    }

    func slots(of peer: Int) -> Range<Int> {
        peers[peer].firstSlot..<peers[peer].firstSlot + configuration.channelsPerPeer
    }
}
