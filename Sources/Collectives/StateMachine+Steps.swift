public import Fabric
internal import Reduction

extension ExecutorSettings {
    /// What an operation's schedule is computed from.
    func shape(of operation: Operation, rank: Int, layout: Landing) -> Shape {
        let size = operation.type.byteCount
        return Shape(
            rank: rank, topology: topology, collective: operation.collective, count: operation.count, isInPlace: operation.isInPlace,
            pieceElements: pieceBytes / size, leastPieceElements: Self.smallestPieceBytes / size, mostPieces: pieces,
            gatedSlots: layout.gatedSlots, channels: channelsPerPeer, messageElements: Self.messageBytes / size)
    }
}

extension StateMachine {
    // MARK: starting

    /// Moves waiting collectives onto free lanes, in order.
    mutating func startPending() {
        while !hasFailed, let next = pending.first {
            let lane = Int(nextToStart % UInt64(ExecutorSettings.lanes))
            guard !lanes[lane].isActive else { return }
            pending.removeFirst()
            nextToStart += 1
            start(next.operation, ticket: next.ticket, on: lane)
        }
    }

    /// The same for transfers; each waits for those before it between the same two ranks only.
    mutating func startTransfers() {
        var index = 0
        while !hasFailed, index < pendingTransfers.count {
            let (operation, ticket) = pendingTransfers[index]
            let lane = transferLane(of: operation)
            if lanes[lane].isActive {
                index += 1
            } else {
                pendingTransfers.remove(at: index)
                start(operation, ticket: ticket, on: lane)
            }
        }
    }

    private func transferLane(of operation: Operation) -> Int {
        guard let peer = operation.collective.peer, 0..<worldSize ~= peer, slots[peer] >= 0 else {
            invariantFailure("a transfer's other rank is a connected peer")
        }
        let isSend = operation.collective == .send(to: peer)
        return ExecutorSettings.lanes + 2 * Int(slots[peer]) + (isSend ? 0 : 1)
    }

    mutating func start(_ operation: Operation, ticket: UInt64, on lane: Int) {
        if lanes[lane].lastOperation != operation {
            prepare(operation, on: lane)
        } else if !lanes[lane].keepsMoves {
            keepMoves(lane)
        }
        lanes[lane].ticket = ticket
        lanes[lane].isActive = true
        // Spreads the place in the order over the bits that travel.
        let hash = (lanes[lane].operationHash ^ lanes[lane].sequence) &* 0x9E37_79B9_7F4A_7C15
        lanes[lane].signature = UInt32(truncatingIfNeeded: hash >> 48)
        lanes[lane].seenProgress = .max
        advance(lane)
    }

    /// Works out what depends on the operation alone; done again only when the lane gets another one.
    private mutating func prepare(_ operation: Operation, on lane: Int) {
        let algorithm = operation.collective.peer == nil ? choices.algorithm(for: operation, in: settings) : .pairwise
        let key = Lane.ProgramKey(
            collective: operation.collective, count: operation.count, type: operation.type, isInPlace: operation.isInPlace,
            algorithm: algorithm)
        if lanes[lane].programKey != key {
            lanes[lane].schedule = Schedule(algorithm, settings.shape(of: operation, rank: rank, layout: layout))
            lanes[lane].stepCount = lanes[lane].schedule.count
            lanes[lane].setProgram(key)
            if isMutated(.earlyLeave), algorithm == .direct { lanes[lane].stepCount -= min(1, lanes[lane].stepCount) }
        }
        let size = operation.type.byteCount
        lanes[lane].lastOperation = operation
        lanes[lane].operation = operation
        lanes[lane].keepsMoves = false
        let larger = max(operation.inputExtent(worldSize: worldSize), operation.outputExtent(worldSize: worldSize)) * size
        let machine = settings.topology.size(ofMachine: settings.topology.machine(of: rank))
        // A reduction in place has just read the lines that it stores into: they are in the cache, and past it the way is longer.
        let isOverwriting = operation.isInPlace && operation.collective.reduces
        lanes[lane].isStreaming = !isOverwriting && larger * machine * (operation.isInPlace ? 1 : 2) > settings.cacheBytes
        lanes[lane].usesEager = algorithm == .oneShot || algorithm == .logarithmic
        lanes[lane].inputOffset = operation.input.byteOffset + operation.inputStart(of: rank) * size
        lanes[lane].outputOffset = operation.output.byteOffset + operation.outputStart(of: rank) * size
        lanes[lane].operationHash = operation.hash(algorithm: algorithm)
    }

