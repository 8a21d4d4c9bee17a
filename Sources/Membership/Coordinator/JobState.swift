import NIOCore

/// What the coordinator knows of its job, and what it decides: a pure state machine.
///
/// It is given what connections do and which deadlines passed, and answers with actions. It knows no socket and no clock.
/// The first failure wins: it is told to all, also to ranks that come later, and nothing replaces it.
struct JobState: Sendable {
    typealias ConnectionID = Int

    enum Action: Sendable {
        /// The end of a handshake; after a refusal the connection is closed.
        case answer(ConnectionID, Handshake.Answer)
        case send([ConnectionID], Envelope)
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
    enum Loss: Sendable {
        case ended
        case silent(seconds: Double)
        case violation(String)
    }

    let worldSize: Int
    let version: String
    let bounds: RendezvousBounds
    let welcome: Handshake.Welcome

    private(set) var hasStarted = false
    private(set) var failure: RendezvousError?
    /// What a rank concluded of another whose connection to here is whole: that one's end would say more, and may yet be on its way.
    private(set) var conclusion: RendezvousError?
    /// The coordinator closes its connections itself: that those end is no rank's fault.
    var isStopping = false
    var members: [Member]
    var ranks: [ConnectionID: Int] = [:]
    var gathers: [GatherID: Gather] = [:]
    /// For each rank the number of its next gather with all.
    var nextGather: [Int]
    private var failedAuthentications: [String] = []

    init(worldSize: Int, version: String, bounds: RendezvousBounds, welcome: Handshake.Welcome) {
        self.worldSize = worldSize
        self.version = version
        self.bounds = bounds
        self.welcome = welcome
        self.members = Array(repeating: .absent, count: worldSize)
        self.nextGather = Array(repeating: 0, count: worldSize)
    }

    /// Nobody needs the coordinator any more.
    var isOver: Bool { ranks.isEmpty && (hasStarted || failure != nil) }

    /// The connections of the ranks that are here.
    var joinedConnections: [ConnectionID] {
        members.compactMap { member in
            if case .joined(let connection, _) = member { connection } else { nil }
        }
    }

    var leftRanks: [Int] {
        members.indices.filter { rank in
            if case .left = members[rank] { true } else { false }
        }
    }

    // MARK: Joining

    /// A hello whose code is right.
    mutating func hello(_ hello: Handshake.Hello, from connection: ConnectionID, address: String) -> [Action] {
        if let failure { return [.answer(connection, .refused(failure))] }
        if let error = objection(to: hello, address: address) {
            let answer = Action.answer(connection, .refused(error))
            // With all ranks here a newcomer is none of them, but of another job or started twice: no reason to end this one.
            guard !hasStarted else {
                return [answer, .warn("a process at \(address) is refused, and the job goes on: \(error.detail); \(error.remedy)")]
            }
            return [answer] + fail(error)
        }
        members[hello.rank] = .joined(connection, address: address)
        ranks[connection] = hello.rank
        var actions: [Action] = [.answer(connection, .welcome(welcome))]
        if ranks.count == worldSize {
            hasStarted = true
            actions.append(.send(joinedConnections, Envelope(.started)))
        }
        return actions
    }

    private func objection(to hello: Handshake.Hello, address: String) -> RendezvousError? {
        let rank = hello.rank
        func error(_ cause: RendezvousError.Cause, _ detail: String, remedy: String) -> RendezvousError {
            RendezvousError(cause, rank: rank, during: "joining", detail, remedy: remedy)
        }
        guard hello.protocolVersion == Handshake.protocolVersion, hello.version == version else {
            return error(
                .wrongVersion,
                "rank \(rank) at \(address) runs version \(hello.version) (protocol \(hello.protocolVersion)), the coordinator "
                    + "\(version) (protocol \(Handshake.protocolVersion))",
                remedy: "install the same version on every machine")
        }
        guard hello.worldSize == worldSize else {
            return error(
                .wrongWorldSize,
                "rank \(rank) at \(address) was started for a world of \(hello.worldSize), the coordinator for one of \(worldSize)",
                remedy: "give every rank the same WORLD_SIZE")
        }
        guard (0..<worldSize).contains(rank) else {
            return error(
                .rankOutOfRange, "a process at \(address) claims rank \(rank) in a world of \(worldSize)",
                remedy: "set RANK to 0 ... \(worldSize - 1)")
        }
        switch members[rank] {
        case .absent: return nil
        case .joined(_, let first):
            return error(
                .duplicateRank, "two processes claim rank \(rank): one at \(first), one at \(address)",
                remedy: "give every process its own RANK, and every job its own MASTER_PORT")
        case .left, .lost:
            return error(
                .duplicateRank, "a second process claims rank \(rank), at \(address), after the first one has gone",
                remedy: "start the whole job again; give every job its own MASTER_PORT")
        }
    }

