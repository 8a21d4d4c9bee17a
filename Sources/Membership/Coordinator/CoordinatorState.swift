/// What the coordinator knows of its job, and what it decides: a pure state machine.
///
/// It is given what connections do and which deadlines passed, and answers with actions. It knows no socket and no clock.
/// The first failure wins: it is told to all, also to ranks that come later, and nothing replaces it.
package struct CoordinatorState: Sendable {
    package typealias ConnectionID = Int

    package enum Action: Sendable {
        /// The end of a handshake; after a refusal the connection is closed.
        case answer(ConnectionID, Handshake.Answer)
        case send([ConnectionID], Message, payload: [UInt8] = [])
        case close(ConnectionID)
        case startTimer(gather: GatherID, seconds: Double)
        case cancelTimer(gather: GatherID)
        /// `certaintyDeadlinePassed` is to be called after so long; it does no harm when all is over.
        case awaitCertainty(seconds: Double)
        /// For the log of the coordinator's process.
        case warn(String)
    }

    enum Member: Sendable {
        case absent
        case joined(ConnectionID, address: String)
        case left
        case lost
    }

    /// How a connection of a joined rank ended.
    package enum Loss: Sendable {
        case ended
        case silent(seconds: Double)
        case violation(String)
    }

    #if DEBUG
        package var mutation: MembershipMutation?
    #endif
    let worldSize: Int
    let version: String
    let bounds: RendezvousBounds
    let welcome: Handshake.Welcome

    package private(set) var hasStarted = false
    package private(set) var failure: Verdict?
    /// What a rank concluded of another whose connection to here is whole: that one's end would say more, and may yet be on its way.
    private(set) var conclusion: Verdict?
    /// The coordinator closes its connections itself: that those end is no rank's fault.
    package var isStopping = false
    var members: [Member]
    var ranks: [ConnectionID: Int] = [:]
    package internal(set) var gathers: [GatherID: Gather] = [:]
    /// For each rank the number of its next gather with all.
    var nextGather: [Int]
    private var failedAuthentications: [String] = []

    package init(worldSize: Int, version: String, bounds: RendezvousBounds, welcome: Handshake.Welcome) {
        self.worldSize = worldSize
        self.version = version
        self.bounds = bounds
        self.welcome = welcome
        self.members = Array(repeating: .absent, count: worldSize)
        self.nextGather = Array(repeating: 0, count: worldSize)
    }

    /// Nobody needs the coordinator any more.
    package var isOver: Bool { ranks.isEmpty && (hasStarted || failure != nil) }

    /// The connections of the ranks that are here.
    var joinedConnections: [ConnectionID] {
        members.compactMap { member in
            if case .joined(let connection, _) = member { connection } else { nil }
        }
    }

    package var leftRanks: [Int] {
        members.indices.filter { rank in
            if case .left = members[rank] { true } else { false }
        }
    }

    // MARK: Joining

    /// A hello whose code is right.
    package mutating func hello(_ hello: Handshake.Hello, from connection: ConnectionID, address: String) -> [Action] {
        if let failure, !isMutated(.lateWelcome) { return [.answer(connection, .refused(RendezvousError(failure)))] }
        if let objection = objection(to: hello, address: address) {
            let answer = Action.answer(connection, .refused(RendezvousError(objection)))
            // With all ranks here a newcomer is none of them, but of another job or started twice: no reason to end this one.
            guard !hasStarted || isMutated(.strangerEndsJob) else {
                return [answer, .warn("a process at \(address) is refused, and the job goes on: \(objection)")]
            }
            return [answer] + fail(objection)
        }
        members[hello.rank] = .joined(connection, address: address)
        ranks[connection] = hello.rank
        var actions: [Action] = [.answer(connection, .welcome(welcome))]
        if ranks.count == worldSize {
            hasStarted = true
            actions.append(.send(joinedConnections, .started))
        }
        return actions
    }

    private func objection(to hello: Handshake.Hello, address: String) -> Verdict? {
        let rank = hello.rank
        func verdict(_ cause: FailureCause, _ detail: String, remedy: String) -> Verdict {
            Verdict(rank: rank, cause: cause, detail, during: "joining", remedy: remedy)
        }
        guard hello.protocolVersion == Handshake.protocolVersion, hello.version == version else {
            return verdict(
                .configuration,
                "its process at \(address) runs version \(hello.version) (protocol \(hello.protocolVersion)), the coordinator "
                    + "\(version) (protocol \(Handshake.protocolVersion))",
                remedy: "install the same version on every machine")
        }
        guard hello.worldSize == worldSize else {
            return verdict(
                .configuration,
                "its process at \(address) was started for a world of \(hello.worldSize), the coordinator for one of \(worldSize)",
                remedy: "give every rank the same WORLD_SIZE")
        }
        guard (0..<worldSize).contains(rank) else {
            return verdict(
                .configuration, "a process at \(address) claims rank \(rank) in a world of \(worldSize)",
                remedy: "set RANK to 0 ... \(worldSize - 1)")
        }
        switch members[rank] {
        case .absent: return nil
        case .joined(_, let first):
            return verdict(
                .configuration, "two processes claim this rank: one at \(first), one at \(address)",
                remedy: "give every process its own RANK, and every job its own MASTER_PORT")
        case .left, .lost:
            return verdict(
                .configuration, "a second process claims this rank, at \(address), after the first one has gone",
                remedy: "start the whole job again; give every job its own MASTER_PORT")
        }
    }

    /// A well-formed hello whose code is wrong. The others learn of it if the rank that they wait for never comes.
    package mutating func authenticationFailed(address: String, claimedRank: Int) {
        guard failedAuthentications.count < RendezvousBounds.rememberedStrangerLimit else { return }
        failedAuthentications.append("a connection from \(address), claiming rank \(claimedRank), failed authentication")
    }

    /// Whether ranks are still waited for.
    var isGathering: Bool { !hasStarted && failure == nil && !isStopping }

    private var missing: [Int] {
        members.indices.filter { rank in
            if case .absent = members[rank] { true } else { false }
        }
    }

    /// Says whom the others wait for.
    func missingRanks(at place: String) -> [Action] {
        guard isGathering else { return [] }
        let strangers = failedAuthentications.map { "; \($0)" }.joined()
        return [
            .warn(
                "still waiting for \(RankList(missing)) of \(worldSize), expected at \(place) within \(seconds(bounds.joinTimeoutSeconds)) "
                    + "(MASTER_ADDR, MASTER_PORT)\(strangers)")
        ]
    }

    package mutating func joinDeadlinePassed() -> [Action] {
        guard !hasStarted, failure == nil, let first = missing.first else { return [] }
        let strangers = failedAuthentications.map { "; \($0)" }.joined()
        return fail(
            Verdict(
                rank: first, cause: .unreachable,
                "\(missing.count == 1 ? "it" : "\(RankList(missing))") did not arrive within \(seconds(bounds.joinTimeoutSeconds))\(strangers)",
                during: "joining",
                remedy: strangers.isEmpty
                    ? "check that every rank was started and reaches MASTER_ADDR and MASTER_PORT"
                    : "give every rank the same VERBENA_SECRET"))
    }

    // MARK: The end

    /// Keeps the first failure and tells it to every rank that is here.
    mutating func fail(_ verdict: Verdict) -> [Action] {
        guard failure == nil || isMutated(.secondVerdict) else { return [] }
        failure = verdict
        let timers = gathers.keys.map { Action.cancelTimer(gather: $0) }
        gathers = [:]
        return timers + [.send(isMutated(.untoldVerdict) ? joinedConnections.dropLast() : joinedConnections, .failed(verdict))]
    }

    /// A rank sees a peer's end, as far as connections of its own tell.
    mutating func conclude(_ verdict: Verdict) -> [Action] {
        guard members.indices.contains(verdict.rank) else { return fail(verdict) }
        switch members[verdict.rank] {
        case .absent, .lost: return fail(verdict)
        case .left: return fail(departure(verdict))
        case .joined:
            if isMutated(.conclusionWins) { return fail(verdict) }
            guard failure == nil, conclusion == nil else { return [] }
            conclusion = verdict
            return [.awaitCertainty(seconds: RendezvousBounds.certaintySeconds)]
        }
    }

    /// Its process need not have ended: it went before the others had done with it.
    func departure(_ conclusion: Verdict) -> Verdict {
        Verdict(
            rank: conclusion.rank, cause: .left, "it took leave while others still needed it", during: conclusion.operation,
            remedy: "see the log of rank \(conclusion.rank), and let every rank make the same calls")
    }

    package mutating func certaintyDeadlinePassed() -> [Action] {
        isMutated(.conclusionForgotten) ? [] : conclusion.map { fail($0) } ?? []
    }

    /// A connection has ended. Of one that never joined, or has taken leave, nothing follows.
    package mutating func lost(_ connection: ConnectionID, _ loss: Loss) -> [Action] {
        guard let rank = ranks.removeValue(forKey: connection) else { return [] }
        let operation = currentOperation(of: rank)
        members[rank] = .lost
        let close = [Action.close(connection)]
        // With all others gone in order there is nobody to tell.
        guard leftRanks.count < worldSize - 1 || isMutated(.lastOneLost), !isStopping || isMutated(.stoppingBlames) else { return close }
        let (cause, detail): (FailureCause, String) =
            switch loss {
            case .ended: (.died, "its process ended without taking leave (killed or crashed)")
            case .silent(let limit): (.unreachable, "stopped or unreachable: nothing was heard of it for \(seconds(limit))")
            case .violation(let what): (.disagreed, "it broke the rendezvous protocol: \(what)")
            }
        return fail(Verdict(rank: rank, cause: cause, detail, during: operation, remedy: "see the log of rank \(rank)")) + close
    }

    /// A rank's process has ended by itself, as its launcher saw: it may never have joined. Of one that took leave nothing follows.
    package mutating func processEnded(rank: Int, cause: String) -> [Action] {
        if case .left = members[rank], !isMutated(.launcherBlamesLeaver) { return [] }
        return fail(Verdict(rank: rank, cause: .died, cause, during: currentOperation(of: rank), remedy: "see the output of rank \(rank)"))
    }

    /// Without a gather that waits for the rank all is said to happen in the run of the job: the collectives know better.
    private func currentOperation(of rank: Int) -> String {
        guard hasStarted else { return "joining" }
        let pending = oldestGather(waitingFor: rank)
        return pending.map { "gather \"\($0.label)\"" } ?? "the run of the job"
    }

    func isMutated(_ mutation: MembershipMutation) -> Bool {
        #if DEBUG
            self.mutation == mutation
        #else
            false
        #endif
    }
}

/// "30 s", "0.5 s".
func seconds(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e9 ? "\(Int(value)) s" : "\(value) s"
}