    /// Resolves a short program, since the same operation has come again.
    private mutating func keepMoves(_ lane: Int) {
        let program = lanes[lane].program
        guard !program.isEmpty, program.count <= Lane.mostKeptMoves else { return }
        let set = lanes[lane].eagerSet
        var moves: [Move] = []
        for eagerSet in 0..<2 {
            lanes[lane].eagerSet = eagerSet
            for step in program {
                guard let move = resolve(step, lane) else { return }
                moves.append(move)
            }
        }
        lanes[lane].eagerSet = set
        lanes[lane].moves = FixedArray(moves)
        lanes[lane].keepsMoves = true
    }

    // MARK: events

    @usableFromInline
    mutating func handle(_ event: FabricEvent) {
        // After a failure events are only taken out, so that `wait` has something to wait for.
        guard !hasFailed else { return }
        switch event {
        case .arrival(let channel, let immediate): handleArrival(channel, immediate)
        case .completion(let channel, let ticket): handleCompletion(channel, ticket)
        case .closed(let peer):
            closedPeer = closedPeer ?? peer
            if let lane = lanes.indices.first(where: { lanes[$0].isActive }) {
                fail(error(.fabric(.peerClosed), lane: lane, peer: peer, "it left the job before the operation was done"))
            }
        case .failure(let cause):
            fail(
                CollectiveError(
                    .fabric(cause.cause), peer: cause.rankAtFault, operation: currentOperation, detail: cause.detail,
                    remedy: cause.remedy))
        }
        if pending.count > 0 { startPending() }
        if !pendingTransfers.isEmpty { startTransfers() }
    }

    private mutating func handleCompletion(_ channel: Channel, _ ticket: UInt64) {
        let slot = Int(slots[channel.peer])
        guard slot >= 0 else { return }
        completed[slot * settings.channelsPerPeer + channel.index] = ticket
        for lane in 0..<ExecutorSettings.lanes { complete(lane, lanes[lane].link(slot, channel: channel.index), ticket) }
        guard channel.index == 0 else { return }
        let first = ExecutorSettings.lanes + 2 * slot
        complete(first, lanes[first].firstLink, ticket)
        complete(first + 1, lanes[first + 1].firstLink, ticket)
    }

    private mutating func complete(_ lane: Int, _ link: Int, _ ticket: UInt64) {
        guard lanes[lane].isActive else { return }
        if links[link].isIncomplete, links[link].lastTicket <= ticket {
            links[link].isIncomplete = false
            lanes[lane].incomplete -= 1
        }
        // The lane may wait for its writes, or for room in the queue.
        if !isMutated(.missedCompletion) { advance(lane) }
    }

    private mutating func handleArrival(_ channel: Channel, _ rawValue: UInt32) {
        let slot = Int(slots[channel.peer])
        guard slot >= 0 else { return }
        guard let immediate = Immediate(rawValue: rawValue), immediate.epoch == settings.epoch & 3 || isMutated(.ignoredEpoch) else {
            return fail(stray(channel, rawValue))
        }
        let lane =
            switch immediate.kind {
            case .collective: Int(immediate.operation) % ExecutorSettings.lanes
            case .toSender: ExecutorSettings.lanes + 2 * slot
            case .toReceiver: ExecutorSettings.lanes + 2 * slot + 1
            }
        guard channel.index < lanes[lane].channels else { return fail(stray(channel, rawValue)) }
        let link = lanes[lane].link(slot, channel: channel.index)
        let sequence = lanes[lane].sequence
        if links[link].sequence != sequence { links[link].turn(to: sequence) }
        let isPresent = UInt64(immediate.operation) == sequence % Immediate.operations
        let number = isPresent ? links[link].arrived : links[link].earlyArrived
        guard number == 0 || immediate.payload == number & 0xFFFF,
            isPresent || number == 0 || immediate.operation == links[link].earlyOperation
        else { return fail(stray(channel, rawValue)) }
        if isPresent {
            if number == 0 { links[link].signature = immediate.payload }
            links[link].arrived += 1
            if lanes[lane].isActive { advance(lane) }
        } else {
            if number == 0 { (links[link].earlyOperation, links[link].earlySignature) = (immediate.operation, immediate.payload) }
            links[link].earlyArrived += 1
        }
    }

