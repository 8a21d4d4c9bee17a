import Foundation
import Testing
import Verbena

// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct SplitTests {
    @Test(arguments: Fabrics.available) func ranksOfOneColourFormAGroupInOrderOfTheirKeys(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(5, fabric: fabric) { communicator in
            let rank = communicator.rank
            // Ranks 0, 2, 4 backwards; 1 and 3 with equal keys.
            guard let child = try communicator.split(color: rank % 2, key: rank % 2 == 0 ? -rank : 7) else { throw Wrong("no child") }
            let members = rank % 2 == 0 ? [4, 2, 0] : [1, 3]
            guard child.worldSize == members.count, members[child.rank] == rank, child.fabricName == communicator.fabricName else {
                throw Wrong("rank \(rank) is \(child.rank) of \(child.worldSize) on \(child.fabricName)")
            }
            let capacity = Exercise.capacity(world: child.worldSize, count: 1_001)
            let input = try child.allocate(Int64.self, count: capacity)
            let output = try child.allocate(Int64.self, count: capacity)
            for exercise in Exercise.all(world: child.worldSize, count: 1_001) {
                try exercise.run(child, input, output) { try child.perform($0, $1, into: $2, count: $3) }
            }
            // Parent and child are used side by side.
            let buffer = try communicator.allocate(Int64.self, count: 100)
            unsafe buffer.elements.update(repeating: 1)
            let pending = try communicator.start(.allReduce, buffer, count: 100)
            try child.barrier()
            try pending.wait()
            guard unsafe buffer.elements[99] == 5 else { throw Wrong("\(unsafe buffer.elements[99])") }
            try child.close()
            #expect(throws: VerbenaError.self) { try child.barrier() }
            try communicator.barrier()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test func whoGivesNoColourGetsNoCommunicator() throws {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let child = try communicator.split(color: communicator.rank == 1 ? nil : -4, key: 0)
            let none = try communicator.split(color: nil, key: 0)
            guard none == nil else { throw Wrong("a communicator of nobody") }
            try communicator.barrier()
            return child?.worldSize
        }
        #expect(try outcomes.map { try $0.get() } == [2, nil, 2])
    }

    /// Gathers with the same labels in several groups at once, of children of children, and ranks of their own alone.
    @Test func childrenOfChildrenDoNotMix() throws {
        let outcomes = LocalRanks.run(4, fabric: .sharedMemory) { communicator in
            let rank = communicator.rank
            guard let half = try communicator.split(color: rank / 2, key: 0), let pair = try communicator.split(color: rank % 2, key: 0),
                let single = try half.split(color: half.rank, key: 0), let again = try half.split(color: 0, key: -half.rank)
            else { throw Wrong("no child") }
            for round in 0..<5 {
                let byte = UInt8(10 * round + rank)
                let other = byte ^ 1
                guard try single.allGather([byte], label: "same") == [[byte]] else { throw Wrong("single") }
                let wantedHalf = rank % 2 == 0 ? [[byte], [UInt8(10 * round + rank + 1)]] : [[UInt8(10 * round + rank - 1)], [byte]]
                guard try half.allGather([byte], label: "same") == wantedHalf else { throw Wrong("half \(other)") }
                guard try again.allGather([byte], label: "same") == Array(wantedHalf.reversed()) else { throw Wrong("again") }
                let low = UInt8(10 * round + rank % 2)
                guard try pair.allGather([byte], label: "same") == [[low], [low + 2]] else { throw Wrong("pair") }
            }
            let buffer = try again.allocate(Int64.self, count: 3)
            unsafe buffer.elements.update(repeating: Int64(rank))
            try again.perform(.broadcast(root: 0), buffer, count: 3)
            // Open children are closed by the parent.
            return unsafe buffer.elements[2]
        }
        #expect(try outcomes.map { try $0.get() } == [1, 1, 3, 3])
    }

    @Test func aWorldOfOneCanBeSplit() throws {
        let outcomes = LocalRanks.run(1, fabric: .automatic) { communicator in
            let child = try communicator.split(color: 3, key: 9)
            let buffer = try child!.allocate(Int64.self, count: 3)
            try child!.allReduce(buffer)
            return child!.worldSize
        }
        #expect(try outcomes[0].get() == 1)
    }

    /// Dropped children stay open, and nobody takes them for dead.
    @Test func closedAndDroppedChildrenGoOneByOne() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            for round in 0..<6 {
                let child = try communicator.split(color: 0, key: 0)
                try child?.barrier()
                if round % 2 == 0 { try child?.close() }
            }
            try communicator.barrier()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func aLostRankEndsEveryCommunicator(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(4, fabric: fabric) { communicator in
            let rank = communicator.rank
            guard let child = try communicator.split(color: rank / 2, key: -rank) else { throw Wrong("no child") }
            let buffer = try child.allocate(Int64.self, count: 1_000)
            for step in 0..<1_000_000 {
                if rank == 3, step == 3 { throw Wrong("plays dead") }
                try child.allReduce(buffer)
            }
        }
        for rank in 0..<3 {
            // Ranks 0 and 1 have no part in the group of 3.
            expectError(outcomes[rank], .left, rank == 2 ? ["rank 3", "of ranks 3, 2"] : ["rank 3"])
            #expect((errorOf(outcomes[rank]) as? VerbenaError)?.rank == 3)
        }
    }

    @Test func disagreementInAGroupNamesRanksOfTheJob() throws {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            guard let child = try communicator.split(color: communicator.rank == 0 ? 0 : 1, key: 0) else { throw Wrong("no child") }
            _ = try child.allocate(Float.self, count: communicator.rank)
        }
        _ = errorOf(outcomes[0])
        for rank in [1, 2] { expectError(outcomes[rank], .disagreed, ["rank 1 1 float", "rank 2 2 float"]) }
        let labels = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            guard let child = try communicator.split(color: communicator.rank == 0 ? 0 : 1, key: 0) else { throw Wrong("no child") }
            try child.barrier(label: child.rank == 0 ? "left" : "right")
        }
        for rank in [1, 2] { expectError(labels[rank], .disagreed, ["left", "right", "of ranks 1, 2"]) }
    }
}
