import Fabric
internal import Reduction

extension Executor where F: ~Copyable {
    // MARK: starting

    /// Moves waiting operations onto free lanes, in order. One that has nothing to do ends at once and frees its lane again.
    mutating func startPending() {
        while pendingHead < pending.count {
            let lane = Int(nextToStart % UInt64(ExecutorSettings.lanes))
            guard failure == nil, !lanes[lane].isActive else { return }
            let request = pending[pendingHead]
            pendingHead += 1
            if pendingHead == pending.count {
                pending.removeAll(keepingCapacity: true)
                pendingHead = 0
            }
            nextToStart += 1
            start(request, on: lane)
        }
    }

    private mutating func start(_ request: Allreduce, on lane: Int) {
        let size = request.type.byteCount
        let schedule = RingAllreduce(
            rank: rank, worldSize: worldSize, elementCount: request.count, maximumPieceElements: settings.pieceBytes / size,
            minimumPieceElements: ExecutorSettings.smallestPieceBytes / size, maximumPieces: settings.pieces)
        // What makes every landing offset lie in the lane's part of the landing memory.
        invariant(
            schedule.pieceElements * size <= settings.pieceBytes
                && schedule.landingSlots * settings.pieceBytes <= settings.landingBytesPerLane, "a schedule fits its landing memory")
        lanes[lane].request = request
        lanes[lane].schedule = schedule
        lanes[lane].signature =
            Immediate(epoch: 0, operation: 0, signature: request.signature(sequence: lanes[lane].sequence), transfer: 0).signature
        lanes[lane].lastProgress = fabric.now().nanoseconds
        for link in links.indices {
            if let theirs = lanes[lane].links[link].signature, theirs != lanes[lane].signature {
                return fail(operationsDiffer(lane: lane, peer: links[link], isNext: false))
            }
        }
        advance(lane)
    }

    // MARK: events

    mutating func handle(_ event: FabricEvent) {
        switch event {
        case .arrival(let channel, let immediate):
            handleArrival(channel, Immediate(rawValue: immediate))
        case .completion(let channel, let ticket):
            guard let link = links.firstIndex(of: channel.peer) else { return }
            completed[link * settings.channelsPerPeer + channel.index] = ticket
            for lane in lanes.indices where lanes[lane].isActive && lanes[lane].channel == channel.index { advance(lane) }
        case .closed(let peer):
            closedPeer = closedPeer ?? peer
            if let lane = lanes.firstIndex(where: \.isActive) {
                fail(error(.fabric(.peerClosed), lane: lane, peer: peer, "it left the job before the operation was done"))
            }
        case .failure(let cause):
            fail(
                CollectiveError(
                    .fabric(cause.cause), peer: cause.rankAtFault, operation: currentOperation, detail: cause.detail,
                    remedy: cause.remedy))
        }
    }

    private mutating func handleArrival(_ channel: Channel, _ immediate: Immediate) {
        let lane = Int(immediate.operation) % ExecutorSettings.lanes
        guard let link = links.firstIndex(of: channel.peer) else { return }
        let state = lanes[lane].links[link]
        let now = lanes[lane].sequence
        let isCurrent = immediate.operation == expected(operation: now)
        let isNext = immediate.operation == expected(operation: now + UInt64(ExecutorSettings.lanes))
        let number = isCurrent ? state.arrived : state.arrivedEarly
        guard isCurrent || isNext, channel.index == lanes[lane].channel,
            immediate
                == Immediate(
                    epoch: settings.epoch, operation: isCurrent ? now : now + UInt64(ExecutorSettings.lanes),
                    signature: immediate.signature, transfer: number)
        else {
            return fail(
                error(
                    .protocolViolation, lane: lane, peer: channel.peer,
                    "a piece with immediate data \(String(immediate.rawValue, radix: 16)) on channel \(channel.index) "
                        + "where transfer \(number) of epoch \(settings.epoch) was due"))
        }
        let known = isCurrent ? state.signature : state.earlySignature
        let differs = known.map { $0 != immediate.signature } ?? false
        let disagrees = isCurrent && lanes[lane].isActive && immediate.signature != lanes[lane].signature
        if differs || disagrees { return fail(operationsDiffer(lane: lane, peer: channel.peer, isNext: isNext)) }
        if isCurrent {
            lanes[lane].links[link].arrived += 1
            lanes[lane].links[link].signature = immediate.signature
            if lanes[lane].isActive { advance(lane) }
        } else {
            lanes[lane].links[link].arrivedEarly += 1
            lanes[lane].links[link].earlySignature = immediate.signature
        }
    }