    // MARK: steps

    /// Does every step of the lane's operation that can be done now; at the end, reports it and frees the lane.
    mutating func advance(_ lane: Int) {
        let before = lanes[lane].step
        while lanes[lane].step < lanes[lane].stepCount {
            guard hasMove(lane), take(lanes[lane].presentMove, lane) else { break }
            lanes[lane].hasReceived = false
            lanes[lane].hasActed = false
            lanes[lane].isResolved = false
            lanes[lane].step += 1
        }
        guard !hasFailed else { return }
        lanes[lane].progress += UInt64(lanes[lane].step - before)
        if lanes[lane].step == lanes[lane].stepCount, lanes[lane].incomplete == 0 || isMutated(.earlyRelease) { finish(lane) }
    }

    /// Resolves the present step if that was not done yet; false where it cannot be.
    @inline(__always)
    private mutating func hasMove(_ lane: Int) -> Bool {
        if lanes[lane].keepsMoves || lanes[lane].isResolved { return true }
        guard let move = resolve(lanes[lane].step(at: lanes[lane].step), lane) else { return false }
        lanes[lane].moves[0] = move
        lanes[lane].isResolved = true
        return true
    }

    /// The writes of the outbox are with the fabric. A lane may have waited for that.
    @usableFromInline
    mutating func outboxPosted() {
        outbox.removeAll()
        guard isOutboxAwaited else { return }
        isOutboxAwaited = false
        for lane in lanes.indices where lanes[lane].isActive && lanes[lane].waitsForOutbox {
            lanes[lane].waitsForOutbox = false
            advance(lane)
        }
        // A lane that came to its end is free for what waits for it; no event need follow.
        if pending.count > 0 { startPending() }
        if !pendingTransfers.isEmpty { startTransfers() }
    }

    /// The parts of a step in their order; false where one has to wait, or has failed.
    private mutating func take(_ move: Int, _ lane: Int) -> Bool {
        if lanes[lane].moves[move].drains, lanes[lane].incomplete > 0 || !outbox.isEmpty, !isMutated(.ignoredDrain) {
            return waitForOutbox(lane)
        }
        let received = lanes[lane].moves[move].receives
        if received >= 0, !lanes[lane].hasReceived {
            guard consume(received, lane) else { return false }
            lanes[lane].hasReceived = true
        }
        if !lanes[lane].hasActed {
            if let combination = lanes[lane].moves[move].combination {
                perform(combination, lane)
            } else if let action = lanes[lane].moves[move].action {
                perform(action, lane)
            }
            lanes[lane].hasActed = true
        }
        return lanes[lane].moves[move].sends < 0 || post(move, lane)
    }

    private mutating func waitForOutbox(_ lane: Int) -> Bool {
        lanes[lane].waitsForOutbox = true
        isOutboxAwaited = true
        return false
    }

    /// Takes the next message of a link; false where it has not arrived.
    private mutating func consume(_ link: Int, _ lane: Int) -> Bool {
        bringToPresent(link, lane)
        if isMutated(.uninvited), links[link].consumed == 0, links[link].arrived == 0 { return true }
        guard links[link].consumed < links[link].arrived else { return false }
        guard links[link].signature == lanes[lane].signature || isMutated(.ignoredSignature) else {
            fail(operationsDiffer(lane: lane, peer: peer(of: link, lane)))
            return false
        }
        links[link].consumed += 1
        return true
    }

    private func peer(of link: Int, _ lane: Int) -> Int {
        peers[lanes[lane].onlySlot < 0 ? (link - lanes[lane].firstLink) / lanes[lane].channels : lanes[lane].onlySlot]
    }

    /// Makes the link's counts those of the lane's operation.
    @inline(__always)
    private mutating func bringToPresent(_ link: Int, _ lane: Int) {
        if links[link].sequence != lanes[lane].sequence { links[link].turn(to: lanes[lane].sequence) }
    }

