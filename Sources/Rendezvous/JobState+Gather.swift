import NIOCore

extension JobState {
    /// A gather that not all ranks have come to yet.
    struct Gather: Sendable {
        let sequence: Int
        /// The label of the rank that came first.
        let label: String
        var parts: [Int: ByteBuffer] = [:]
    }

    /// What a joined rank says.
    mutating func receive(_ message: Message, payload: ByteBuffer, from connection: ConnectionID) -> [Action] {
        guard let rank = ranks[connection] else { return [] }
        switch message {
        case .alive:
            return []
        case .contribute(let sequence, let label, let timeoutSeconds):
            return contribute(payload, from: rank, sequence: sequence, label: label, timeoutSeconds: timeoutSeconds)
        case .report(let verdict):
            // Built anew, so that its bounds hold whoever sent it.
            return fail(
                RendezvousError(
                    verdict: Verdict(
                        rank: verdict.rank, cause: verdict.cause, operation: verdict.operation, remedy: verdict.remedy)))
        case .goodbye:
            return leave(rank, connection)
        case .started, .gathered, .failed, .farewell:
            return lost(connection, .violation("it sent a message that only the coordinator sends"))
        }
    }

    private mutating func contribute(
        _ payload: ByteBuffer, from rank: Int, sequence: Int, label: String, timeoutSeconds: Double
    ) -> [Action] {
        // A rank that has not heard of the failure yet will do so.
        guard failure == nil else { return [] }
        guard hasStarted, sequence == nextGather[rank], payload.readableBytes <= RendezvousBounds.payloadByteLimit else {
            return lost(members[rank].connection ?? -1, .violation("a gather out of turn or too large"))
        }
        nextGather[rank] += 1
        var actions: [Action] = []
        if gathers[sequence] == nil {
            gathers[sequence] = Gather(sequence: sequence, label: label)
            // The rank that came first waits longest; its deadline is the gather's.
            actions.append(.startTimer(gather: sequence, seconds: timeoutSeconds))
        }
        guard var gather = gathers[sequence] else { return actions }
        guard gather.label == label else { return actions + fail(mismatch(gather, rank: rank, label: label)) }
        gather.parts[rank] = payload
        gathers[sequence] = gather
        if let gone = leftRanks.first { return actions + fail(departure(of: gone, from: gather)) }
        guard gather.parts.count == worldSize else { return actions }
        gathers[sequence] = nil
        return [.cancelTimer(gather: sequence)] + frames(of: gather).map { .send(joinedConnections, $0) }
    }

    /// As many parts in each frame as the limit of a frame allows.
    private func frames(of gather: Gather) -> [Envelope] {
        var frames: [Envelope] = []
        var firstRank = 0
        while firstRank < worldSize {
            var payload = ByteBuffer()
            var byteCounts: [Int] = []
            while firstRank + byteCounts.count < worldSize, byteCounts.count < RendezvousBounds.ranksPerFrameLimit,
                let part = gather.parts[firstRank + byteCounts.count],
                byteCounts.isEmpty || payload.readableBytes + part.readableBytes <= RendezvousBounds.payloadByteLimit
            {
                payload.writeImmutableBuffer(part)
                byteCounts.append(part.readableBytes)
            }
            frames.append(
                Envelope(.gathered(sequence: gather.sequence, firstRank: firstRank, byteCounts: byteCounts), payload: payload))
            firstRank += byteCounts.count
        }
        return frames
    }

    mutating func gatherDeadlinePassed(_ sequence: Int, afterSeconds: Double) -> [Action] {
        guard let gather = gathers[sequence] else { return [] }
        let missing = members.indices.filter { gather.parts[$0] == nil }
        return fail(
            RendezvousError(
                .timedOut, rank: missing[0], during: "gather \"\(gather.label)\"",
                "\(RankList(missing)) did not reach gather \"\(gather.label)\" within \(seconds(afterSeconds))",
                remedy: "see the log of \(RankList(missing)), or allow more time"))
    }

    private mutating func leave(_ rank: Int, _ connection: ConnectionID) -> [Action] {
        members[rank] = .left
        ranks[connection] = nil
        let farewell = [Action.send([connection], Envelope(.farewell))]
        let waiting = gathers.values.filter { $0.parts[rank] == nil }.min { $0.sequence < $1.sequence }
        guard let waiting else { return farewell }
        return farewell + fail(departure(of: rank, from: waiting))
    }

    private func departure(of rank: Int, from gather: Gather) -> RendezvousError {
        RendezvousError(
            .peerLeft, rank: rank, during: "gather \"\(gather.label)\"",
            "rank \(rank) took leave while \(RankList(gather.parts.keys)) waited for it in gather \"\(gather.label)\"",
            remedy: "let every rank make the same calls in the same order")
    }

    /// Found at the second label that differs, so only one rank is in the minority: the one that came with it.
    private func mismatch(_ gather: Gather, rank: Int, label: String) -> RendezvousError {
        RendezvousError(
            .labelMismatch, rank: rank, during: "gather \"\(gather.label)\"",
            "\(RankList(gather.parts.keys)) called \"\(gather.label)\" where rank \(rank) called \"\(label)\"",
            remedy: "let every rank make the same calls in the same order")
    }
}

extension JobState.Member {
    /// The connection of a rank that is here.
    var connection: JobState.ConnectionID? {
        if case .joined(let connection, _) = self { connection } else { nil }
    }
}
