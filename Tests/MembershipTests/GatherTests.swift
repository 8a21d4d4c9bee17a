import Foundation
import Testing

@testable import Membership

@Suite struct GatherTests {
    @Test(arguments: [1, 2, 3, 7])
    func givesEveryRankAllPayloadsInOrder(size: Int) async throws {
        let world = try World(size)
        let ranks = try await world.joinAll()
        for round in 0..<3 {
            let results = await onThreads(size) { rank throws(RendezvousError) in
                // Sizes differ by rank; rank 0 gives nothing.
                try ranks[rank].allGather(
                    Array(repeating: UInt8(10 * round + rank), count: 5 * rank), label: "round", timeoutSeconds: patience)
            }
            let wanted = (0..<size).map { Array(repeating: UInt8(10 * round + $0), count: 5 * $0) }
            for result in results { #expect(try result.get() == wanted) }
        }
        world.end(ranks)
    }

    @Test func carriesPayloadsUpToTheLimitAndRefusesLarger() async throws {
        let world = try World(2)
        let ranks = try await world.joinAll()
        let limit = RendezvousBounds.payloadByteLimit
        let tooLarge = #expect(throws: RendezvousError.self) {
            _ = try ranks[0].allGather(Array(repeating: 0, count: limit + 1), label: "big", timeoutSeconds: patience)
        }
        #expect(tooLarge?.cause == .configuration)
        let results = await onThreads(2) { rank throws(RendezvousError) in
            try ranks[rank].allGather(Array(repeating: UInt8(rank + 1), count: limit), label: "big", timeoutSeconds: patience).map {
                [Int($0.first ?? 0), Int($0.last ?? 0), $0.count]
            }
        }
        for result in results { #expect(try result.get() == [[1, 1, limit], [2, 2, limit]]) }
        world.end(ranks)
    }

    @Test func tellsEveryRankWhoCalledWhat() async throws {
        let world = try World(3)
        let ranks = try await world.joinAll()
        let found = try errors(
            await onThreads(3) { rank throws(RendezvousError) in
                try ranks[rank].allGather([], label: rank == 2 ? "digest" : "layout", timeoutSeconds: patience)
            })
        #expect(found.allSatisfy { $0.cause == .disagreed && $0 == found[0] })
        #expect(found[0].detail.contains("\"layout\"") && found[0].detail.contains("\"digest\""), "\(found[0])")
        #expect(found[0].detail.contains("rank 2"), "\(found[0])")
        world.end(ranks)
    }

    @Test func namesTheRanksThatDoNotCome() async throws {
        let world = try World(4)
        let ranks = try await world.joinAll()
        let waiting = try errors(
            await onThreads(2) { rank throws(RendezvousError) in
                try ranks[rank == 0 ? 0 : 2].barrier(label: "epoch", timeoutSeconds: 0.2)
            })
        #expect(waiting.allSatisfy { $0.cause == .stalled && $0 == waiting[0] })
        #expect(waiting[0].detail.contains("did not reach gather \"epoch\" within 0.2 s"), "\(waiting[0])")
        #expect(waiting[0].detail.contains("3"), "\(waiting[0])")
        // The ranks that did not come hold the same verdict.
        let late = #expect(throws: RendezvousError.self) { try ranks[3].barrier(label: "epoch", timeoutSeconds: patience) }
        #expect(late == waiting[0])
        world.end(ranks)
    }

    @Test func barrierLetsNobodyThroughEarly() async throws {
        let world = try World(3)
        let ranks = try await world.joinAll()
        let arrived = Collected<Bool>()
        let seen = await onThreads(3) { rank throws(RendezvousError) in
            arrived.put(true, at: rank)
            try ranks[rank].barrier(label: "all here", timeoutSeconds: patience)
            return arrived.count
        }
        for result in seen { #expect(try result.get() == 3) }
        world.end(ranks)
    }

    @Test func sessionKeysAreAlikeInOneRunAndDifferByLabelAndRun() async throws {
        let first = try World(2)
        let second = try World(2)
        let ranks = try await first.joinAll() + second.joinAll()
        let keys = ranks.map { $0.sessionKey(label: "queue pairs", byteCount: 24) }
        #expect(keys[0].count == 24 && keys[0] == keys[1] && keys[2] == keys[3] && keys[0] != keys[2])
        #expect(ranks[0].sessionKey(label: "segments", byteCount: 24) != keys[0])
        for rank in ranks { rank.leave() }
        #expect(first.coordinator.stop(waitingAtMostSeconds: patience))
        #expect(second.coordinator.stop(waitingAtMostSeconds: patience))
    }

    @Test func aWorldOfOneNeedsNoCoordinator() throws {
        let verdicts = Collected<Verdict>()
        let alone = ControlPlaneClient.alone { verdicts.put($0, at: verdicts.count) }
        #expect(try alone.allGather([1, 2], label: "layout", timeoutSeconds: 0) == [[1, 2]])
        try alone.barrier(label: "end", timeoutSeconds: 0)
        #expect(alone.sessionKey(label: "a", byteCount: 16).count == 16)
        #expect(alone.agreedVerdict(waitingAtMostMilliseconds: 0) == nil)
        let verdict = alone.abort(reason: "no data", operation: "loading")
        #expect(verdict.description == "rank 0: no data (during loading)")
        #expect(verdicts.count == 1 && verdicts[0] == verdict)
        #expect(alone.agreedVerdict(waitingAtMostMilliseconds: 0) == verdict)
        alone.leave()
    }
}