    /// The send part of a step; false where the queue is full, or something has failed.
    private mutating func post(_ move: Int, _ lane: Int) -> Bool {
        let (link, queue) = (lanes[lane].moves[move].sends, lanes[lane].moves[move].queue)
        bringToPresent(link, lane)
        guard !outbox.isFull else { return waitForOutbox(lane) }
        // A full queue drains by completions, which call us again.
        guard writesCompleteAtOnce || posted[queue] - completed[queue] < writeDepth else { return false }
        switch lanes[lane].moves[move].address {
        case .known: break
        case .invitation: writeInvitation(to: lanes[lane].moves[move].write.channel.peer, lane)
        case .invited: guard followInvitation(move, lane) else { return false }
        }
        let sent = links[link].sent
        let immediate = Immediate(
            epoch: settings.epoch, kind: kindOfMessages(lane), operation: lanes[lane].sequence,
            payload: sent == 0 ? lanes[lane].signature : sent)
        lanes[lane].moves[move].write.immediate = immediate.rawValue
        outbox.append(lanes[lane].moves[move].write)
        links[link].sent = sent + 1
        if writesCompleteAtOnce { return true }
        posted[queue] += 1
        links[link].lastTicket = posted[queue]
        if !links[link].isIncomplete {
            links[link].isIncomplete = true
            lanes[lane].incomplete += 1
        }
        return true
    }

    /// The fabric did not take a write.
    @usableFromInline
    mutating func refuse(_ refusal: FabricError) {
        fail(
            CollectiveError(
                .fabric(refusal.cause), peer: refusal.rankAtFault, operation: currentOperation, detail: refusal.detail,
                remedy: refusal.remedy))
    }

    /// A lane of transfers receives messages of its kind, and sends those of the other end's.
    private func kindOfMessages(_ lane: Int) -> Immediate.Kind {
        switch lanes[lane].kind {
        case .collective: .collective
        case .toSender: .toReceiver
        case .toReceiver: .toSender
        }
    }

    private mutating func finish(_ lane: Int) {
        lastFinished = (lanes[lane].operation, lanes[lane].sequence)
        finished.append(Finished(ticket: lanes[lane].ticket, isFailed: false))
        lanes[lane].turn()
    }

    // MARK: memory

    /// Where a write reads from.
    mutating func place(of location: Location, _ lane: Int) -> (region: Region, offset: Int) {
        let operation = lanes[lane].operation
        let size = operation.type.byteCount
        switch location {
        case .input(let start): return (buffers[operation.input.buffer.index].region, lanes[lane].inputOffset + start * size)
        case .output(let start): return (buffers[operation.output.buffer.index].region, lanes[lane].outputOffset + start * size)
        case .gated(let slot): return (buffers[0].region, gatedOffset(lane, slot))
        case .eager(let rank): return (buffers[0].region, eagerOffset(lane, rank: rank))
        case .peerInput, .peerOutput: invariantFailure("a write begins in memory of this rank")
        }
    }

    /// The slots of one operation lie one behind the other, so that those of consecutive ranks travel in one write.
    mutating func eagerOffset(_ lane: Int, rank: Int) -> Int {
        let operation = lanes[lane].operation
        return layout.eager(lane: lane, set: isMutated(.eagerSetTooFew) ? 0 : lanes[lane].eagerSet) + rank * operation.count
            * operation.type.byteCount
    }

    /// Where a write goes to, the invited ones excepted; nil, and a failure, where the peer's memory is not known.
    mutating func destination(of send: Send, _ slot: Int, _ lane: Int) -> (remote: RemoteRegion, offset: Int)? {
        let operation = lanes[lane].operation
        let size = operation.type.byteCount
        let (buffer, offset) =
            switch send.target {
            case .invitation: (0, layout.invitation(from: rank))
            case _ where send.count == 0: (0, 0)
            case .gated(let slot): (0, gatedOffset(lane, slot, isTarget: true))
            case .eager(let rank): (0, eagerOffset(lane, rank: rank))
            case .output(let start):
                (operation.output.buffer.index, operation.output.byteOffset + (operation.outputStart(of: send.peer) + start) * size)
            case .invited: invariantFailure("an invitation is read when it has come")
            }
        return remote(buffer, offset, slot, lane)
    }

    private mutating func remote(_ buffer: Int, _ offset: Int, _ slot: Int, _ lane: Int) -> (remote: RemoteRegion, offset: Int)? {
        guard buffers.indices.contains(buffer), let remote = buffers[buffer].remotes[slot], offset >= 0 else {
            fail(error(.protocolViolation, lane: lane, peer: peers[slot], "its memory was never attached"))
            return nil
        }
        return (remote, offset)
    }

