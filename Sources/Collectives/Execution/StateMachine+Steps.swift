public import Fabric

/// Events, and the steps that they let a lane take.
///
/// The steps of small operations are the most of what those cost: a lane, a link and a move are found once and then held by their addresses.
// SAFETY (whole file): lanes, links and a lane's moves stay at their places: the node makes the first two once; a lane's moves are replaced only
// where an operation starts on it, which no step does that runs on that lane.
extension StateMachine {
    // MARK: events

    @usableFromInline
    mutating func handle(_ event: FabricEvent) {
        // After a failure events are only taken out, so that `wait` has something to wait for.
        guard !hasFailed else { return }
        switch event {
        case .arrival(let channel, let immediate): handleArrival(channel, immediate)
        case .completion(let channel, let ticket): handleCompletion(channel, ticket)
        case .closed(let peer): handleClosed(peer)
        case .failure(let cause): refuse(cause)
        }
        if waiting > 0 { startPending() }
        if !pendingTransfers.isEmpty { startTransfers() }
        goOnHeld()
    }

    @inline(never)
    private mutating func handleClosed(_ peer: Int) {
        closedPeer = closedPeer ?? peer
        if positions[peer] >= 0 { closedPositions.insert(Int(positions[peer])) }
        guard let lane = lanes.indices.first(where: { lanes[$0].phase.isActive }) else { return }
        fail(error(.fabric(.peerClosed), lane: lane, peer: peer, "it left the job before the operation was done"))
    }

    private mutating func handleCompletion(_ channel: Channel, _ ticket: UInt64) {
        let position = Int(positions[channel.peer])
        guard position >= 0 else { return }
        let queue = position * settings.channelsPerPeer + channel.index
        let before = completed[queue]
        completed[queue] = ticket
        // What is urgent has the first word.
        for lane in ExecutorSettings.lanes..<ExecutorSettings.collectiveLanes {
            complete(lane, lanes[lane].link(position, channel: channel.index), before, ticket)
        }
        for lane in 0..<ExecutorSettings.lanes { complete(lane, lanes[lane].link(position, channel: channel.index), before, ticket) }
        guard channel.index == 0 else { return }
        let first = ExecutorSettings.collectiveLanes + 2 * position
        complete(first, lanes[first].firstLink, before, ticket)
        complete(first + 1, lanes[first + 1].firstLink, before, ticket)
    }

    /// - Parameter before: the ticket through which the channel's writes had completed already.
    private mutating func complete(_ lane: Int, _ link: Int, _ before: UInt64, _ ticket: UInt64) {
        if links[link].lastTicket > before, links[link].lastTicket <= ticket {
            lanes[lane].incomplete -= 1
            if lanes[lane].incomplete == 0, lanes[lane].phase == .behindPrevious { lanes[lane].phase = .running }
        }
        guard lanes[lane].phase.isActive else { return }
        // The lane may wait for its writes, or for room in the queue.
        if !isMutated(.missedCompletion) { advance(lane) }
    }

    private mutating func handleArrival(_ channel: Channel, _ rawValue: UInt32) {
        let position = Int(positions[channel.peer])
        guard position >= 0 else { return }
        let immediate = Immediate(rawValue: rawValue)
        guard immediate.epoch == settings.epoch & 3 || isMutated(.ignoredEpoch) else { return fail(stray(channel, rawValue)) }
        let lane =
            switch immediate.kind {
            case .collective: Int(immediate.operation) % ExecutorSettings.lanes
            case .urgent: ExecutorSettings.lanes + Int(immediate.operation) % ExecutorSettings.urgentLanes
            case .toSender: ExecutorSettings.collectiveLanes + 2 * position
            case .toReceiver: ExecutorSettings.collectiveLanes + 2 * position + 1
            }
        let state = unsafe lanes.address(of: lane)
        guard unsafe channel.index < state.pointee.channels else { return fail(stray(channel, rawValue)) }
        let link = unsafe links.address(of: state.pointee.link(position, channel: channel.index))
        unsafe bringToPresent(link, of: state)
        let isPresent = unsafe UInt64(immediate.operation) == state.pointee.sequence % Immediate.operations
        let number = unsafe isPresent ? link.pointee.arrived : link.pointee.earlyArrived
        guard number == 0 || immediate.payload == number & 0xFFFF,
            unsafe (isPresent || number == 0 || immediate.operation == link.pointee.earlyOperation)
        else { return fail(stray(channel, rawValue)) }
        if isPresent {
            if number == 0 { unsafe link.pointee.signature = immediate.payload }
            unsafe link.pointee.arrived += 1
            if unsafe state.pointee.phase.isActive { advance(lane) }
        } else {
            if number == 0 { unsafe (link.pointee.earlyOperation, link.pointee.earlySignature) = (immediate.operation, immediate.payload) }
            unsafe link.pointee.earlyArrived += 1
        }
    }

