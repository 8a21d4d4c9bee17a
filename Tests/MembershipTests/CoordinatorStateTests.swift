import Testing

@testable import Membership

/// The coordinator's decisions, from tables: no socket, no clock.
@Suite struct CoordinatorStateTests {
    /// What a process says of itself that is no rank of this job.
    struct Newcomer: Sendable, CustomTestStringConvertible {
        var rank = 1
        var worldSize = 2
        var version = "1"
        var protocolVersion = Handshake.protocolVersion
        var word: String

        var testDescription: String { "\(word), rank \(rank) of \(worldSize)" }

        var hello: Handshake.Hello {
            Handshake.Hello(protocolVersion: protocolVersion, version: version, rank: rank, worldSize: worldSize, nonce: [])
        }
    }

    static let newcomers = [
        Newcomer(word: "claim"), Newcomer(rank: 0, word: "claim"), Newcomer(worldSize: 4, word: "world of 4"),
        Newcomer(rank: 2, word: "set RANK to 0 ... 1"), Newcomer(rank: .min, word: "set RANK to 0 ... 1"),
        Newcomer(version: "2", word: "version 2"),
        Newcomer(protocolVersion: 1, word: "protocol 1"),
    ]

    private func job(_ worldSize: Int = 2) -> CoordinatorState {
        let welcome = Handshake.Welcome(sessionNonce: [], host: 0, livenessTimeoutSeconds: 30, joinTimeoutSeconds: 120)
        return CoordinatorState(worldSize: worldSize, version: "1", bounds: RendezvousBounds(), welcome: welcome)
    }

    private func join(_ job: inout CoordinatorState, _ ranks: [Int]) -> [CoordinatorState.Action] {
        ranks.flatMap { rank in
            let hello = Handshake.Hello(
                protocolVersion: Handshake.protocolVersion, version: "1", rank: rank, worldSize: job.worldSize, nonce: [])
            return job.hello(hello, from: rank, address: "10.0.0.\(rank):1")
        }
    }

    private func refusal(_ actions: [CoordinatorState.Action], of connection: Int) -> RendezvousError? {
        for case .answer(connection, .refused(let error)) in actions { return error }
        return nil
    }

    private func warnings(_ actions: [CoordinatorState.Action]) -> [String] {
        actions.compactMap { if case .warn(let line) = $0 { line } else { nil } }
    }

    private func sends(_ actions: [CoordinatorState.Action]) -> Int {
        actions.count { if case .send = $0 { true } else { false } }
    }

    /// What ranks agree on goes to each of them once, not once for every rank: a model's layout between 1,024 ranks would be 63 GB.
    @Test(arguments: [[1, 1, 1, 1], [1, 1, 2, 2, 1], [3, 1, 1], [0, 0, 4], [2]]) func partsThatRepeatTheOneBeforeTravelOnce(said: [UInt8])
        throws
    {
        let parts = said.map { [UInt8](repeating: $0, count: 1_000 * Int($0)) }
        var job = job(parts.count)
        _ = join(&job, Array(parts.indices))
        let gather = GatherID(sequence: 0)
        var actions: [CoordinatorState.Action] = []
        for (rank, part) in parts.enumerated() {
            let contribution = Message.contribute(gather: gather, members: nil, label: "layout", timeoutSeconds: 60)
            actions += job.receive(contribution, payload: part, from: rank)
        }
        var client = ClientState(rank: 0, worldSize: parts.count)
        var sent = 0
        for case .send(let receivers, let message, let payload) in actions {
            guard case .gathered = message else { continue }
            #expect(receivers.count == parts.count)
            sent += payload.count
            #expect(client.receive(message, payload: payload) == nil)
        }
        let distinct = parts.indices.filter { $0 == 0 || parts[$0] != parts[$0 - 1] }
        #expect(sent == distinct.reduce(0) { $0 + parts[$1].count })
        #expect(try client.outcome(of: gather, count: parts.count, label: "layout")?.get() == parts)
    }

    @Test func aRepetitionOfNothingIsAViolation() {
        var client = ClientState(rank: 0, worldSize: 2)
        let message = Message.gathered(gather: GatherID(sequence: 0), first: 0, byteCounts: [Message.repetition])
        #expect(client.receive(message, payload: []) == nil)
        #expect(client.failure?.cause == .disagreed)
    }

    @Test(arguments: newcomers, [false, true]) func aRunningJobOutlivesANewcomer(newcomer: Newcomer, hasLeft: Bool) {
        var job = job()
        _ = join(&job, [0, 1])
        #expect(job.hasStarted)
        if hasLeft { _ = job.receive(.goodbye, payload: [], from: 1) }
        let actions = job.hello(newcomer.hello, from: 7, address: "10.0.0.9:5")
        let refused = refusal(actions, of: 7)
        #expect(refused?.cause == .configuration && refused?.description.contains(newcomer.word) == true, "\(String(describing: refused))")
        #expect(job.failure == nil && sends(actions) == 0)
        let line = warnings(actions).first ?? ""
        for word in ["10.0.0.9:5", "refused", "goes on"] { #expect(line.contains(word), "\(line)") }
        // Neither does its connection's end concern anybody, nor what it says after all.
        let (ended, goodbye) = (job.lost(7, .ended), job.receive(.goodbye, payload: [], from: 7))
        #expect(ended.isEmpty && goodbye.isEmpty && job.failure == nil)
    }

    @Test(arguments: newcomers.dropFirst(2)) func beforeTheStartTheJobEnds(newcomer: Newcomer) {
        var job = job()
        _ = join(&job, [0])
        let actions = job.hello(newcomer.hello, from: 7, address: "10.0.0.9:5")
        #expect(
            refusal(actions, of: 7)?.verdict == job.failure && job.failure?.description.contains(newcomer.word) == true
                && sends(actions) == 1)
    }

