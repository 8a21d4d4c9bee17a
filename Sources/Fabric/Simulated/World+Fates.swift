// How ranks lose each other. A link that breaks delivers nothing any more; its rank learns of it at the time in the queue.
extension World {
    // MARK: faults

    mutating func scheduleFault() {
        if faultsDone < faults.count { schedule(faultSlot, at: faults[faultsDone].time) }
    }

    /// Every fault that begins or ends now.
    mutating func turnFaults() {
        while faultsDone < faults.count, faults[faultsDone].time <= clock {
            let turn = faults[faultsDone]
            faultsDone += 1
            guard 0..<options.worldSize ~= turn.fault.rank, !ranks[turn.fault.rank].isDead else { continue }
            if trace.isOn { record(.fault, rank: turn.fault.rank, ticket: UInt64(turn.number)) }
            apply(turn)
        }
        scheduleFault()
    }

    private mutating func apply(_ turn: Turn) {
        let rank = turn.fault.rank
        switch turn.fault.kind {
        case .crash: for state in ranks.indices where Int(ranks[state].host) == rank { crash(state) }
        case .nodeDeath: for state in ranks.indices where node(of: state) == node(of: rank) { stop(state) }
        case .pause:
            for state in ranks.indices where Int(ranks[state].host) == rank && !turn.isEnd {
                ranks[state].pausedUntil = max(ranks[state].pausedUntil, clock + turn.fault.forNanoseconds)
            }
        case .slowness(let factor):
            for state in ranks.indices where Int(ranks[state].host) == rank { ranks[state].slowness = turn.isEnd ? 1 : factor }
        case .cableCut: change(cableOf: rank) { $0.cuts += turn.isEnd ? -1 : 1 }
        case .slowCable(let fraction): change(cableOf: rank) { $0.fraction = turn.isEnd ? 1 : fraction }
        case .flippedBit: if !turn.isEnd { ranks[rank].flips += 1 }
        }
    }

    private mutating func change(cableOf rank: Int, _ body: (inout WireState) -> Void) {
        let cable = cable(of: rank)
        for wire in [cable.out, cable.in] {
            body(&wires[wire])
            shareAgain(wire: wire, besides: -1)
        }
    }

    // MARK: ends

    /// The rank's process is gone; its kernel lets what has left arrive and then tells the peers.
    mutating func crash(_ rank: Int) {
        guard !ranks[rank].isDead, !ranks[rank].isClosed else { return }
        stop(rank)
        for index in ranks[rank].links.indices {
            let link = Int(ranks[rank].links[index])
            tell(Int(links[link].reverse), .died, at: max(clock + options.deathNoticeNanoseconds, lastArrival(of: link)) + 1)
        }
    }

    /// Nothing leaves the rank any more, and it runs no more.
    private mutating func stop(_ rank: Int) {
        guard !ranks[rank].isDead, !ranks[rank].isClosed else { return }
        ranks[rank].isDead = true
        for index in ranks[rank].links.indices { halt(Int(ranks[rank].links[index])) }
    }

    /// The rank takes leave in order.
    mutating func close(_ rank: Int) {
        guard !ranks[rank].isClosed, !ranks[rank].isDead else { return }
        flush(rank)
        for index in ranks[rank].links.indices {
            let link = Int(ranks[rank].links[index])
            if options.isChecking, options.isStrict, !links[link].isGone { checkClosing(link, of: rank) }
            tell(Int(links[link].reverse), .closed, at: max(clock + links[link].latency, lastArrival(of: link)) + 1)
        }
        ranks[rank].isClosed = true
    }

    /// When everything that has left over the link is there to be taken.
    private func lastArrival(of link: Int) -> UInt64 {
        var last: UInt64 = 0
        for flow in Int(links[link].firstFlow)..<Int(links[link].firstFlow) + options.channelsPerPeer {
            last = max(last, flows[flow].lastFlight + options.arrivalDelayNanoseconds, flows[flow].lastArrival)
        }
        return last
    }

    /// The link's rank will learn of its peer's fate at this time, unless it learns of another one sooner.
    mutating func tell(_ link: Int, _ fate: PeerLink.Fate, at time: UInt64) {
        guard !links[link].isBroken else { return }
        if let known = queue.time(of: fateSlot(link)), known <= time { return }
        links[link].fate = fate
        schedule(fateSlot(link), at: time)
    }

    /// Nothing leaves for want of a wire: after the retries, the peer is given up.
    mutating func waitForWire(_ link: Int) {
        links[link].isStuck = true
        tell(link, .unreachable, at: clock + options.retryNanoseconds)
    }

    /// There is a wire again: the retries succeed, if somebody is there to answer.
    mutating func stopWaiting(_ link: Int) {
        guard links[link].isStuck else { return }
        links[link].isStuck = false
        if links[link].fate == .unreachable, isReachable(link) { queue.cancel(fateSlot(link)) }
    }

    /// The rank learns of its peer's fate.
    mutating func meetFate(_ link: Int) {
        guard !links[link].isBroken else { return }
        links[link].isBroken = true
        halt(link)
        let event = takeMessage()
        messages[event] = Message(
            kind: links[link].fate == .closed ? .closed : .failure, owner: Int32(truncatingIfNeeded: link))
        push(event, to: Int(links[link].rank))
        // Whoever gives up a peer takes down the connection: the peer hears of it if anything gets through.
        if links[link].fate == .unreachable, hasWire(link) {
            tell(Int(links[link].reverse), .unreachable, at: clock + links[link].latency + 1)
        }
    }

    /// Whether somebody at the other end answers.
    private func isReachable(_ link: Int) -> Bool {
        let peer = Int(links[link].peer)
        return !ranks[peer].isDead && !ranks[peer].isClosed && !links[Int(links[link].reverse)].isBroken
    }

    private func hasWire(_ link: Int) -> Bool {
        (0..<Int(links[link].wireCount)).allSatisfy { wires[Int(links[link].wires[$0])].cuts == 0 }
    }

    private mutating func halt(_ link: Int) {
        for flow in Int(links[link].firstFlow)..<Int(links[link].firstFlow) + options.channelsPerPeer {
            deactivate(flow)
            queue.cancel(slot(.depart, flow))
        }
    }
}