    // MARK: steps

    /// Does every step of the lane's operation that can be done now; at the end, reports it and frees the lane.
    mutating func advance(_ lane: Int) {
        let state = unsafe lanes.address(of: lane)
        guard unsafe state.pointee.phase != .behindPrevious || isMutated(.ignoredPrevious) else { return }
        let before = unsafe state.pointee.step
        while unsafe state.pointee.step < state.pointee.stepCount {
            guard unsafe state.pointee.part != .move || resolvePresent(lane) else { break }
            // Stored properties only: a computed one would copy the lane.
            let kept = unsafe state.pointee.keptMoves
            let index = unsafe kept > 0 ? state.pointee.step + kept * state.pointee.eagerSet : 0
            guard unsafe take(state.pointee.moves.address(of: index), of: state, lane) else { break }
            unsafe state.pointee.part = kept > 0 ? .message : .move
            unsafe state.pointee.step += 1
        }
        guard !hasFailed else { return }
        unsafe state.pointee.progress += UInt64(state.pointee.step - before)
        if unsafe state.pointee.step == state.pointee.stepCount
            && (state.pointee.incomplete == 0 || state.pointee.endsBeforeWrites || isMutated(.earlyRelease))
        {
            unsafe finish(state, lane)
        }
    }

    /// Resolves the present step; false where it cannot be.
    @inline(never)
    private mutating func resolvePresent(_ lane: Int) -> Bool {
        guard let move = resolve(lanes[lane].step(at: lanes[lane].step), lane) else { return false }
        lanes[lane].moves[0] = move
        lanes[lane].part = .message
        return true
    }

    /// The writes of the outbox are with the fabric. A lane may have waited for that.
    @usableFromInline
    mutating func outboxPosted() {
        outbox.removeAll()
        guard isOutboxAwaited else { return }
        isOutboxAwaited = false
        // What is urgent has the first word.
        for lane in ExecutorSettings.lanes..<ExecutorSettings.collectiveLanes { goOnBehindOutbox(lane) }
        for lane in 0..<ExecutorSettings.lanes { goOnBehindOutbox(lane) }
        for lane in ExecutorSettings.collectiveLanes..<lanes.count { goOnBehindOutbox(lane) }
        // A lane that came to its end is free for what waits for it; no event need follow.
        if waiting > 0 { startPending() }
        if !pendingTransfers.isEmpty { startTransfers() }
    }

    private mutating func goOnBehindOutbox(_ lane: Int) {
        guard lanes[lane].phase == .behindOutbox else { return }
        lanes[lane].phase = .running
        advance(lane)
    }

    /// The parts of a step in their order; false where one has to wait, or has failed.
    /// - Parameter state: of the lane.
    @inline(__always)
    private mutating func take(_ move: UnsafeMutablePointer<Move>, of state: UnsafeMutablePointer<Lane>, _ lane: Int) -> Bool {
        let received = unsafe move.pointee.receives
        if received >= 0, unsafe state.pointee.part == .message {
            guard unsafe consume(links.address(of: received), of: state, received, lane) else { return false }
            unsafe state.pointee.part = .action
        }
        // After the message: it comes later as a rule, and then nobody need come back for the outbox.
        if unsafe move.pointee.drains && (state.pointee.incomplete > 0 || !outbox.isEmpty), !isMutated(.ignoredDrain) {
            return waitForOutbox(lane)
        }
        if unsafe move.pointee.acts && state.pointee.part != .write {
            if unsafe move.pointee.actsLong && !outbox.isEmpty { return waitForOutbox(lane) }
            if let combination = unsafe move.pointee.combination {
                perform(combination, lane)
            } else if let action = unsafe move.pointee.action {
                perform(action, lane)
            }
            unsafe state.pointee.part = .write
        }
        return unsafe move.pointee.sends < 0 || post(move, of: state, lane)
    }

    private mutating func waitForOutbox(_ lane: Int) -> Bool {
        lanes[lane].phase = .behindOutbox
        isOutboxAwaited = true
        return false
    }

