import Fabric

/// What can go wrong, and in which words.
extension StateMachine {
    /// How many times longer a patient step waits; see `Step`.
    private static var patience: UInt64 { 10 }

    /// An operation that waited longer than the stall limit for a peer ends everything.
    /// - Parameter longestGapMilliseconds: what counts of the time since the last look, at most.
    mutating func findStall(at now: FabricInstant, longestGapMilliseconds: UInt64) {
        guard !hasFailed else { return }
        let gap = now.since(lookedForStallAt) / 1_000_000
        lookedForStallAt = now
        if gap > longestGapMilliseconds {
            for lane in lanes.indices where lanes[lane].phase.isActive {
                lanes[lane].seenAt = lanes[lane].seenAt.advanced(milliseconds: gap - longestGapMilliseconds)
            }
        }
        for lane in lanes.indices where lanes[lane].phase.isActive {
            if lanes[lane].progress != lanes[lane].seenProgress {
                (lanes[lane].seenProgress, lanes[lane].seenAt) = (lanes[lane].progress, now)
                continue
            }
            let waited = now.since(lanes[lane].seenAt) / 1_000_000
            guard waited > settings.stallMilliseconds else { continue }
            let isPatient = lanes[lane].step < lanes[lane].stepCount && lanes[lane].step(at: lanes[lane].step).isPatient
            if !isPatient || waited > Self.patience * settings.stallMilliseconds {
                return fail(stalled(lane, "for \(waited / 1000) s", "stall limit"))
            }
        }
    }

    /// See `Executor.timeOut`. An operation that has not begun waits for the one on its lane.
    mutating func timeOut(number: Int, milliseconds: UInt64) {
        let own = lanes.indices.first { lanes[$0].phase.isActive && lanes[$0].number == number }
        let transfer = pendingTransfers.first { $0.number == number }.map { transferLane(of: $0.operation) }
        let order = orders.indices.first { orders[$0].pending.contains { $0.number == number } }
        let next = order.map { orders[$0].firstLane + Int(orders[$0].nextToStart & orders[$0].laneMask) }
        guard !hasFailed, let lane = own ?? transfer ?? next else { return }
        fail(stalled(lane, "within the call's time-out of \(Double(milliseconds) / 1000) s", "time-out"))
    }

    /// See `Executor.longWait`.
    func longWait(at now: FabricInstant, milliseconds: UInt64, isAwaited: (Int) -> Bool) -> AwaitedPeer? {
        for stream in Stream.allCases {
            if let wait = longWait(in: stream, at: now, milliseconds: milliseconds, isAwaited: isAwaited) { return wait }
        }
        return nil
    }

    private func longWait(in stream: Stream, at now: FabricInstant, milliseconds: UInt64, isAwaited: (Int) -> Bool) -> AwaitedPeer? {
        let own = stream.firstLane..<stream.firstLane + stream.lanes
        var first: AwaitedPeer?
        for lane in own where lanes[lane].phase.isActive && lanes[lane].phase != .behindPrevious {
            guard lanes[lane].progress == lanes[lane].seenProgress, now.since(lanes[lane].seenAt) / 1_000_000 >= milliseconds,
                lanes[lane].step < lanes[lane].stepCount, lanes[lane].part.isBeforeMessage,
                let peer = lanes[lane].step(at: lanes[lane].step).receive
            else { continue }
            if let known = first, known.number < lanes[lane].sequence { continue }
            first = AwaitedPeer(peer: peer, stream: stream, number: lanes[lane].sequence, operation: name(of: lane))
        }
        // A caller that waits for a later one waits for it, too: that peer has not begun the later one either.
        guard let first else { return nil }
        let isBehind = own.contains { lane in
            lanes[lane].phase.isActive && lanes[lane].sequence >= first.number && isAwaited(lanes[lane].number)
        }
        return isBehind || orders[Int(stream.rawValue)].pending.contains { isAwaited($0.number) } ? first : nil
    }

    /// - Parameters:
    ///   - time: how long nothing moved: `for 600 s`.
    ///   - limit: what set that time.
    private func stalled(_ lane: Int, _ time: String, _ limit: String) -> CollectiveError {
        let isAtEnd = lanes[lane].step == lanes[lane].stepCount
        let step = isAtEnd ? Step(drain: true) : lanes[lane].step(at: lanes[lane].step)
        let place = "at step \(lanes[lane].step) of \(lanes[lane].stepCount)"
        let slow = peers.first { peer in
            (0..<lanes[lane].channels).contains { channel in
                let position = Int(positions[peer])
                return links[lanes[lane].link(position, channel: channel)].lastTicket
                    > completed[position * settings.channelsPerPeer + channel]
            }
        }
        if lanes[lane].phase == .behindPrevious {
            return error(
                .stalled, lane: lane, peer: slow, "it acknowledged no write of an operation before \(time)",
                remedy: "see what that rank and the network to it are doing")
        }
        if let peer = step.receive, lanes[lane].part.isBeforeMessage {
            return error(
                .stalled, lane: lane, peer: peer, "nothing came from it \(time) \(place)",
                remedy: "see what that rank is doing; a slower step needs a longer \(limit)")
        }
        // A step that waits for all earlier writes is not about its own yet.
        let isDraining = step.drain && lanes[lane].part != .write
        let peer = isDraining ? slow ?? step.send?.peer : step.send?.peer ?? slow
        return error(
            .stalled, lane: lane, peer: peer, "it acknowledged no write \(time) \(place)",
            remedy: "see what that rank and the network to it are doing")
    }

    func name(of lane: Int) -> String { lanes[lane].operation.name(sequence: lanes[lane].sequence) }

    func error(
        _ cause: CollectiveError.Cause, lane: Int, peer: Int?, _ detail: String, remedy: String = ""
    ) -> CollectiveError {
        CollectiveError(cause, peer: peer, operation: name(of: lane), detail: detail, remedy: remedy)
    }

    func stray(_ channel: Channel, _ rawValue: UInt32) -> CollectiveError {
        CollectiveError(
            .protocolViolation, peer: channel.peer, operation: currentOperation,
            detail:
                "a message with immediate data \(String(rawValue, radix: 16)) came on channel \(channel.index) of it, which has no place there"
        )
    }

    func countsDiffer(lane: Int, peer: Int, sent: Int, expected: Int) -> CollectiveError {
        error(
            .operationsDiffer, lane: lane, peer: peer, "it expects \(expected) elements from rank \(rank), which sends \(sent)",
            remedy: "make every rank's receive counts what the others' send counts say")
    }

    func operationsDiffer(lane: Int, peer: Int) -> CollectiveError {
        CollectiveError(
            .operationsDiffer, peer: peer, operation: name(of: lane),
            detail: "it runs another operation at this place of the order",
            remedy: "make every rank submit the same operations, sizes and types in the same order")
    }
}
