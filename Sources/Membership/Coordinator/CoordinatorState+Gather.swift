extension CoordinatorState {
    /// A gather that not all of its members have come to yet.
    package struct Gather: Sendable {
        let id: GatherID
        /// The job's ranks that take part, in the order of the parts.
        let members: [Int]
        /// The label of the rank that came first.
        let label: String
        /// By rank of the job.
        var parts: [Int: [UInt8]] = [:]
        /// By rank of the job: how many operations of the group it had begun when it came, of each of their orders.
        var collectivesBegun: [Int: [UInt64]] = [:]

        func waits(for rank: Int) -> Bool { parts[rank] == nil && members.contains(rank) }
    }

    /// The gather that has waited longest for the rank, as far as its own numbers tell.
    func oldestGather(waitingFor rank: Int) -> Gather? {
        gathers.values.filter { $0.waits(for: rank) }.min { ($0.id.sequence, $0.id.group) < ($1.id.sequence, $1.id.group) }
    }

    /// What a joined rank says.
    package mutating func receive(_ message: Message, payload: [UInt8], from connection: ConnectionID) -> [Action] {
        guard let rank = ranks[connection] else { return [] }
        switch message {
        case .alive:
            return []
        case .contribute(let gather, let members, let label, let timeoutSeconds, let collectivesBegun):
            let actions = contribute(payload, from: rank, to: gather, of: members, label: label, timeoutSeconds: timeoutSeconds)
            gathers[gather]?.collectivesBegun[rank] = collectivesBegun
            return actions
        case .waiting(let wait):
            return crossing(rank, wait)
        case .report(let verdict):
            return fail(verdict.bounded)
        case .conclude(let verdict):
            return conclude(verdict.bounded)
        case .goodbye:
            return leave(rank, connection)
        case .started, .gathered, .failed, .farewell:
            return lost(connection, .violation("it sent a message that only the coordinator sends"))
        }
    }

    private mutating func contribute(
        _ payload: [UInt8], from rank: Int, to id: GatherID, of members: [Int]?, label: String, timeoutSeconds: Double
    ) -> [Action] {
        // A rank that has not heard of the failure yet will do so.
        guard failure == nil else { return [] }
        let id = isMutated(.mixedGroups) && members != nil ? GatherID(group: "any", sequence: id.sequence) : id
        guard hasStarted, isInTurn(rank, id, members), payload.count <= RendezvousBounds.payloadByteLimit else {
            return lost(self.members[rank].connection ?? -1, .violation("a gather out of turn or too large"))
        }
        if members == nil { nextGather[rank] += 1 }
        var actions: [Action] = []
        if gathers[id] == nil {
            gathers[id] = Gather(id: id, members: members ?? Array(0..<worldSize), label: label)
            // The rank that came first waits longest; its deadline is the gather's.
            actions.append(.startTimer(gather: id, seconds: timeoutSeconds))
        }
        guard var gather = gathers[id] else { return actions }
        guard gather.label == label else { return actions + fail(mismatch(gather, rank: rank, label: label)) }
        gather.parts[rank] = payload
        gathers[id] = gather
        if !isMutated(.departureUnnoticed), let gone = leftRanks.first(where: gather.members.contains) {
            return actions + fail(departure(of: gone, from: gather))
        }
        guard gather.parts.count == gather.members.count else { return actions }
        gathers[id] = nil
        var receivers = gather.members.compactMap { self.members[$0].connection }
        if isMutated(.unreleasedWaiter) { receivers.removeLast() }
        return (isMutated(.timerKept) ? [] : [.cancelTimer(gather: id)])
            + frames(of: gather).map { .send(receivers, $0.message, payload: $0.payload) }
    }

    /// A rank waits in an operation for another, which waits in a gather of the same group for it. Both are calls of one thread in one order, so
    /// neither will end where the other has not begun the operation.
    private mutating func crossing(_ rank: Int, _ wait: OperationWait) -> [Action] {
        let crossed = gathers.values.first { gather in
            gather.id.group == wait.group && gather.waits(for: rank) && gather.parts[wait.peer] != nil
                && gather.collectivesBegun[wait.peer].map { begun in
                    begun.indices.contains(wait.order) && (begun[wait.order] <= wait.number || isMutated(.hastyCrossing))
                } ?? false
        }
        guard failure == nil, let crossed, !isMutated(.crossingUnnoticed) else { return [] }
        return fail(
            Verdict(
                rank: wait.peer, cause: .disagreed,
                "rank \(rank) waits for rank \(wait.peer) in \(oneLine(wait.operation, byteLimit: RendezvousBounds.labelByteLimit)), and rank "
                    + "\(wait.peer) for rank \(rank) in gather \"\(crossed.label)\"",
                during: "gather \"\(crossed.label)\"",
                remedy: "let every rank make the same calls in the same order, with the same options"))
    }

    /// Gathers of all ranks are counted here. Those of a group are matched by the number that its members give; a rank may come to each once, and
    /// all must mean the same members.
    private func isInTurn(_ rank: Int, _ id: GatherID, _ group: [Int]?) -> Bool {
        guard let group else { return id == GatherID(sequence: nextGather[rank]) }
        guard !id.group.isEmpty, group.contains(rank), group.allSatisfy(members.indices.contains), Set(group).count == group.count else {
            return false
        }
        guard let gather = gathers[id] else { return true }
        return gather.members == group && gather.parts[rank] == nil
    }

    /// As many parts in each frame as the limit of a frame allows. Without repetitions the agreement of N ranks on something would take N x N times its bytes.
    private func frames(of gather: Gather) -> [(message: Message, payload: [UInt8])] {
        var frames: [(message: Message, payload: [UInt8])] = []
        let members = isMutated(.partsByRank) ? gather.members.sorted() : gather.members
        var first = 0
        while first < members.count {
            var payload: [UInt8] = []
            var byteCounts: [Int] = []
            while first + byteCounts.count < members.count, byteCounts.count < RendezvousBounds.ranksPerFrameLimit,
                let part = gather.parts[members[first + byteCounts.count]]
            {
                if !byteCounts.isEmpty, part == gather.parts[members[first + byteCounts.count - 1]] {
                    byteCounts.append(Message.repetition)
                    continue
                }
                guard byteCounts.isEmpty || payload.count + part.count <= RendezvousBounds.payloadByteLimit else { break }
                payload += part
                byteCounts.append(part.count)
            }
            frames.append((.gathered(gather: gather.id, first: first, byteCounts: byteCounts), payload))
            first += byteCounts.count
        }
        return frames
    }

    package mutating func gatherDeadlinePassed(_ id: GatherID, afterSeconds: Double) -> [Action] {
        guard let gather = gathers[id] else { return [] }
        let missing = gather.members.filter { gather.parts[$0] == nil }
        return fail(
            Verdict(
                rank: missing[0], cause: .stalled,
                "\(missing.count == 1 ? "it" : "\(RankList(missing))") did not reach gather \"\(gather.label)\" within \(seconds(afterSeconds))",
                during: "gather \"\(gather.label)\"", remedy: "see the log of \(RankList(missing)), or allow more time"))
    }

    private mutating func leave(_ rank: Int, _ connection: ConnectionID) -> [Action] {
        members[rank] = .left
        if !isMutated(.leaverTakenForLost) { ranks[connection] = nil }
        let farewell = [Action.send([connection], .farewell)]
        guard hasStarted || isMutated(.earlyDepartureUnnoticed) else { return farewell + fail(departureBeforeStart(of: rank)) }
        if let conclusion, conclusion.rank == rank { return farewell + fail(departure(conclusion)) }
        guard !isMutated(.departureUnnoticed), let waiting = oldestGather(waitingFor: rank) else { return farewell }
        return farewell + fail(departure(of: rank, from: waiting))
    }

    private func departureBeforeStart(of rank: Int) -> Verdict {
        Verdict(
            rank: rank, cause: .left, "it took leave before all ranks had joined", during: "joining", remedy: "see the log of rank \(rank)")
    }

    private func departure(of rank: Int, from gather: Gather) -> Verdict {
        Verdict(
            rank: rank, cause: .left, "it took leave while \(RankList(gather.parts.keys)) waited for it in gather \"\(gather.label)\"",
            during: "gather \"\(gather.label)\"", remedy: "let every rank make the same calls in the same order")
    }

    /// Found at the second label that differs, so only one rank is in the minority: the one that came with it.
    private func mismatch(_ gather: Gather, rank: Int, label: String) -> Verdict {
        Verdict(
            rank: rank, cause: .disagreed, "it called \"\(label)\" where \(RankList(gather.parts.keys)) called \"\(gather.label)\"",
            during: "gather \"\(gather.label)\"", remedy: "let every rank make the same calls in the same order")
    }
}

extension CoordinatorState.Member {
    /// The connection of a rank that is here.
    var connection: CoordinatorState.ConnectionID? {
        if case .joined(let connection, _) = self { connection } else { nil }
    }
}
