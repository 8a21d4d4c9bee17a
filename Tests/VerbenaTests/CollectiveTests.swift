import Foundation
import Synchronization
import Testing
import Verbena

/// Every collective through the public face, blocking and started, alone and among others.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct CollectiveTests {
    @Test(arguments: Fabrics.available, [1, 2, 3, 5])
    func everyCollective(fabric: FabricChoice, ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            for count in [0, 1, 2_001] {
                let capacity = max(1, Exercise.capacity(world: ranks, count: count))
                let input = try communicator.allocate(Int64.self, count: capacity)
                let output = try communicator.allocate(Int64.self, count: capacity)
                for exercise in Exercise.all(world: ranks, count: count) {
                    try exercise.run(communicator, input, output) { try communicator.perform($0, $1, into: $2, count: $3) }
                    try communicator.barrier()
                    try exercise.run(communicator, input, output) { try communicator.start($0, $1, into: $2, count: $3).wait() }
                }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Blocking calls while started operations are under way. Ranks that did not keep their order would be told so by a verdict.
    @Test(arguments: Fabrics.available) func blockingAndStartedKeepTheirOrder(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let large = try (0..<6).map { _ in try communicator.allocate(Int64.self, count: 60_000) }
            let small = try communicator.allocate(Int64.self, count: 8)
            for round in 0..<20 {
                for (number, buffer) in large.enumerated() { unsafe buffer.elements.update(repeating: Int64(round + number)) }
                for index in 0..<8 { unsafe small.elements[index] = Int64(communicator.rank + round) }
                // More than run at once, each of another size.
                let pending = try large.enumerated().map { try communicator.start(.allReduce, $1, count: 60_000 - 1_000 * $0) }
                try communicator.allReduce(small)
                guard unsafe small.elements[7] == Int64(3 * round + 3) else { throw Wrong("round \(round): \(unsafe small.elements[7])") }
                try communicator.barrier()
                for (number, operation) in pending.enumerated().reversed() {
                    try operation.wait()
                    guard operation.isDone else { throw Wrong("waited for, and not done") }
                    for index in [0, 31_234, 54_999] where unsafe large[number].elements[index] != Int64(3 * (round + number)) {
                        throw Wrong("round \(round): \(unsafe large[number].elements[index]) at \(index) of \(number)")
                    }
                }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func transfersGoBothWaysAtOnce(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let (rank, ranks) = (communicator.rank, communicator.worldSize)
            let count = 30_000
            let out = try communicator.allocate(Int64.self, count: count)
            let into = try communicator.allocate(Int64.self, count: ranks * count)
            for round in 0..<5 {
                for index in 0..<count { unsafe out.elements[index] = Exercise.value(rank, index + round) }
                let others = (0..<ranks).filter { $0 != rank }
                let sends = try others.map { try communicator.startSend(out, count: count, to: $0) }
                let receives = try others.map { try communicator.startReceive(into, offset: $0 * count, count: count, from: $0) }
                for pending in receives + sends { try pending.wait() }
                for other in others {
                    for index in [0, count / 2, count - 1] {
                        let value = unsafe into.elements[other * count + index]
                        guard value == Exercise.value(other, index + round) else { throw Wrong("from \(other): \(value) at \(index)") }
                    }
                }
                try communicator.barrier()
            }
            // Blocking, round in a ring.
            if rank == 0 {
                try communicator.send(out, count: 7, to: 1)
                try communicator.receive(out, offset: 10, count: 7, from: ranks - 1)
            } else {
                try communicator.receive(out, offset: 10, count: 7, from: rank - 1)
                try communicator.send(out, offset: 10, count: 7, to: (rank + 1) % ranks)
            }
            return unsafe out.elements[16]
        }
        for outcome in outcomes { #expect(try outcome.get() == Exercise.value(0, 6 + 4)) }
    }

    @Test func droppedOperationsAreWaitedFor() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 10_000)
            for round in 0..<700 {
                unsafe buffer.elements[9_999] = Int64(round)
                _ = try communicator.start(.allReduce, buffer, count: 10_000)
                guard unsafe buffer.elements[9_999] == Int64(2 * round) else { throw Wrong("round \(round)") }
                unsafe buffer.elements.update(repeating: 0)
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test func atMost512AreUnderWay() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            // Each of a buffer of its own.
            let buffers = try (0..<512).map { _ in try communicator.allocate(Int64.self, count: 1) }
            for (number, buffer) in buffers.enumerated() { unsafe buffer.elements[0] = Int64(number) }
            var pending = try buffers.map { try communicator.start(.allReduce, $0, count: 1) }
            try expectRefusal(["512", "wait for some"]) { _ = try communicator.start(.barrier, buffers[0], count: 0) }
            try pending.removeFirst().wait()
            pending.append(try communicator.start(.barrier, buffers[0], count: 0))
            for operation in pending { try operation.wait() }
            return buffers.enumerated().allSatisfy { unsafe $1.elements[0] == Int64(2 * $0) }
        }
        for outcome in outcomes { #expect(try outcome.get()) }
    }

    /// An operation that waits for its peer while thousands of others come and go.
    @Test func aLateTransferOutlivesManyCollectives() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let late = try communicator.allocate(Int64.self, count: 4)
            let buffer = try communicator.allocate(Int64.self, count: 4)
            let receive = communicator.rank == 0 ? try communicator.startReceive(late, count: 4, from: 1) : nil
            for _ in 0..<1_500 { try communicator.allReduce(buffer) }
            if communicator.rank == 1 {
                unsafe late.elements.update(repeating: 5)
                try communicator.send(late, count: 4, to: 0)
            }
            try receive?.wait()
            return unsafe late.elements[3]
        }
        for outcome in outcomes { #expect(try outcome.get() == 5) }
    }

    @Test func wrongArgumentsMoveNothing() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 10)
            let small = try communicator.allocate(Int64.self, count: 1)
            unsafe buffer.elements.update(repeating: 3)
            for (words, call) in Self.wrongCalls(communicator, buffer, small) { try expectRefusal(words, call) }
            guard unsafe buffer.elements.allSatisfy({ $0 == 3 }) else { throw Wrong("something moved") }
            // And the communicator is as good as before.
            try communicator.allReduce(buffer)
            return unsafe buffer.elements[9]
        }
        for outcome in outcomes { #expect(try outcome.get() == 6) }
    }

    private typealias Call = () throws -> Void

    private static func wrongCalls(
        _ communicator: Communicator, _ buffer: Buffer<Int64>, _ small: Buffer<Int64>
    ) -> [(words: [String], call: Call)] {
        let own = communicator.rank
        return [
            (["allreduce", "-1 elements"], { try communicator.allReduce(buffer, count: -1) }),
            (["allreduce", "reads 11", "input has 10"], { try communicator.allReduce(buffer, count: 11) }),
            (["allgather", "12 elements", "has 10"], { try communicator.perform(.allGather, buffer, count: 6) }),
            (["allgather", "writes 20", "output has 1"], { try communicator.perform(.allGather, buffer, into: small, count: 10) }),
            (["broadcast", "no rank 2", "0 to 1"], { try communicator.perform(.broadcast(root: 2), buffer, count: 1) }),
            (["scatter", "no rank -1"], { _ = try communicator.start(.scatter(root: -1), buffer, count: 1) }),
            (["all-to-all", "reads 12", "input has 10"], { try communicator.perform(.allToAll, buffer, count: 6) }),
            (["send", "not another rank"], { try communicator.send(buffer, count: 1, to: own) }),
            (["receive", "not another rank"], { _ = try communicator.startReceive(buffer, count: 1, from: 2) }),
            (["send", "element 11 of a buffer of 10"], { try communicator.send(buffer, offset: 11, count: 0, to: 1 - own) }),
            (["send", "reads 6"], { try communicator.send(buffer, offset: 5, count: 6, to: 1 - own) }),
            (["allreduce", "elements"], { try communicator.allReduce(buffer, count: .max) }),
            (
                ["gather", "'ring' cannot", "possible"],
                {
                    try communicator.perform(.gather(root: 0), buffer, count: 1, algorithm: .ring)
                }
            ),
        ]
    }

    @Test func closingEndsWhatIsUnderWay() throws {
        for _ in 0..<10 {
            let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
                let buffer = try communicator.allocate(Int64.self, count: 200_000)
                let receive = try communicator.startReceive(buffer, count: 100, from: 1 - communicator.rank)
                let pending = try (0..<5).map { _ in try communicator.start(.allReduce, buffer, count: 200_000) }
                try communicator.close()
                // Done, or ended by this rank's close or the other's, but over.
                let ends: [VerbenaError.Cause] = [.closed, .left]
                for operation in pending {
                    do throws(VerbenaError) { try operation.wait() } catch { guard ends.contains(error.cause) else { throw error } }
                }
                do {
                    try receive.wait()
                    throw Wrong("received what nobody sent")
                } catch let error as VerbenaError {
                    guard ends.contains(error.cause) else { throw error }
                }
            }
            for outcome in outcomes { _ = try outcome.get() }
        }
    }
}

/// The call is refused as a wrong argument, in a line that has all these words.
func expectRefusal(_ words: [String], _ call: () throws -> Void) throws {
    do {
        try call()
    } catch let error as VerbenaError {
        guard error.cause == .configuration, words.allSatisfy(error.message.contains) else { throw Wrong("\(error), wanted \(words)") }
        return
    }
    throw Wrong("nothing was refused, wanted \(words)")
}
