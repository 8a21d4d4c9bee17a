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

    /// From what fits an eager slot to several tiles, with ends that no tile fills: the bits are those of memory that peers see.
    @Test(arguments: [2, 3, 4]) func theBitsAreThoseOfTheEnginesMemory(ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: .sharedMemory) { communicator in
            for count in [1, 777, 20_003, 70_001] {
                let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 2 * ranks * count)
                defer { unsafe memory.deallocate() }
                for index in memory.indices { unsafe memory[index] = Float((index &* 7919 &+ communicator.rank &* 31) % 10_007) / 1009 }
                let callers = unsafe try communicator.register(memory)
                let own = try communicator.allocate(Float.self, count: 2 * ranks * count)
                _ = unsafe own.elements.update(fromContentsOf: memory)
                let half = ranks * count
                let calls: [(Collective, Int, isInPlace: Bool)] = [
                    (.allReduce, half, true), (.allReduce, half, false), (.reduceScatter, count, true), (.reduceScatter, count, false),
                    (.allGather, count, true), (.allGather, count, false), (.allToAll, count, true), (.allToAll, count, false),
                ]
                for (collective, elements, isInPlace) in calls {
                    for buffer in [callers, own] {
                        try communicator.perform(
                            collective, buffer[..<half], into: isInPlace ? nil : buffer[half...], count: elements, .average)
                    }
                    guard unsafe memory.elementsEqual(own.elements) else {
                        throw Wrong("\(collective) of \(elements), in place: \(isInPlace)")
                    }
                }
                try callers.release()
                try own.release()
            }
            try communicator.close()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: [1, 2, 3]) func memoryThatNobodyWasToldOf(ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: .sharedMemory) { communicator in
            let count = 150_001
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: ranks * count + communicator.rank)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: Float(communicator.rank + 1))
            func slice(_ all: RawBuffer) -> RawBuffer {
                // Elsewhere on each rank.
                let first =
                    unsafe (UnsafeRawPointer(memory.baseAddress!) + 4 * communicator.rank - UnsafeRawPointer(all.bytes.baseAddress!)) / 4
                return all[first..<first + ranks * count]
            }
            let buffer = slice(unsafe try communicator.ownMemory(.float32))
            try communicator.perform(.allReduce, buffer, count: count)
            try communicator.start(.allGather, buffer, count: count).wait()
            let (sum, own) = (Float(ranks * (ranks + 1) / 2), communicator.rank)
            guard unsafe memory[own] == sum, unsafe memory[own + count - 1] == sum else { throw Wrong("the sum") }
            for rank in 1..<max(ranks, 2) where rank < ranks {
                guard unsafe memory[own + rank * count] == Float(rank + 1), unsafe memory[own + rank * count + count - 1] == Float(rank + 1)
                else { throw Wrong("block \(rank)") }
            }
            if ranks > 1 {
                expectError(Result { try communicator.perform(.broadcast(root: 0), buffer) }, .configuration, ["register"])
                expectError(Result { try communicator.send(buffer, count: 1, to: 1 - min(1, own)) }, .configuration, ["register"])
            }
            let half = try #require(try communicator.split(color: 0, key: own))
            expectError(Result { try half.perform(.allReduce, buffer) }, .configuration, ["another communicator"])
            try half.perform(.allReduce, slice(unsafe try half.ownMemory(.float32)), count: 5)
            try half.close()
            try communicator.close()
            expectError(Result { try communicator.perform(.allReduce, buffer) }, .closed, [])
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Ranks with a link between them do not see each other's memory.
    @Test func memoryHasToBeKnownToALink() throws {
        let configure: LocalRanks.Configure = { configuration, _ in configuration.link = EmulatedLink("10Gbit,5us") }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: configure) { communicator in
            expectError(Result { unsafe try communicator.ownMemory(.float32) }, .configuration, ["register"])
            try communicator.close()
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// An operation without the staging memory is one on the buffer all the same.
    @Test func aBufferInUseIsNotReleased() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 500_000)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 1)
            let buffer = unsafe try communicator.register(memory)
            if communicator.rank == 0 {
                let pending = try communicator.start(.allReduce, buffer)
                expectError(Result { try buffer.release() }, .configuration, ["under way"])
                _ = try communicator.allGather([], label: "refused")
                try pending.wait()
            } else {
                _ = try communicator.allGather([], label: "refused")
                try communicator.perform(.allReduce, buffer)
            }
            try buffer.release()
            guard unsafe memory.allSatisfy({ $0 == 2 }) else { throw Wrong("another sum") }
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
