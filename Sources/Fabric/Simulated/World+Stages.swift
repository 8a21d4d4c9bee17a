// A write's way: it departs (its last byte has left), is placed (in the peer's memory), arrives (the peer may take it), and is acknowledged (the
// sender may be told). Each flow has at most one time in the queue for each stage, that of its first write there.
extension World {
    /// The first write has left, or may begin to.
    mutating func depart(_ flow: Int) {
        guard flows[flow].isActive else { return activate(flow) }
        let id = Int(flows[flow].departing)
        let link = Int(flows[flow].link)
        flows[flow].departed += 1
        var flight = clock + links[link].latency
        if links[link].jitter > 0 { flight += UInt64(random.below(Int(links[link].jitter) + 1)) }
        if options.receiverNotReadyPerMille > 0, random.chance(perMille: options.receiverNotReadyPerMille) {
            flight += options.receiverNotReadyNanoseconds
        }
        flight = max(flight, flows[flow].lastFlight)
        flows[flow].lastFlight = flight
        messages[id].due = flight
        if trace.isOn { record(.depart, rank: Int(links[link].rank), flow: flow, message: id) }
        if flows[flow].flying == none {
            flows[flow].flying = Int32(truncatingIfNeeded: id)
            schedule(slot(.place, flow), at: flight)
        }
        let isMore = flows[flow].departed < flows[flow].posted
        flows[flow].departing = isMore ? messages[id].next : none
        if isMore, flows[flow].departed + flows[flow].held < flows[flow].posted, messages[Int(flows[flow].departing)].due <= clock {
            // The next one follows at the same share.
            flows[flow].remaining = Double(messages[Int(flows[flow].departing)].byteCount)
            flows[flow].since = clock
            scheduleDeparture(flow)
        } else {
            deactivate(flow)
            if isMore { startDeparting(flow) }
        }
    }

    /// The first write in flight is in the peer's memory.
    mutating func place(_ flow: Int) {
        let id = Int(flows[flow].flying)
        let link = Int(flows[flow].link)
        let peer = Int(links[link].peer)
        // Nobody is there to acknowledge it: the retries run out.
        guard !ranks[peer].isDead, !ranks[peer].isClosed, !links[Int(links[link].reverse)].isBroken else {
            return tell(link, .unreachable, at: clock + options.retryNanoseconds)
        }
        placeBytes(of: id)
        if options.isChecking { checkPlaced(id, flow: flow) }
        flows[flow].placed += 1
        if trace.isOn { record(.inMemory, rank: Int(links[link].rank), flow: flow, message: id) }
        let isMore = flows[flow].placed < flows[flow].departed
        flows[flow].flying = isMore ? messages[id].next : none
        if isMore { schedule(slot(.place, flow), at: messages[Int(flows[flow].flying)].due) }
        if countsAcknowledgements { countAcknowledgement(of: flow, link: link) } else { scheduleAcknowledgement(id, of: flow, link: link) }
        scheduleArrival(id, of: flow)
    }

    private mutating func scheduleAcknowledgement(_ id: Int, of flow: Int, link: Int) {
        var acknowledgement = clock + links[link].latency
        if options.completionDelayNanoseconds > 0 { acknowledgement += UInt64(random.below(Int(options.completionDelayNanoseconds) + 1)) }
        acknowledgement = max(acknowledgement, flows[flow].lastAcknowledgement)
        flows[flow].lastAcknowledgement = acknowledgement
        messages[id].acknowledgementDue = acknowledgement
        if flows[flow].acknowledging == none { flows[flow].acknowledging = Int32(truncatingIfNeeded: id) }
        if options.writesPerCompletion == 1 {
            if Int(flows[flow].acknowledging) == id { schedule(slot(.acknowledge, flow), at: acknowledgement) }
        } else if isCompletionDue(flow), queue.time(of: slot(.acknowledge, flow)) == nil {
            schedule(slot(.acknowledge, flow), at: acknowledgement)
        }
    }

    /// Whether the write that was placed last is to be reported as completed: nothing follows on the channel, or enough were not.
    @inline(__always)
    private func isCompletionDue(_ flow: Int) -> Bool {
        (flows[flow].placed == flows[flow].departed && !flows[flow].isActive)
            || flows[flow].placed - flows[flow].acknowledged >= UInt64(options.writesPerCompletion)
    }