    // MARK: steps

    /// Does every step of the lane's operation that can be done now; at the end, reports it and frees the lane.
    mutating func advance(_ lane: Int) {
        guard let request = lanes[lane].request, let schedule = lanes[lane].schedule else { return }
        let before = lanes[lane].step
        while lanes[lane].step < schedule.count {
            let step = schedule[lanes[lane].step]
            if let receive = step.receive, !lanes[lane].received {
                guard consume(receive, request, lane) else { break }
                lanes[lane].received = true
            }
            if let send = step.send {
                guard post(send, request, lane) else { break }
            }
            lanes[lane].received = false
            lanes[lane].step += 1
        }
        guard failure == nil else { return }
        if lanes[lane].step != before { lanes[lane].lastProgress = fabric.now().nanoseconds }
        if lanes[lane].step == schedule.count, writesCompleted(lane) { finish(lane) }
    }

    /// The receive part of a step; false where the piece has not arrived.
    private mutating func consume(_ receive: Receive, _ request: Allreduce, _ lane: Int) -> Bool {
        let link = link(of: receive.peer)
        guard lanes[lane].links[link].consumed < lanes[lane].links[link].arrived else { return false }
        lanes[lane].links[link].consumed += 1
        switch receive.action {
        case .stored: break
        case .reduce(let slot): reduce(receive.range, slot, request, lane, finish: false)
        case .reduceAndFinish(let slot): reduce(receive.range, slot, request, lane, finish: true)
        }
        return true
    }

    private func reduce(_ range: Range<Int>, _ slot: Int, _ request: Allreduce, _ lane: Int, finish: Bool) {
        guard !range.isEmpty else { return }
        let size = request.type.byteCount
        // SAFETY: the fabric owns both regions as long as the executor lives; the range was checked against the buffer at submission, the
        // slot lies in the landing memory by its layout, and an arrival said that nobody writes there until we send on.
        let target = unsafe buffers[request.buffer.index].region.base + request.byteOffset + range.lowerBound * size
        let landing = unsafe buffers[0].region.base + landingOffset(lane: lane, slot: slot)
        unsafe Kernels.accumulate(request.type, into: target, from: landing, count: range.count)
        if finish { unsafe Kernels.finish(request.operation, request.type, target, count: range.count, ranks: worldSize) }
    }

    /// The send part of a step; false where the fabric's queue is full, or has failed.
    private mutating func post(_ send: Send, _ request: Allreduce, _ lane: Int) -> Bool {
        let link = link(of: send.peer)
        let channel = Channel(peer: send.peer, index: lanes[lane].channel)
        let size = request.type.byteCount
        let offset = request.byteOffset + send.range.lowerBound * size
        let isLanding: Bool
        let destinationOffset: Int
        switch send.target {
        case .landing(let slot): (isLanding, destinationOffset) = (true, landingOffset(lane: lane, slot: slot))
        case .buffer: (isLanding, destinationOffset) = (false, offset)
        }
        guard let remote = buffers[isLanding ? 0 : request.buffer.index].remotes[link] else {
            fail(error(.protocolViolation, lane: lane, peer: send.peer, "its memory was never attached"))
            return false
        }
        let write = Write(
            channel: channel, source: buffers[request.buffer.index].region, sourceOffset: offset, destination: remote,
            destinationOffset: destinationOffset, byteCount: send.range.count * size,
            immediate: Immediate(
                epoch: settings.epoch, operation: lanes[lane].sequence, signature: lanes[lane].signature,
                transfer: lanes[lane].links[link].sent
            ).rawValue)
        do throws(FabricError) {
            lanes[lane].links[link].lastTicket = try fabric.write(write)
            lanes[lane].links[link].sent += 1
            return true
        } catch {
            // A full queue drains by completions, which call us again; but only if there is one to come.
            let isDraining = lanes[lane].links[link].lastTicket > completed[link * settings.channelsPerPeer + channel.index]
            if error.cause == .queueFull, isDraining { return false }
            fail(
                CollectiveError(
                    .fabric(error.cause), peer: error.rankAtFault, operation: name(of: lane), detail: error.detail, remedy: error.remedy))
            return false
        }
    }

