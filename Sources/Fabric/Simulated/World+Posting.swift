internal import Fabric

extension World {
    /// Takes a write, or says why not.
    mutating func post(_ write: Write, by rank: Int) throws(FabricError) -> UInt64 {
        let flow = try check(write, by: rank)
        if flows[flow].posted - flows[flow].reported >= UInt64(ranks[rank].writeDepth) {
            throw FabricError(
                .queueFull, during: .write, peer: write.channel.peer,
                detail: "\(ranks[rank].writeDepth) writes under way on \(write.channel)")
        }
        spend(options.postNanoseconds, by: rank)
        let id = takeMessage()
        flows[flow].posted += 1
        let attachment = ranks[rank].attachments[Int(write.destination.identifier)]
        messages[id] = Message(
            kind: .write, owner: Int32(truncatingIfNeeded: flow), immediate: write.immediate,
            sourceRegion: Int32(truncatingIfNeeded: Int(write.source.identifier)), destinationRegion: attachment.region,
            sourceOffset: write.sourceOffset, destinationOffset: write.destinationOffset, byteCount: write.byteCount,
            ticket: flows[flow].posted, due: max(clock, ranks[rank].busyUntil))
        append(id, to: flow)
        if trace.isOn { record(.post, rank: rank, flow: flow, message: id) }
        if options.isChecking { checkPosted(id, flow: flow, by: rank) }
        if ranks[rank].writesCompleteAtOnce { flows[flow].reported = flows[flow].posted }
        if ranks[rank].writesCompleteAtOnce || options.payload == .early || (options.payload == .mixed && random.chance(perMille: 500)) {
            placeBytes(of: id)
        }
        if options.holdsWrites {
            flows[flow].held += 1
            if !flows[flow].isHeldListed {
                flows[flow].isHeldListed = true
                flows[flow].nextHeld = ranks[rank].heldHead
                ranks[rank].heldHead = Int32(truncatingIfNeeded: flow)
            }
        } else {
            startDeparting(flow)
        }
        return flows[flow].posted
    }

    /// The flow of a write that may be posted.
    private mutating func check(_ write: Write, by rank: Int) throws(FabricError) -> Int {
        let peer = write.channel.peer
        func refuse(_ cause: FabricError.Cause, _ detail: String) -> FabricError {
            FabricError(cause, during: .write, peer: peer, detail: detail)
        }
        guard let link = knownLink(from: rank, to: Int(ranks[rank].base) + peer), links[link].isOpen,
            0..<options.channelsPerPeer ~= write.channel.index,
            write.destination.peer == peer
        else { throw refuse(.wrongPeer, "no channel \(write.channel.index) to it, or another's region") }
        if links[link].isGone { throw error(of: link) }
        guard ranks[rank].regions.indices.contains(Int(write.source.identifier)), ranks[rank].regions[Int(write.source.identifier)].isLive,
            ranks[rank].attachments.indices.contains(Int(write.destination.identifier)),
            ranks[rank].attachments[Int(write.destination.identifier)].isLive
        else { throw refuse(.outOfBounds, "the region was given back") }
        guard write.byteCount >= 0, write.sourceOffset >= 0, write.destinationOffset >= 0,
            write.sourceOffset <= write.source.byteCount - write.byteCount,
            write.destinationOffset <= write.destination.byteCount - write.byteCount
        else {
            throw refuse(
                .outOfBounds,
                "\(write.byteCount) bytes from \(write.sourceOffset) of \(write.source.byteCount) "
                    + "to \(write.destinationOffset) of \(write.destination.byteCount)")
        }
        return Int(links[link].firstFlow) + write.channel.index
    }

    private mutating func knownLink(from rank: Int, to peer: Int) -> Int? {
        let last = Int(ranks[rank].lastLink)
        if last >= 0, Int(links[last].peer) == peer { return last }
        guard let found = link(from: rank, to: peer) else { return nil }
        ranks[rank].lastLink = Int32(truncatingIfNeeded: found)
        return found
    }

    private mutating func append(_ id: Int, to flow: Int) {
        let message = Int32(truncatingIfNeeded: id)
        // The write before is still somebody's, unless it has gone through every stage; then it is free and not to be touched.
        let before = flows[flow].posted - 1
        let isBeforeAlive =
            countsAcknowledgements ? flows[flow].placed < before : flows[flow].taken < before || flows[flow].acknowledged < before
        if isBeforeAlive { messages[Int(flows[flow].last)].next = message }
        flows[flow].last = message
        if flows[flow].departing == none { flows[flow].departing = message }
    }

    /// Lets the first write that has not left leave, if it may.
    mutating func startDeparting(_ flow: Int) {
        let link = Int(flows[flow].link)
        guard !flows[flow].isActive, flows[flow].departed + flows[flow].held < flows[flow].posted, !links[link].isBroken,
            !ranks[Int(links[link].rank)].isDead
        else { return }
        if isPlain {
            departAlone(flow, signalsOnly: true)
            guard flows[flow].departed + flows[flow].held < flows[flow].posted else { return }
            if !options.sharesWires, flows[flow].alone != 2, isAlone(flow) { return departAlone(flow, signalsOnly: false) }
        }
        let due = max(messages[Int(flows[flow].departing)].due, flows[flow].freeAt)
        if due > clock { schedule(slot(.depart, flow), at: due) } else { activate(flow) }
    }

    /// Lets everything leave that was held back.
    mutating func flush(_ rank: Int) {
        while ranks[rank].heldHead != none {
            let flow = Int(ranks[rank].heldHead)
            ranks[rank].heldHead = flows[flow].nextHeld
            flows[flow].isHeldListed = false
            flows[flow].held = 0
            startDeparting(flow)
        }
    }

    /// The rank computes for so long, after what it has taken on already.
    mutating func spend(_ nanoseconds: UInt64, by rank: Int) {
        guard nanoseconds > 0 else { return }
        let time = ranks[rank].slowness == 1 ? nanoseconds : UInt64(Double(nanoseconds) * ranks[rank].slowness)
        ranks[rank].busyUntil = max(clock, ranks[rank].busyUntil) + time
    }
}