    /// The same where it takes no note of the write: how many will have been acknowledged when the next completion comes.
    private mutating func countAcknowledgement(of flow: Int, link: Int) {
        let acknowledgement = clock + links[link].latency
        if flows[flow].acknowledgedNext == flows[flow].acknowledged {
            guard isCompletionDue(flow) else { return }
            schedule(slot(.acknowledge, flow), at: acknowledgement)
        } else if acknowledgement != flows[flow].lastAcknowledgement {
            // Not one of those that come with the completion that is on its way.
            flows[flow].lastArrival = clock
            return
        }
        flows[flow].lastAcknowledgement = acknowledgement
        flows[flow].acknowledgedNext = flows[flow].placed
    }

    /// Writes that were placed while a completion was on its way, if they are to be reported by now, come with the last one's acknowledgement.
    private mutating func scheduleNextCompletion(of flow: Int, link: Int) {
        guard flows[flow].placed > flows[flow].acknowledged, isCompletionDue(flow) else { return }
        if countsAcknowledgements {
            flows[flow].lastAcknowledgement = flows[flow].lastArrival + links[link].latency
            flows[flow].acknowledgedNext = flows[flow].placed
        }
        schedule(slot(.acknowledge, flow), at: flows[flow].lastAcknowledgement)
    }

    private mutating func scheduleArrival(_ id: Int, of flow: Int) {
        guard options.arrivalDelayNanoseconds > 0 else { return hand(id, of: flow) }
        let arrival = max(flows[flow].lastArrival, clock + UInt64(random.below(Int(options.arrivalDelayNanoseconds) + 1)))
        flows[flow].lastArrival = arrival
        messages[id].due = arrival
        if flows[flow].arriving == none {
            flows[flow].arriving = Int32(truncatingIfNeeded: id)
            schedule(slot(.arrive, flow), at: arrival)
        }
    }

    /// The first write in memory is there to be taken.
    mutating func arrive(_ flow: Int) {
        let id = Int(flows[flow].arriving)
        let isMore = flows[flow].arrived + 1 < flows[flow].placed
        flows[flow].arriving = isMore ? messages[id].next : none
        if isMore { schedule(slot(.arrive, flow), at: messages[Int(flows[flow].arriving)].due) }
        hand(id, of: flow)
    }

    private mutating func hand(_ id: Int, of flow: Int) {
        flows[flow].arrived += 1
        push(id, to: Int(links[Int(flows[flow].link)].peer))
    }

    /// Every write that is due by now is acknowledged: one completion tells the sender.
    mutating func acknowledge(_ flow: Int) {
        let link = Int(flows[flow].link)
        let sender = Int(links[link].rank)
        if countsAcknowledgements { flows[flow].acknowledged = flows[flow].acknowledgedNext }
        while flows[flow].acknowledging != none {
            let id = Int(flows[flow].acknowledging)
            guard messages[id].acknowledgementDue <= clock else {
                if options.writesPerCompletion == 1 { schedule(slot(.acknowledge, flow), at: messages[id].acknowledgementDue) }
                break
            }
            flows[flow].acknowledged += 1
            flows[flow].acknowledging = flows[flow].acknowledged < flows[flow].placed ? messages[id].next : none
            if options.isChecking { checkAcknowledged(id, by: sender) }
            messages[id].isAcknowledged = true
            if messages[id].isTaken { free(id) }
        }
        if options.writesPerCompletion > 1 { scheduleNextCompletion(of: flow, link: link) }
        guard !flows[flow].isCompletionReady, flows[flow].acknowledged > flows[flow].reported else { return }
        flows[flow].isCompletionReady = true
        let event = takeMessage()
        messages[event] = Message(kind: .completion, owner: Int32(truncatingIfNeeded: flow))
        push(event, to: sender)
    }

    /// Puts an event at the end of what the rank has not taken.
    mutating func push(_ id: Int, to rank: Int) {
        let message = Int32(truncatingIfNeeded: id)
        messages[id].nextReady = none
        if ranks[rank].readyTail == none {
            ranks[rank].readyHead = message
        } else {
            messages[Int(ranks[rank].readyTail)].nextReady = message
        }
        ranks[rank].readyTail = message
        notify(rank)
    }
}