    /// Says in the box for the peer where it is to write; the box is this rank's until the write of it has completed.
    private mutating func writeInvitation(to peer: Int, _ lane: Int) {
        // SAFETY: the box lies in the landing memory, which the fabric keeps; nobody else touches this half of it.
        let box = unsafe buffers[0].region.base + layout.invitation(to: peer)
        unsafe box.storeBytes(of: Int64(lanes[lane].operation.output.buffer.index), as: Int64.self)
        unsafe (box + 8).storeBytes(of: Int64(lanes[lane].outputOffset), as: Int64.self)
    }

    /// Completes a move's write by the peer's invitation, which has come.
    private mutating func followInvitation(_ move: Int, _ lane: Int) -> Bool {
        let peer = lanes[lane].moves[move].write.channel.peer
        // SAFETY: as above; the arrival said that the peer has written its half, and it writes no other before we have sent.
        let box = unsafe buffers[0].region.base + layout.invitation(from: peer)
        let (buffer, offset) = unsafe (Int(box.load(as: Int64.self)), Int((box + 8).load(as: Int64.self)))
        let (sum, overflows) = offset.addingReportingOverflow(lanes[lane].moves[move].invitedOffset)
        guard let target = remote(buffer, overflows ? -1 : sum, Int(slots[peer]), lane) else { return false }
        (lanes[lane].moves[move].write.destination, lanes[lane].moves[move].write.destinationOffset) = target
        return true
    }

    // MARK: bounds and names

    /// An operation that waited longer than the stall limit for a peer ends everything.
    mutating func findStall(at now: FabricInstant) {
        guard !hasFailed else { return }
        for lane in lanes.indices where lanes[lane].isActive {
            if lanes[lane].progress != lanes[lane].seenProgress {
                (lanes[lane].seenProgress, lanes[lane].seenAt) = (lanes[lane].progress, now)
                continue
            }
            let waited = now.since(lanes[lane].seenAt) / 1_000_000
            if waited > settings.stallMilliseconds { return fail(stalled(lane, seconds: waited / 1000)) }
        }
    }

    private func stalled(_ lane: Int, seconds: UInt64) -> CollectiveError {
        let isAtEnd = lanes[lane].step == lanes[lane].stepCount
        let step = isAtEnd ? Step(drain: true) : lanes[lane].step(at: lanes[lane].step)
        let place = "at step \(lanes[lane].step) of \(lanes[lane].stepCount)"
        if let peer = step.receive, !lanes[lane].hasReceived {
            return error(
                .stalled, lane: lane, peer: peer, "nothing came from it for \(seconds) s \(place)",
                remedy: "see what that rank is doing; a slower step needs a longer stall limit")
        }
        let slow = peers.first { peer in
            (0..<lanes[lane].channels).contains { links[lanes[lane].link(Int(slots[peer]), channel: $0)].isIncomplete }
        }
        return error(
            .stalled, lane: lane, peer: step.send?.peer ?? slow, "it acknowledged no write for \(seconds) s \(place)",
            remedy: "see what that rank and the network to it are doing")
    }

    func name(of lane: Int) -> String { lanes[lane].operation.name(sequence: lanes[lane].sequence) }

    func error(
        _ cause: CollectiveError.Cause, lane: Int, peer: Int?, _ detail: String, remedy: String = ""
    ) -> CollectiveError {
        CollectiveError(cause, peer: peer, operation: name(of: lane), detail: detail, remedy: remedy)
    }

    private func stray(_ channel: Channel, _ rawValue: UInt32) -> CollectiveError {
        CollectiveError(
            .protocolViolation, peer: channel.peer, operation: currentOperation,
            detail:
                "a message with immediate data \(String(rawValue, radix: 16)) came on channel \(channel.index) of it, which has no place there"
        )
    }

    private func operationsDiffer(lane: Int, peer: Int) -> CollectiveError {
        CollectiveError(
            .operationsDiffer, peer: peer, operation: name(of: lane),
            detail: "it runs another operation at this place of the order",
            remedy: "make every rank submit the same operations, sizes and types in the same order")
    }
}
