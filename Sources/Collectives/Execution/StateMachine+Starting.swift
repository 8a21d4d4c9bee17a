extension ExecutorSettings {
    /// What an operation's schedule is computed from.
    func shape(of operation: Operation, rank: Int, layout: ReceiveBuffers) -> Shape {
        let size = operation.type.byteCount
        var shape = Shape(
            rank: rank, topology: topology, extents: operation.extents(worldSize: worldSize), stripes: operation.stripes(in: topology),
            chunkElements: chunkBytes / size,
            minChunkElements: Self.smallestChunkBytes / size, maxChunks: chunks,
            gatedSlots: layout.gatedSlots, channels: channelsPerPeer, messageElements: messageBytes / size)
        shape.wire = operation.wire
        return shape
    }
}

extension StateMachine {
    /// Moves waiting collectives onto free lanes, those of each stream in order; urgent ones first.
    mutating func startPending() {
        for order in orders.indices.reversed() {
            while !hasFailed, let next = orders[order].pending.first {
                let lane = orders[order].firstLane + Int(orders[order].nextToStart & orders[order].laneMask)
                guard !lanes[lane].phase.isActive, order == 0 || !isMutated(.urgentBehindBulk) || orders[0].pending.isEmpty else { break }
                orders[order].pending.removeFirst()
                waiting -= 1
                orders[order].nextToStart += 1
                start(next.operation, number: next.number, next.submitted, on: lane)
            }
        }
    }

    /// The same for transfers; each waits for those before it between the same two ranks only.
    mutating func startTransfers() {
        var index = 0
        while !hasFailed, index < pendingTransfers.count {
            let next = pendingTransfers[index]
            let lane = transferLane(of: next.operation)
            if lanes[lane].phase.isActive {
                index += 1
            } else {
                pendingTransfers.remove(at: index)
                start(next.operation, number: next.number, next.submitted, on: lane)
            }
        }
    }

    func transferLane(of operation: Operation) -> Int {
        guard let peer = operation.collective.peer, 0..<worldSize ~= peer, positions[peer] >= 0 else {
            invariantFailure("a transfer's other rank is a connected peer")
        }
        let isSend = operation.collective == .send(to: peer)
        return ExecutorSettings.collectiveLanes + 2 * Int(positions[peer]) + (isSend ? 0 : 1)
    }

    @inline(__always)
    mutating func start(_ operation: Operation, number: Int, _ submitted: UInt64?, on lane: Int) {
        // SAFETY: as `StateMachine+Steps.swift` says of lanes.
        let state = unsafe lanes.address(of: lane)
        let comesAgain = unsafe state.pointee.isPrepared && state.pointee.operation.isSame(as: operation)
        if !comesAgain { prepare(operation, on: lane) }
        unsafe state.pointee.number = number
        unsafe state.pointee.isRecorded = submitted != nil
        if let submitted { records[lane] = OperationRecord(submitted: submitted, startedAt: now, worked: worked) }
        unsafe state.pointee.phase = state.pointee.incomplete > 0 ? .behindPrevious : .running
        // From here on a failure reports the operation.
        if comesAgain, unsafe state.pointee.keptMoves == 0 { keepMoves(lane) }
        unsafe state.pointee.part = state.pointee.keptMoves > 0 ? .message : .move
        // Spreads the place in the order over the bits that travel.
        let hash = unsafe (state.pointee.operationHash ^ state.pointee.sequence) &* 0x9E37_79B9_7F4A_7C15
        unsafe state.pointee.signature = UInt32(truncatingIfNeeded: hash >> 48)
        unsafe state.pointee.seenProgress = .max
        advance(lane)
    }

    /// Works out what depends on the operation alone; done again only when the lane gets another one.
    private mutating func prepare(_ operation: Operation, on lane: Int) {
        check(operation)
        if lanes[lane].kind == .urgent, bulkWindows.count == 0, !writesCompleteAtOnce { beginWindows() }
        let algorithm = operation.collective.peer == nil ? choices.algorithm(for: operation, in: settings) : .pairwise
        let extents = operation.extents(worldSize: worldSize)
        let key = Lane.ProgramKey(
            extents: extents, stripes: operation.stripes(in: settings.topology), type: operation.type, wire: operation.wire,
            algorithm: algorithm)
        if lanes[lane].programKey != key {
            var shape = settings.shape(of: operation, rank: rank, layout: layout)
            if isMutated(.ownersByOperation) { shape.stripes = shape.stripes.fromOperation }
            lanes[lane].schedule = Schedule(algorithm, shape)
            if isMutated(.windowTooFew) { lanes[lane].schedule.takeAWindowsSlots() }
            lanes[lane].stepCount = lanes[lane].schedule.count
            lanes[lane].setProgram(key)
            if isMutated(.earlyLeave), algorithm == .direct { lanes[lane].stepCount -= min(1, lanes[lane].stepCount) }
        }
        let size = operation.type.byteCount
        lanes[lane].operation = operation
        lanes[lane].counts = operation.uneven.counts
        lanes[lane].isPrepared = true
        lanes[lane].keptMoves = 0
        // A reduction or a swap in place has just read the lines that it stores into: they are in the cache, and past it the way is longer.
        let isOverwriting = operation.isInPlace && (operation.collective.reduces || operation.collective == .allToAll)
        lanes[lane].isStreaming = !isOverwriting && elements(of: extents) * size > settings.cacheBytes
        lanes[lane].usesEager = algorithm.isEager || (extents.isUneven && operation.collective == .allToAll)
        // A schedule too long for a program is none of small messages.
        lanes[lane].endsBeforeWrites =
            lanes[lane].usesEager && !lanes[lane].program.isEmpty && lanes[lane].program.allSatisfy { $0.send?.readsOwnMemory ?? true }
        lanes[lane].inputOffset = operation.input.byteOffset + extents.input(of: rank).lowerBound * size
        lanes[lane].outputOffset = operation.output.byteOffset + extents.output(of: rank).lowerBound * size
        lanes[lane].operationHash = operation.hash(algorithm: algorithm)
    }

    /// Elements of all buffers of this rank's node, as far as the operation touches them.
    private func elements(of extents: Extents) -> Int {
        let node = settings.topology.node(of: rank)
        return (0..<settings.topology.size(ofNode: node)).reduce(0) { sum, local in
            let rank = settings.topology.rank(local, ofNode: node)
            let (input, output) = (extents.input(of: rank).count, extents.output(of: rank).count)
            return sum + (extents.isInPlace ? max(input, output) : input + output)
        }
    }

    /// The first urgent collective: from here on bulk gives way.
    private mutating func beginWindows() {
        bulkWindowBytes = settings.bulkWindowBytes
        bulkWindows = FixedArray(posted.indices.map { BulkWindow(lastPosted: posted[$0]) })
    }

    /// Resolves a short program, since the same operation has come again.
    private mutating func keepMoves(_ lane: Int) {
        let program = lanes[lane].program
        guard !program.isEmpty, program.count <= Lane.maxKeptMoves else { return }
        let set = lanes[lane].eagerSet
        defer { lanes[lane].eagerSet = set }
        var moves: [Move] = []
        for eagerSet in 0..<2 {
            lanes[lane].eagerSet = eagerSet
            for step in program {
                guard let move = resolve(step, lane) else { return }
                moves.append(move)
            }
        }
        lanes[lane].moves = FixedArray(moves)
        lanes[lane].keptMoves = moves.count / 2
    }
}
