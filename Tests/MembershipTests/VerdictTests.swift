import NIOPosix
import Testing

@testable import Membership

@Suite struct VerdictTests {
    private let long = Int(patience * 1000)

    @Test func everyRankHoldsTheFirstVerdictAndHearsItOnce() async throws {
        let world = try World(4)
        let heard = Collected<Collected<Verdict>>()
        for rank in 0..<4 { heard.put(Collected(), at: rank) }
        let ranks = try await world.joinAll { rank, verdict in
            guard let mine = heard[rank] else { return }
            mine.put(verdict, at: mine.count)
        }
        _ = await onThreads(3) { index throws(RendezvousError) in
            ranks[index].report(Verdict(rank: 3, cause: .died, "seen by rank \(index)", during: "allreduce"))
        }
        let agreed = ranks.map { $0.agreedVerdict(waitingAtMostMilliseconds: long) }
        #expect(agreed[0] != nil && agreed.allSatisfy { $0 == agreed[0] })
        #expect(agreed[0]?.detail.hasPrefix("seen by rank ") == true)
        let error = #expect(throws: RendezvousError.self) { try ranks[3].barrier(label: "next", timeoutSeconds: patience) }
        #expect(error?.cause == .died && error?.verdict == agreed[0])
        #expect(world.coordinator.failure == agreed[0])
        world.end(ranks)
        for rank in 0..<4 { #expect(heard[rank]?.count == 1 && heard[rank]?[0] == agreed[0]) }
    }

    @Test func aConnectionThatEndsWithoutLeaveIsAVerdict() async throws {
        let world = try World(3)
        let joining = onThreadsLater(2) { rank throws(RendezvousError) in try world.join(rank) }
        var raw: RawRank? = try RawRank(2, in: world)
        let ranks = try await joining.value.map { try $0.get() }
        let started = try raw?.receive()
        #expect(started == .started)
        raw = nil
        for rank in ranks {
            let verdict = rank.agreedVerdict(waitingAtMostMilliseconds: long)
            #expect(verdict?.rank == 2)
            #expect(
                verdict?.description
                    == "rank 2: its process ended without taking leave (killed or crashed) (during the run of the job); see the log of rank 2"
            )
        }
        world.end(ranks)
    }