    /// Takes the next message of a link; false where it has not arrived.
    @inline(__always)
    private mutating func consume(
        _ link: UnsafeMutablePointer<Link>, of state: UnsafeMutablePointer<Lane>, _ number: Int, _ lane: Int
    ) -> Bool {
        unsafe bringToPresent(link, of: state)
        if isMutated(.uninvited), unsafe link.pointee.consumed == 0 && link.pointee.arrived == 0 { return true }
        guard unsafe link.pointee.consumed < link.pointee.arrived else { return false }
        guard unsafe link.pointee.signature == state.pointee.signature || isMutated(.ignoredSignature) else {
            fail(operationsDiffer(lane: lane, peer: peer(of: number, lane)))
            return false
        }
        unsafe link.pointee.consumed += 1
        if unsafe state.pointee.isRecorded { records[lane].takeArrival(at: now) }
        return true
    }

    private func peer(of link: Int, _ lane: Int) -> Int {
        peers[lanes[lane].onlyPeer < 0 ? (link - lanes[lane].firstLink) / lanes[lane].channels : lanes[lane].onlyPeer]
    }

    /// Makes the link's counts those of the lane's operation.
    @inline(__always)
    private mutating func bringToPresent(_ link: UnsafeMutablePointer<Link>, of state: UnsafeMutablePointer<Lane>) {
        if unsafe link.pointee.sequence != state.pointee.sequence { unsafe link.pointee.turn(to: state.pointee.sequence) }
    }

    /// The send part of a step; false where the queue is full, or something has failed.
    @inline(__always)
    private mutating func post(_ move: UnsafeMutablePointer<Move>, of state: UnsafeMutablePointer<Lane>, _ lane: Int) -> Bool {
        let link = unsafe links.address(of: move.pointee.sends)
        unsafe bringToPresent(link, of: state)
        guard !outbox.isFull else { return waitForOutbox(lane) }
        guard unsafe !isHeld(state.pointee.kind) else { return false }
        let queue = unsafe move.pointee.queue
        // A full queue and a closed window drain by completions, which call us again.
        guard unsafe writesCompleteAtOnce || hasRoom(move.pointee.write.byteCount, on: queue, of: state.pointee.kind) else { return false }
        switch unsafe move.pointee.address {
        case .known: break
        case .invitation: writeInvitation(to: unsafe move.pointee.write.channel.peer, lane)
        case .invited: guard unsafe followInvitation(move, lane) else { return false }
        }
        let sent = unsafe link.pointee.sent
        let immediate = unsafe Immediate(
            epoch: settings.epoch, kind: kindOfMessages(state.pointee.kind), operation: state.pointee.sequence,
            payload: sent == 0 ? state.pointee.signature : sent)
        // Set in the copy: a copy of what was just stored would wait for the store.
        unsafe outbox.append(move.pointee.write)
        outbox[outbox.count - 1].immediate = immediate.rawValue
        unsafe link.pointee.sent = sent + 1
        if writesCompleteAtOnce { return true }
        posted[queue] += 1
        if unsafe link.pointee.lastTicket <= completed[queue] { unsafe state.pointee.incomplete += 1 }
        unsafe link.pointee.lastTicket = posted[queue]
        return true
    }

    /// Whether a channel takes one more write now; it is posted then.
    @inline(__always)
    private mutating func hasRoom(_ byteCount: Int, on queue: Int, of kind: Immediate.Kind) -> Bool {
        guard posted[queue] - completed[queue] < writeDepth else { return false }
        guard bulkWindows.count > 0, kind != .urgent else { return true }
        return bulkWindows[queue].admits(byteCount, limit: bulkWindowBytes, posted: posted[queue], completed: completed[queue])
    }

    /// The fabric did not take a write, or failed by itself.
    @inline(never)
    @usableFromInline
    mutating func refuse(_ refusal: FabricError) {
        fail(
            CollectiveError(
                .fabric(refusal.cause), peer: refusal.rankAtFault, operation: currentOperation, detail: refusal.detail,
                remedy: refusal.remedy))
    }

    /// A lane of transfers receives messages of its kind, and sends those of the other end's.
    private func kindOfMessages(_ kind: Immediate.Kind) -> Immediate.Kind {
        switch kind {
        case .collective, .urgent: kind
        case .toSender: .toReceiver
        case .toReceiver: .toSender
        }
    }

    @inline(__always)
    private mutating func finish(_ state: UnsafeMutablePointer<Lane>, _ lane: Int) {
        lastFinished = unsafe (state.pointee.operation, state.pointee.sequence)
        end(lane, isFailed: false)
        unsafe state.pointee.turn()
    }
}
