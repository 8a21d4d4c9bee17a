import Foundation
import Testing
import Verbena

/// Memory of the caller's own: staged in shared memory, registered itself by verbs.
// SAFETY (whole file): the memory outlives the communicator, and is touched between collectives only.
@Suite(.serialized) struct RegisteredMemoryTests {
    @Test(arguments: Fabrics.available, [1, 2, 3])
    func everyCollectiveOnTheCallersMemory(fabric: FabricChoice, ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            let count = 1_001
            let capacity = Exercise.capacity(world: ranks, count: count)
            // Not at the beginning of a page.
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 2 * capacity + 3)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 0)
            let first = unsafe UnsafeMutableBufferPointer(rebasing: memory[1..<1 + capacity])
            let second = unsafe UnsafeMutableBufferPointer(rebasing: memory[2 + capacity..<2 + 2 * capacity])
            let (input, output) = unsafe (try communicator.register(first), try communicator.register(second))
            guard communicator.stages(input) == (fabric == .sharedMemory && ranks > 1),
                unsafe input.elements.baseAddress == first.baseAddress
            else {
                throw Wrong("staged: \(communicator.stages(input))")
            }
            let own = try communicator.allocate(Int64.self, count: capacity)
            for exercise in Exercise.all(world: ranks, count: count) {
                try exercise.run(communicator, input, output) { try communicator.perform($0, $1, into: $2, count: $3) }
                try exercise.run(communicator, output, input) { try communicator.start($0, $1, into: $2, count: $3).wait() }
                // With memory of the engine's on one side.
                try exercise.run(communicator, own, input) { try communicator.perform($0, $1, into: $2, count: $3) }
                try exercise.run(communicator, input, own) { try communicator.perform($0, $1, into: $2, count: $3) }
            }
            try communicator.close()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func transfersOnTheCallersMemory(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(2, fabric: fabric) { communicator in
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 1_000)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: Float(communicator.rank))
            let buffer = unsafe try communicator.register(memory)
            let other = 1 - communicator.rank
            let receive = try communicator.startReceive(buffer, offset: 500, count: 100, from: other)
            let send = try communicator.startSend(buffer, offset: 10, count: 100, to: other)
            try send.wait()
            try receive.wait()
            let wanted = (0..<1_000).map { Float(500..<600 ~= $0 ? other : communicator.rank) }
            guard unsafe memory.elementsEqual(wanted) else { throw Wrong("received elsewhere, or something else") }
            if communicator.rank == 0 {
                try communicator.send(buffer, offset: 0, count: 5, to: 1)
            } else {
                try communicator.receive(buffer, offset: 995, count: 5, from: 0)
                guard unsafe memory[994] == 1, unsafe memory[995..<1_000].allSatisfy({ $0 == 0 }) else { throw Wrong("blocking") }
            }
            try communicator.close()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test func nothingAndDifferentMemory() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let nothing = unsafe try communicator.register(UnsafeMutableBufferPointer<Double>(start: nil, count: 0))
            try communicator.allReduce(nothing)
            let memory = UnsafeMutableBufferPointer<Double>.allocate(capacity: 4)
            defer { unsafe memory.deallocate() }
            let part = unsafe UnsafeMutableBufferPointer(rebasing: memory[0..<3 + communicator.rank])
            _ = unsafe try communicator.register(part)
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["rank 0 3 double", "rank 1 4 double"]) }
    }
}