    /// A well-formed hello whose code is wrong. The others learn of it if the rank that they wait for never comes.
    mutating func authenticationFailed(address: String, claimedRank: Int) {
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

    mutating func joinDeadlinePassed() -> [Action] {
        guard !hasStarted, failure == nil else { return [] }
        let strangers = failedAuthentications.map { "; \($0)" }.joined()
        return fail(
            RendezvousError(
                .ranksMissing, rank: missing[0], during: "joining",
                "\(RankList(missing)) did not arrive within \(seconds(bounds.joinTimeoutSeconds))\(strangers)",
                remedy: strangers.isEmpty
                    ? "check that every rank was started and reaches MASTER_ADDR and MASTER_PORT"
                    : "give every rank the same VERBENA_SECRET"))
    }

    // MARK: The end

    /// Keeps the first failure and tells it to every rank that is here.
    mutating func fail(_ error: RendezvousError) -> [Action] {
        guard failure == nil else { return [] }
        failure = error
        let timers = gathers.keys.map { Action.cancelTimer(gather: $0) }
        gathers = [:]
        return timers + [.send(joinedConnections, Envelope(.failed(error)))]
    }

    /// A rank sees a peer's end, as far as connections of its own tell.
    mutating func conclude(_ verdict: Verdict) -> [Action] {
        guard members.indices.contains(verdict.rank) else { return fail(RendezvousError(verdict: verdict)) }
        switch members[verdict.rank] {
        case .absent, .lost: return fail(RendezvousError(verdict: verdict))
        case .left: return fail(departure(verdict))
        case .joined:
            guard failure == nil, conclusion == nil else { return [] }
            conclusion = RendezvousError(verdict: verdict)
            return [.awaitCertainty(seconds: RendezvousBounds.certaintySeconds)]
        }
    }

    /// Its process need not have ended: it went before the others had done with it.
    func departure(_ conclusion: Verdict) -> RendezvousError {
        RendezvousError(
            verdict: Verdict(
                rank: conclusion.rank, cause: "it took leave while others still needed it", operation: conclusion.operation,
                remedy: "see the log of rank \(conclusion.rank), and let every rank make the same calls"))
    }

    mutating func certaintyDeadlinePassed() -> [Action] { conclusion.map { fail($0) } ?? [] }

    /// A connection has ended. Of one that never joined, or has taken leave, nothing follows.
    mutating func lost(_ connection: ConnectionID, _ loss: Loss) -> [Action] {
        guard let rank = ranks.removeValue(forKey: connection) else { return [] }
        let operation = currentOperation(of: rank)
        members[rank] = .lost
        let close = [Action.close(connection)]
        // With all others gone in order there is nobody to tell.
        guard leftRanks.count < worldSize - 1, !isStopping else { return close }
        let cause: String
        switch loss {
        case .ended: cause = "its process ended without taking leave (killed or crashed)"
        case .silent(let limit): cause = "stopped or unreachable: nothing was heard of it for \(seconds(limit))"
        case .violation(let what): cause = "it broke the rendezvous protocol: \(what)"
        }
        let verdict = Verdict(rank: rank, cause: cause, operation: operation, remedy: "see the log of rank \(rank)")
        return fail(RendezvousError(verdict: verdict)) + close
    }

    /// A rank's process has ended by itself, as its launcher saw: it may never have joined. Of one that took leave nothing follows.
    mutating func processEnded(rank: Int, cause: String) -> [Action] {
        if case .left = members[rank] { return [] }
        let verdict = Verdict(rank: rank, cause: cause, operation: currentOperation(of: rank), remedy: "see the output of rank \(rank)")
        return fail(RendezvousError(verdict: verdict))
    }

    /// Without a gather that waits for the rank all is said to happen in the run of the job: the collectives know better.
    private func currentOperation(of rank: Int) -> String {
        guard hasStarted else { return "joining" }
        let pending = oldestGather(waitingFor: rank)
        return pending.map { "gather \"\($0.label)\"" } ?? "the run of the job"
    }
}

/// "30 s", "0.5 s".
func seconds(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e9 ? "\(Int(value)) s" : "\(value) s"
}
