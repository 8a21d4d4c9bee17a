/// What one rank knows of its job: a pure state machine, changed by what the coordinator says and by the rank's own calls.
package struct ClientState: Sendable {
    let rank: Int
    let worldSize: Int
    #if DEBUG
        package var mutation: MembershipMutation?
    #endif

    /// Set once the handshake is through.
    package var welcome: Handshake.Welcome?
    /// All ranks are here.
    package internal(set) var hasStarted = false
    /// The coordinator may count this rank as joined: to close the connection would look like its end.
    private var hasSaidHello = false
    /// The attempt was given up before its hello, which must not be said any more.
    private var isAbandoned = false
    /// Why this connection will not do; the next attempt may.
    package private(set) var attemptProblem: String?
    /// Why no attempt will do.
    private(set) var refusal: RendezvousError?
    /// The one place where this process keeps what has become of the job. Once it is closed, nothing that others do concerns this rank.
    package private(set) var status = JobStatus.running
    /// Nobody needs to wait for an answer to the goodbye any more.
    package var hasFarewell = false
    /// The number of each group's next gather.
    private var nextGather: [String: Int] = [:]
    private var gathered: [GatherID: [[UInt8]]] = [:]

    package init(rank: Int, worldSize: Int) {
        self.rank = rank
        self.worldSize = worldSize
    }

    // MARK: joining

    /// - Returns: whether the hello may be said; from here on the coordinator may count this rank as joined.
    package mutating func sayHello() -> Bool {
        hasSaidHello = !isAbandoned
        return hasSaidHello
    }

    /// The answer takes longer than is usual.
    /// - Returns: whether the attempt is over, and may be made again; not once the hello is said.
    package mutating func giveUpAttempt() -> Bool {
        isAbandoned = !hasSaidHello || isMutated(.impatientHello)
        return isAbandoned
    }

    /// How `join` ends, once this rank is welcome: nil while it has to wait.
    package var start: Result<Void, RendezvousError>? {
        if let failure { return .failure(failure) }
        return hasStarted ? .success(()) : nil
    }

    // MARK: the end

    /// Why every call fails: nil while the job runs, or this rank has left it in order.
    package var failure: RendezvousError? {
        if case .failed(let verdict) = status { RendezvousError(verdict) } else { refusal }
    }

    /// - Returns: the verdict to announce, at most once: a job that has not started fails by `join` alone.
    package mutating func fail(_ verdict: Verdict) -> Verdict? {
        guard status == .running || (isMutated(.replacedVerdict) && status != .closed) else { return nil }
        status = .failed(verdict)
        return hasStarted ? verdict : nil
    }

    /// The coordinator, or what answers in its place, will not have this rank.
    package mutating func refuse(_ error: RendezvousError) { refusal = refusal ?? error }

    /// From here on this rank calls nobody. A verdict that is known stays.
    package mutating func leave() { if status == .running { status = .closed } }

    // MARK: messages

    package mutating func receive(_ message: Message, payload: [UInt8]) -> Verdict? {
        switch message {
        case .alive:
            return nil
        case .started:
            hasStarted = true
            return nil
        case .gathered(let gather, let first, let byteCounts):
            return take(payload, gather: gather, first: first, byteCounts: byteCounts)
        case .failed(let verdict):
            return fail(verdict)
        case .farewell:
            hasFarewell = true
            return nil
        case .contribute, .waiting, .report, .conclude, .goodbye:
            return fail(lostCoordinator(.disagreed, "sent a message that only a rank sends"))
        }
    }

    private mutating func take(_ payload: [UInt8], gather: GatherID, first: Int, byteCounts: [Int]) -> Verdict? {
        var parts = gathered[gather] ?? []
        guard parts.count == first, first + byteCounts.count <= worldSize else {
            return fail(lostCoordinator(.disagreed, "sent the parts of a gather out of order"))
        }
        var start = 0
        for (index, count) in byteCounts.enumerated() {
            if count == Message.repetition, index > 0, let part = parts.last {
                parts.append(part)
                continue
            }
            guard 0...(payload.count - start) ~= count else { return fail(lostCoordinator(.disagreed, "sent less than it announced")) }
            parts.append(Array(payload[start..<start + count]))
            start += count
        }
        gathered[gather] = parts
        return nil
    }

    // MARK: gathers

    /// Counts a group's gathers.
    package mutating func beginGather(_ label: String, group: String) throws(RendezvousError) -> GatherID {
        if let failure { throw failure }
        if status == .closed { throw .closed(label) }
        let sequence = nextGather[group, default: 0]
        nextGather[group] = sequence + 1
        return GatherID(group: group, sequence: sequence)
    }

    /// How a call of a gather ends: with the parts of all `count` members, once; nil while it has to wait.
    package mutating func outcome(of gather: GatherID, count: Int, label: String) -> Result<[[UInt8]], RendezvousError>? {
        if let parts = gathered[gather], parts.count == count {
            if !isMutated(.gatheredKept) { gathered[gather] = nil }
            return .success(parts)
        }
        if let failure { return .failure(failure) }
        return status == .closed ? .failure(.closed(label)) : nil
    }

    /// How long a call waits for a gather. The coordinator keeps the deadline; its word is the same for all and knows more, so it is waited for longer.
    package func patienceSeconds(timeoutSeconds: Double) -> Double {
        timeoutSeconds + (isMutated(.graceless) ? 0 : RendezvousBounds.graceSeconds)
    }

    /// The coordinator should have decided long ago.
    package func givesUp(_ label: String, timeoutSeconds: Double) -> Verdict {
        Verdict(
            rank: rank, cause: .stalled, "gather \"\(label)\" did not end within \(seconds(timeoutSeconds))", during: "gather \"\(label)\"",
            remedy: "see the logs of all ranks, or allow more time")
    }

    /// Parts that no call has taken.
    package var hasUntakenParts: Bool { !gathered.isEmpty }

    // MARK: the coordinator

    /// The connection has ended, or the coordinator is silent.
    /// - Parameter reason: goes on from "the coordinator's process".
    package mutating func connectionLost(_ cause: FailureCause, _ reason: String) -> Verdict? {
        guard welcome != nil else {
            attemptProblem = attemptProblem ?? reason
            return nil
        }
        // Nothing more will come, so nobody needs to wait for an answer to the goodbye.
        hasFarewell = true
        if isMutated(.coordinatorsEndUnnoticed) { return nil }
        return fail(lostCoordinator(cause, reason))
    }

    /// A verdict of this rank's own: with the coordinator gone nobody is left to agree with.
    private func lostCoordinator(_ cause: FailureCause, _ reason: String) -> Verdict {
        let host = welcome?.host ?? Verdict.launcher
        let who = host == Verdict.launcher ? "it hosts the rendezvous, and" : "its process, which hosts the rendezvous,"
        return Verdict(
            rank: host, cause: cause, "\(who) \(reason)", during: hasStarted ? "the run of the job" : "joining",
            remedy: host == Verdict.launcher ? "see the launcher's log" : "see the log of rank \(host)")
    }
    private func isMutated(_ mutation: MembershipMutation) -> Bool {
        #if DEBUG
            self.mutation == mutation
        #else
            false
        #endif
    }
}

extension RendezvousError {
    fileprivate static func closed(_ label: String) -> RendezvousError {
        RendezvousError(
            .closed, "gather \"\(label)\" was called after this rank had taken leave", remedy: "call leave() last")
    }
}