    @Test func whatTheRendezvousKnowsGoesBeforeAConclusion() async throws {
        let world = try World(3)
        let joining = onThreadsLater(2) { rank throws(RendezvousError) in try world.join(rank) }
        var raw: RawRank? = try RawRank(2, in: world)
        let ranks = try await joining.value.map { try $0.get() }
        _ = try raw?.receive()
        let agreeing = onThreadsLater(2) { rank throws(RendezvousError) in
            ranks[rank].agree(on: Verdict(rank: 2, cause: .died, "its connection broke", during: "test"), isConclusion: true)
        }
        raw = nil
        for verdict in await agreeing.value { #expect(try verdict.get().detail.contains("ended without taking leave")) }
        world.end(ranks)
    }

    @Test(arguments: [false, true]) func whoTookLeaveHasNotEnded(isConcludedFirst: Bool) async throws {
        let world = try World(3)
        let ranks = try await world.joinAll()
        let own = Verdict(rank: 2, cause: .died, "its connection broke", during: "test")
        if !isConcludedFirst { ranks[2].leave() }
        let agreeing = onThreadsLater(2) { rank throws(RendezvousError) in ranks[rank].agree(on: own, isConclusion: true) }
        if isConcludedFirst { ranks[2].leave() }
        for verdict in await agreeing.value { #expect(try verdict.get().detail == "it took leave while others still needed it") }
        world.end(ranks)
    }

    @Test func aConclusionThatNobodyConfirmsIsTheVerdict() async throws {
        let world = try World(2)
        let ranks = try await world.joinAll()
        let own = Verdict(rank: 1, cause: .died, "its connection broke", during: "test")
        #expect(ranks[0].agree(on: own, isConclusion: true) == own)
        #expect(ranks[1].agreedVerdict(waitingAtMostMilliseconds: long) == own)
        world.end(ranks)
    }

    @Test func aProcessThatEndsBeforeItJoinsIsAVerdict() async throws {
        let world = try World(3)
        let joining = onThreadsLater(2) { rank throws(RendezvousError) in try world.join(rank) }
        world.coordinator.processEnded(rank: 2, cause: "its process was ended by signal 9")
        let found = try errors(await joining.value)
        #expect(found.allSatisfy { $0.verdict?.rank == 2 && $0.detail.contains("signal 9") })
        world.coordinator.stop()
    }

    @Test func aProcessThatEndsAfterItsLeaveIsNone() async throws {
        let world = try World(2)
        let ranks = try await world.joinAll()
        ranks[1].leave()
        world.coordinator.processEnded(rank: 1, cause: "its process was ended by signal 9")
        // The first verdict wins: had there been one before, this would not be it.
        ranks[0].report(Verdict(rank: 0, cause: .died, "later", during: "test"))
        #expect(ranks[0].agreedVerdict(waitingAtMostMilliseconds: long)?.detail == "later")
        world.end(ranks)
    }

    @Test func aGatherUnderWayFailsWhenARankIsLost() async throws {
        let world = try World(3)
        let waiting = onThreadsLater(2) { rank throws(RendezvousError) in
            let member = try world.join(rank)
            defer { member.leave() }
            try member.barrier(label: "epoch 3", timeoutSeconds: patience)
        }
        var raw: RawRank? = try RawRank(2, in: world)
        _ = try raw?.receive()
        raw = nil
        let found = try errors(await waiting.value)
        #expect(found.allSatisfy { $0.cause == .died && $0.verdict?.rank == 2 && $0 == found[0] })
        world.coordinator.stop()
    }

    @Test func aRankThatIsDroppedWithoutLeaveIsLost() async throws {
        let world = try World(2)
        var ranks = try await world.joinAll()
        ranks.removeLast()
        #expect(ranks[0].agreedVerdict(waitingAtMostMilliseconds: long)?.rank == 1)
        world.end(ranks)
    }

    @Test func abortEndsTheJobInTheNameOfTheRank() async throws {
        let world = try World(3)
        let ranks = try await world.joinAll()
        let own = ranks[2].abort(reason: "cannot read train-images", operation: "loading data", remedy: "give --data")
        #expect(own.description == "rank 2: cannot read train-images (during loading data); give --data")
        for rank in ranks { #expect(rank.agreedVerdict(waitingAtMostMilliseconds: long) == own) }
        world.end(ranks)
    }

    @Test(arguments: [Coordinator.Host.rank(0), .launcher])
    func aCoordinatorThatVanishesIsNamedByEveryRank(host: Coordinator.Host) async throws {
        let world = try World(3, host: host)
        let heard = Collected<Verdict>()
        let ranks = try await world.joinAll { rank, verdict in heard.put(verdict, at: rank) }
        world.coordinator.stop()
        for rank in ranks {
            let verdict = rank.agreedVerdict(waitingAtMostMilliseconds: long)
            #expect(verdict?.culprit == (host == .launcher ? "the launcher" : "rank 0"))
            #expect(verdict?.detail.contains("hosts the rendezvous") == true, "\(String(describing: verdict))")
            let error = #expect(throws: RendezvousError.self) { try rank.barrier(label: "next", timeoutSeconds: patience) }
            #expect(error?.verdict == verdict)
        }
        for rank in ranks { rank.leave() }
        #expect(heard.count == 3)
    }

    @Test func aRankThatGoesSilentIsDeclaredStopped() async throws {
        let world = try World(2, bounds: RendezvousBounds(livenessTimeoutSeconds: 15))
        let joining = onThreadsLater(1) { _ throws(RendezvousError) in try world.join(0) }
        // Keeps its connection open, and neither sends nor leaves.
        let silent = try RawRank(1, in: world)
        let member = try await joining.value[0].get()
        let verdict = try await offPool { member.agreedVerdict(waitingAtMostMilliseconds: Int(patience * 1000)) }
        #expect(verdict?.rank == 1)
        #expect(verdict?.detail == "stopped or unreachable: nothing was heard of it for 15 s")
        try silent.connection.waitUntilClosed()
        world.end([member])
    }

    @Test func ranksThatSayNothingButLiveStay() async throws {
        // More than the timeout passes while only signs of life go to and fro: the gather's own deadline ends it.
        let world = try World(2, bounds: RendezvousBounds(livenessTimeoutSeconds: 15))
        let ranks = try await world.joinAll()
        let found = await onThreads(1) { _ throws(RendezvousError) in try ranks[0].barrier(label: "quiet", timeoutSeconds: 20) }
        #expect(try errors(found)[0].cause == .stalled, "\(found)")
        world.end(ranks)
    }

    /// A busy coordinator counts a rank as joined before that one hears of it. To give up and connect again would then look like the rank's death.
    @Test func anAnswerThatComesLateIsWaitedFor() async throws {
        let coordinator = try RawCoordinator(secret: "late")
        let identity = ClientIdentity(
            rank: 0, worldSize: 1, host: "127.0.0.1", port: coordinator.port, version: "1", handshake: coordinator.handshake)
        let joining = onThreadsLater(1) { _ throws(RendezvousError) in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            defer { group.end() }
            var joining = Joining(identity: identity, group: group, timeoutSeconds: patience, logger: quiet, announce: { _ in })
            joining.handshakeTimeoutSeconds = 0.2
            _ = try joining.run()
        }
        let rank = try await coordinator.greet()
        // Longer than the rank waits for a stranger.
        _ = try await offPool { Monitor(()).wait(until: .after(seconds: 1)) { _ -> Bool? in nil } }
        try rank.welcome(livenessTimeoutSeconds: patience)
        var seal = coordinator.handshake.seals(nonces: rank.nonces).fromCoordinator
        for part in seal.seal(Envelope(.started).body) { rank.connection.send(Array(part.readableBytesView)) }
        for result in await joining.value { try result.get() }
    }

    /// Its answer is authentic, and in a form that this version does not know.
    @Test func aCoordinatorOfAnotherVersionIsNotTakenForAStranger() async throws {
        let coordinator = try RawCoordinator(secret: "versions")
        let joining = coordinator.joinLater()
        let rank = try await coordinator.greet(protocolVersion: 5)
        rank.answer(Array(#"{"refused":{"why":"versions"}}"#.utf8))
        let found = try errors(await joining.value)
        #expect(found[0].cause == .configuration)
        #expect(found[0].detail.contains("speaks protocol 5, rank 0 protocol \(Handshake.protocolVersion)"), "\(found[0])")
        try await offPool { try rank.connection.waitUntilClosed() }
    }

    @Test func aCoordinatorThatGoesSilentIsDeclaredStopped() async throws {
        let coordinator = try RawCoordinator(secret: "silence")
        let joining = coordinator.joinLater()
        let rank = try await coordinator.greet()
        // Says nothing after that, not even that the job has started.
        try rank.welcome(livenessTimeoutSeconds: 0.2)
        let found = try errors(await joining.value)
        #expect(found[0].verdict?.rank == 0)
        #expect(found[0].detail.contains("stopped or unreachable: nothing was heard of it for 0.2 s"), "\(found[0])")
        try await offPool { try rank.connection.waitUntilClosed() }
    }
}
