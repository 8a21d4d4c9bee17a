internal import Fabric

extension World {
    /// The rank's next event; nil tells the world that the rank has seen everything and sleeps.
    mutating func poll(_ rank: Int) -> FabricEvent? {
        if ranks[rank].heldHead != none { flush(rank) }
        while ranks[rank].readyHead != none {
            let id = Int(ranks[rank].readyHead)
            ranks[rank].readyHead = messages[id].nextReady
            if ranks[rank].readyHead == none { ranks[rank].readyTail = none }
            if let event = take(id, by: rank) { return event }
        }
        ranks[rank].isRunning = false
        return nil
    }

    private mutating func take(_ id: Int, by rank: Int) -> FabricEvent? {
        let owner = Int(messages[id].owner)
        switch messages[id].kind {
        case .write: return takeArrival(id, of: owner, by: rank)
        case .completion:
            free(id)
            flows[owner].isCompletionReady = false
            flows[owner].reported = flows[owner].acknowledged
            let link = Int(flows[owner].link)
            // What has arrived at a peer that took leave then is acknowledged all the same.
            if links[link].isGone, links[link].fate != .closed { return nil }
            spend(options.pollNanoseconds, by: rank)
            if trace.isOn { record(.completion, rank: rank, flow: owner, peer: 0, ticket: flows[owner].reported) }
            return .completion(
                Channel(peer: Int(links[link].peer - ranks[rank].base), index: Int(flows[owner].index)), through: flows[owner].reported)
        case .closed, .failure:
            let isClosed = messages[id].kind == .closed
            free(id)
            if links[owner].isGone { return nil }
            links[owner].isGone = true
            if trace.isOn { record(isClosed ? .closed : .failure, rank: rank, peer: Int(links[owner].peer)) }
            return isClosed ? .closed(peer: Int(links[owner].peer - ranks[rank].base)) : .failure(error(of: owner))
        case .free: return nil
        }
    }

    private mutating func takeArrival(_ id: Int, of flow: Int, by rank: Int) -> FabricEvent? {
        let link = Int(flows[flow].link)
        flows[flow].taken += 1
        if options.isChecking { checkTaken(id, flow: flow, by: rank) }
        let immediate = messages[id].immediate
        let isGone = links[Int(links[link].reverse)].isGone
        if !isGone {
            spend(options.pollNanoseconds, by: rank)
            if trace.isOn { record(.arrival, rank: rank, flow: flow, message: id) }
        }
        messages[id].isTaken = true
        if messages[id].isAcknowledged || countsAcknowledgements { free(id) }
        return isGone
            ? nil : .arrival(Channel(peer: Int(links[link].rank - ranks[rank].base), index: Int(flows[flow].index)), immediate: immediate)
    }

    /// The error that this rank gets for a peer that it has lost.
    func error(of link: Int) -> FabricError {
        let peer = Int(links[link].peer - ranks[Int(links[link].rank)].base)
        switch links[link].fate {
        case .closed: return FabricError(.peerClosed, during: .write, peer: peer, detail: "it has taken leave")
        case .died:
            return FabricError(
                .peerDied, during: .write, peer: peer, detail: "its process ended without taking leave", remedy: "see its own output")
        case .unreachable:
            return FabricError(
                .peerUnreachable, during: .write, peer: peer,
                detail: "it acknowledged nothing for \(options.retryNanoseconds / 1_000_000) ms",
                remedy: "see whether its node and the network to it are up")
        }
    }
}
