import NIOCore

/// What one rank knows of its job: a pure state machine, changed by what the coordinator says and by the rank's own calls.
struct ClientState: Sendable {
    let rank: Int
    let worldSize: Int

    /// Set once the handshake is through.
    var welcome: Handshake.Welcome?
    /// All ranks are here.
    var hasStarted = false
    /// The coordinator may count this rank as joined: to close the connection would look like its end.
    var hasSaidHello = false
    /// The attempt was given up before its hello, which must not be said any more.
    var isAbandoned = false
    /// Why this connection will not do; the next attempt may.
    var attemptProblem: String?
    /// The end of the job, or of this attempt for good. The first one stays.
    private(set) var failure: RendezvousError?
    /// From here on nothing that others do concerns this rank.
    var isLeaving = false
    var hasFarewell = false
    /// The number of each group's next gather.
    private var nextGather: [String: Int] = [:]
    private var gathered: [GatherID: [[UInt8]]] = [:]

    init(rank: Int, worldSize: Int) {
        self.rank = rank
        self.worldSize = worldSize
    }

    /// - Returns: the verdict to announce, at most once: a job that has not started fails by `join` alone.
    mutating func fail(_ error: RendezvousError) -> Verdict? {
        guard failure == nil else { return nil }
        failure = error
        return hasStarted && !isLeaving ? error.verdict : nil
    }

    mutating func receive(_ message: Message, payload: ByteBuffer) -> Verdict? {
        switch message {
        case .alive:
            return nil
        case .started:
            hasStarted = true
            return nil
        case .gathered(let gather, let first, let byteCounts):
            return take(payload, gather: gather, first: first, byteCounts: byteCounts)
        case .failed(let error):
            return fail(error)
        case .farewell:
            hasFarewell = true
            return nil
        case .contribute, .waiting, .report, .conclude, .goodbye:
            return fail(lostCoordinator("sent a message that only a rank sends"))
        }
    }

    private mutating func take(_ payload: ByteBuffer, gather: GatherID, first: Int, byteCounts: [Int]) -> Verdict? {
        var payload = payload
        var parts = gathered[gather] ?? []
        guard parts.count == first, first + byteCounts.count <= worldSize else {
            return fail(lostCoordinator("sent the parts of a gather out of order"))
        }
        for count in byteCounts {
            guard let part = payload.readBytes(length: count) else {
                return fail(lostCoordinator("sent less than it announced"))
            }
            parts.append(part)
        }
        gathered[gather] = parts
        return nil
    }

    /// Counts a group's gathers.
    mutating func beginGather(group: String) -> GatherID {
        let sequence = nextGather[group, default: 0]
        nextGather[group] = sequence + 1
        return GatherID(group: group, sequence: sequence)
    }

    /// The parts of all `count` members, once; nil while some are missing.
    mutating func takeGather(_ gather: GatherID, count: Int) -> [[UInt8]]? {
        guard let parts = gathered[gather], parts.count == count else { return nil }
        gathered[gather] = nil
        return parts
    }

    /// The connection has ended, or the coordinator is silent.
    mutating func connectionLost(_ reason: String) -> Verdict? {
        guard welcome != nil else {
            attemptProblem = attemptProblem ?? reason
            return nil
        }
        // Nothing more will come, so nobody needs to wait for an answer to the goodbye.
        hasFarewell = true
        return isLeaving ? nil : fail(lostCoordinator(reason))
    }

    /// A verdict of this rank's own: with the coordinator gone nobody is left to agree with.
    private func lostCoordinator(_ reason: String) -> RendezvousError {
        let host = welcome?.host ?? Verdict.launcher
        let who = host == Verdict.launcher ? "it hosts the rendezvous, and" : "its process, which hosts the rendezvous,"
        return RendezvousError(
            verdict: Verdict(
                rank: host, cause: "\(who) \(reason)", operation: hasStarted ? "the run of the job" : "joining",
                remedy: host == Verdict.launcher ? "see the launcher's log" : "see the log of rank \(host)"))
    }
}
