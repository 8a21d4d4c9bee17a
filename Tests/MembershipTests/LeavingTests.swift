import Testing

@testable import Membership

@Suite struct LeavingTests {
    @Test func everyoneLeavesWithoutAVerdict() async throws {
        let world = try World(3)
        let heard = Collected<Verdict>()
        let ranks = try await world.joinAll { rank, verdict in heard.put(verdict, at: rank) }
        _ = await onThreads(3) { rank throws(RendezvousError) in
            try ranks[rank].barrier(label: "end", timeoutSeconds: patience)
            ranks[rank].leave()
        }
        #expect(world.coordinator.stop(waitingAtMostSeconds: patience))
        #expect(heard.count == 0 && world.coordinator.failure == nil)
        // Again does nothing; a call after it is an error.
        ranks[0].leave()
        let error = #expect(throws: RendezvousError.self) { try ranks[0].barrier(label: "late", timeoutSeconds: patience) }
        #expect(error?.cause == .closed)
    }

    @Test func leavingWhileOthersWaitIsAnErrorForThem() async throws {
        let world = try World(3)
        let ranks = try await world.joinAll()
        let results = await onThreads(3) { rank throws(RendezvousError) in
            if rank == 2 { ranks[2].leave() } else { try ranks[rank].barrier(label: "epoch", timeoutSeconds: patience) }
        }
        #expect(throws: Never.self) { try results[2].get() }
        let found = try errors(Array(results.prefix(2)))
        #expect(found.allSatisfy { $0 == found[0] && $0.cause == .left && $0.verdict?.rank == 2 })
        #expect(found[0].detail.contains("rank 2: it took leave while"), "\(found[0])")
        #expect(found[0].detail.contains("\"epoch\""), "\(found[0])")
        #expect(ranks[2].agreedVerdict(waitingAtMostMilliseconds: 0) == nil)
        world.end(ranks)
    }

    @Test func aRankThatIsLostAfterAllOthersLeftIsNoError() async throws {
        let world = try World(2)
        let joining = onThreadsLater(1) { _ throws(RendezvousError) in try world.join(0) }
        var raw: RawRank? = try RawRank(1, in: world)
        let member = try await joining.value[0].get()
        member.leave()
        #expect(try raw?.receive() == .started)
        raw = nil
        #expect(world.coordinator.stop(waitingAtMostSeconds: patience))
        #expect(world.coordinator.failure == nil)
    }

    @Test func aRankThatHasLeftMayDie() async throws {
        let world = try World(3)
        let joining = onThreadsLater(2) { rank throws(RendezvousError) in try world.join(rank) }
        var raw: RawRank? = try RawRank(2, in: world)
        let ranks = try await joining.value.map { try $0.get() }
        raw?.send(.goodbye)
        #expect(try raw?.receive() == .started)
        #expect(try raw?.receive() == .farewell)
        raw = nil
        world.end(ranks)
        #expect(world.coordinator.failure == nil)
    }

    @Test func stoppingSaysWhenSomeoneIsStillHere() async throws {
        let world = try World(1)
        let ranks = try await world.joinAll()
        #expect(!world.coordinator.stop(waitingAtMostSeconds: 0))
        ranks[0].leave()
    }
}