    private func writesCompleted(_ lane: Int) -> Bool {
        for link in links.indices {
            let ticket = completed[link * settings.channelsPerPeer + lanes[lane].channel]
            if lanes[lane].links[link].lastTicket > ticket { return false }
        }
        return true
    }

    private mutating func finish(_ lane: Int) {
        lastFinished = lanes[lane].request.map { ($0, lanes[lane].sequence) }
        finished.append(Finished(sequence: lanes[lane].sequence, error: nil))
        lanes[lane].turn(lanes: ExecutorSettings.lanes)
    }

    // MARK: bounds and names

    /// An operation that waited longer than the stall limit for a peer ends everything.
    mutating func checkStall() {
        let time = fabric.now()
        for lane in lanes.indices where lanes[lane].isActive {
            let waited = time.since(FabricInstant(nanoseconds: lanes[lane].lastProgress)) / 1_000_000
            guard waited > settings.stallMilliseconds else { continue }
            let step = lanes[lane].schedule.flatMap { lanes[lane].step < $0.count ? $0[lanes[lane].step] : nil }
            let place = "at step \(lanes[lane].step) of \(lanes[lane].schedule?.count ?? 0)"
            if let receive = step?.receive, !lanes[lane].received {
                return fail(
                    error(
                        .stalled, lane: lane, peer: receive.peer, "nothing came from it for \(waited / 1000) s \(place)",
                        remedy: "see what that rank is doing; a slower step needs a longer stall limit"))
            }
            let right = step?.send?.peer ?? (rank + 1) % worldSize
            return fail(
                error(
                    .stalled, lane: lane, peer: right, "it acknowledged no write for \(waited / 1000) s \(place)",
                    remedy: "see what that rank and the network to it are doing"))
        }
    }

    private func link(of peer: Int) -> Int { links[0] == peer ? 0 : 1 }

    private func landingOffset(lane: Int, slot: Int) -> Int { lane * settings.landingBytesPerLane + slot * settings.pieceBytes }

    private func expected(operation: UInt64) -> UInt32 {
        Immediate(epoch: 0, operation: operation, signature: 0, transfer: 0).operation
    }

    private func name(of lane: Int) -> String {
        lanes[lane].request?.name(sequence: lanes[lane].sequence) ?? "operation #\(lanes[lane].sequence), not yet begun here"
    }

    private func error(
        _ cause: CollectiveError.Cause, lane: Int, peer: Int?, _ detail: String, remedy: String = ""
    ) -> CollectiveError {
        CollectiveError(cause, peer: peer, operation: name(of: lane), detail: detail, remedy: remedy)
    }

    /// - Parameter isNext: whether it is the lane's next operation that differs, and not the present one.
    private func operationsDiffer(lane: Int, peer: Int, isNext: Bool) -> CollectiveError {
        let next = "operation #\(lanes[lane].sequence + UInt64(ExecutorSettings.lanes))"
        return CollectiveError(
            .operationsDiffer, peer: peer, operation: isNext ? next : name(of: lane),
            detail: "it runs another operation at this place of the order",
            remedy: "make every rank submit the same operations, sizes and types in the same order")
    }
}