    @Test func whoLeavesBeforeTheStartEndsTheJob() {
        var job = job(3)
        _ = join(&job, [0, 1])
        _ = job.receive(.goodbye, payload: [], from: 1)
        #expect(job.failure?.cause == .left && job.failure?.rank == 1)
        // With nobody absent either, there is nobody to name at the deadline.
        _ = join(&job, [2])
        let late = job.joinDeadlinePassed()
        #expect(late.isEmpty)
    }

    @Test func whoIsMissingAndWhereIsSaid() {
        var job = job(6)
        _ = join(&job, [0, 3])
        job.authenticationFailed(address: "10.0.0.7:9", claimedRank: 2)
        let lines = warnings(job.missingRanks(at: "node1 port 29500"))
        #expect(lines.count == 1)
        for word in ["ranks 1, 2, 4, 5", "of 6", "node1 port 29500", "120 s", "10.0.0.7:9"] { #expect(lines[0].contains(word), "\(lines)") }
        _ = join(&job, [1, 2, 4, 5])
        #expect(job.missingRanks(at: "node1 port 29500").isEmpty)
    }

    /// Rank 0 waits for rank 1 in its operation number 7; rank 1 is in a gather, having begun so many operations.
    struct Crossing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var begun: [UInt64]? = [7, 9]
        var order = 0
        var gatherGroup = ""
        var waitGroup = ""
        var isFirstThere = false
        var isSecondThere = true
        var ends = false
    }

    @Test(arguments: [
        Crossing(testDescription: "each waits for the other", ends: true),
        Crossing(testDescription: "also in a group", gatherGroup: "1.0", waitGroup: "1.0", ends: true),
        Crossing(testDescription: "the operation was begun before the gather", begun: [8, 0]),
        Crossing(testDescription: "another order's operation", begun: [7, 9], order: 1),
        Crossing(testDescription: "an order that there is not", begun: [7, 7], order: 2),
        Crossing(testDescription: "the second order", begun: [8, 7], order: 1, ends: true),
        Crossing(testDescription: "nothing is known of the operations", begun: nil),
        Crossing(testDescription: "another group's gather", gatherGroup: "1.0"),
        Crossing(testDescription: "another group's operation", waitGroup: "1.0"),
        Crossing(testDescription: "the rank has come to the gather before", isFirstThere: true),
        Crossing(testDescription: "nobody is in a gather", isSecondThere: false),
    ])
    func whoWaitsForEachOtherIsTold(crossing: Crossing) {
        var job = job(3)
        _ = join(&job, [0, 1, 2])
        let gather = GatherID(group: crossing.gatherGroup, sequence: 0)
        let members = crossing.gatherGroup.isEmpty ? nil : [0, 1, 2]
        for rank in [0, 1] where rank == 0 ? crossing.isFirstThere : crossing.isSecondThere {
            _ = job.receive(
                .contribute(gather: gather, members: members, label: "sizes", timeoutSeconds: 9, collectivesBegun: crossing.begun),
                payload: [], from: rank)
        }
        let wait = OperationWait(group: crossing.waitGroup, operation: "allreduce #7", number: 7, order: crossing.order, peer: 1)
        let actions = job.receive(.waiting(wait), payload: [], from: 0)
        #expect((job.failure != nil) == crossing.ends && sends(actions) == (crossing.ends ? 1 : 0))
        guard crossing.ends, let failure = job.failure else { return }
        #expect(failure.cause == .disagreed && failure.rank == 1)
        for word in ["rank 0 waits for rank 1 in allreduce #7", "rank 1 for rank 0 in gather \"sizes\"", "same order"] {
            #expect(failure.description.contains(word), "\(failure)")
        }
    }

    @Test func noticesBecomeRare() {
        var notice = WaitingNotice()
        let seconds = (0...120).filter { notice.isDue(afterSeconds: Double($0)) }
        #expect(seconds == [5, 20, 80])
        for odd in [0, -1, Double.nan, .infinity] {
            var notice = WaitingNotice(firstSeconds: odd)
            let isDue = notice.isDue(afterSeconds: 1e9)
            #expect(isDue)
        }
    }

    @Test(arguments: [Double.infinity, .nan, -.infinity, 1e300, -1, 0, 0.3]) func anyNumberIsATimeout(seconds: Double) throws {
        var bounds = RendezvousBounds(joinTimeoutSeconds: seconds, livenessTimeoutSeconds: seconds, handshakeTimeoutSeconds: seconds)
        func check(_ bounds: RendezvousBounds) {
            #expect(0...86_400 ~= bounds.joinTimeoutSeconds && 0.1...86_400 ~= bounds.livenessTimeoutSeconds)
            #expect(0...86_400 ~= bounds.handshakeTimeoutSeconds)
        }
        check(bounds)
        (bounds.joinTimeoutSeconds, bounds.livenessTimeoutSeconds, bounds.handshakeTimeoutSeconds) = (seconds, seconds, seconds)
        check(bounds)
        let longest = !(seconds < 86_400)
        #expect(!longest || bounds.joinTimeoutSeconds == 86_400)
        // As a coordinator would say it to its ranks.
        let welcome = Handshake.Welcome(
            sessionNonce: [], host: 0, livenessTimeoutSeconds: bounds.livenessTimeoutSeconds, joinTimeoutSeconds: bounds.joinTimeoutSeconds)
        #expect(Wire.decode(Handshake.Welcome.self, from: Wire.encode(welcome)) == welcome)
        let coordinator = try Coordinator.start(
            host: "127.0.0.1", port: 0, worldSize: 2, secret: "x", version: "1", bounds: bounds, logger: quiet)
        coordinator.stop()
    }
}
