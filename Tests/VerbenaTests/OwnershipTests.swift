import Collectives
import Foundation
import Synchronization
import Testing

@testable import Engine
@testable import Verbena

/// What belongs to whom, and for how long: buffers to communicators, started operations to both, children to their parents.
// SAFETY (whole file): buffers are touched between collectives only, each by one thread; what is read after `close` is the test's own memory.
@Suite(.serialized) struct OwnershipTests {
    // MARK: buffers

    /// The engine's copy of the caller's memory goes with the communicator; the caller's own stays.
    @Test(arguments: ["close", "leave", "abort"]) func aStagedBufferAfterTheEndIsClosed(end: String) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let count = 100_000
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: count)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 1)
            let staged = unsafe try communicator.register(memory)
            guard communicator.stages(staged) else { throw Wrong("it is not staged") }
            let own = try communicator.allocate(Int64.self, count: count)
            try communicator.allReduce(staged)
            try communicator.barrier(label: "all have it")
            switch end {
            case "close": try communicator.close()
            case "leave": communicator.leave()
            default: communicator.abort(reason: "enough")
            }
            let other = 1 - communicator.rank
            try closed { try communicator.allReduce(staged) }
            try closed { try communicator.perform(.broadcast(root: 0), staged, into: own, count: 1) }
            try closed { try communicator.perform(.broadcast(root: 0), own, into: staged, count: 1) }
            try closed { _ = try communicator.start(.allReduce, staged, count: count) }
            try closed { try communicator.send(staged, count: 1, to: other) }
            try closed { try communicator.receive(staged, count: 1, from: other) }
            try closed { _ = try communicator.startSend(staged, count: 1, to: other) }
            try closed { _ = try communicator.startReceive(staged, count: 1, from: other) }
            try closed { try communicator.barrier() }
            try closed { try communicator.allReduce(own) }
            try closed { _ = try communicator.allocate(Int64.self, count: 1) }
            guard unsafe staged.elements.allSatisfy({ $0 == 2 }) else { throw Wrong("the caller's memory is another") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    private func closed(_ call: () throws -> Void) throws {
        do { try call() } catch let error as VerbenaError where error.cause == .closed { return }
        throw Wrong("it is not closed")
    }

    #if DEBUG
        /// Memory of the engine's has gone by then: a message instead of a segmentation fault.
        @Test func elementsAfterCloseTrapWithAMessage() async throws {
            let result = try await #require(
                processExitsWith: .signal(SIGILL), observing: [\.standardErrorContent],
                performing: {
                    let communicator = try Communicator.join(Configuration(environment: [:]))
                    let buffer = try communicator.allocate(Int8.self, count: 5)
                    try communicator.close()
                    print(unsafe buffer.elements[0])
                })
            #expect(String(decoding: result.standardErrorContent, as: UTF8.self).contains("read it before close()"))
        }
    #endif

    // MARK: started operations

    /// What was started is complete when `close` returns, in the caller's memory too; requests that are asked later say so.
    @Test(arguments: [1, 2, 3]) func closeCompletesWhatWasStarted(ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: .sharedMemory) { communicator in
            let (operations, count) = (8, 20_000)
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: operations * count)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 1)
            let parts = unsafe (0..<operations).map { unsafe UnsafeMutableBufferPointer(rebasing: memory[$0 * count..<($0 + 1) * count]) }
            let staged = unsafe try parts.map { unsafe try communicator.register($0) }
            let own = try communicator.allocate(Int64.self, count: count)
            let child = try communicator.split(color: 0, key: 0)!
            let ofChild = try child.allocate(Int64.self, count: count)
            var pending = try staged.map { try communicator.start(.allReduce, $0, count: count) }
            pending.append(try communicator.start(.allReduce, own, count: count))
            pending.append(try child.start(.allReduce, ofChild, count: count))
            // One that nobody holds any more is waited for where it is dropped.
            _ = try communicator.start(.allReduce, own, count: count)
            try communicator.close()
            guard unsafe memory.allSatisfy({ $0 == Int64(ranks) }) else { throw Wrong("results are missing") }
            for operation in pending {
                guard operation.isDone else { throw Wrong("it is not done") }
                try operation.wait()
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Ranks that have come to `close` begin nothing more: so a transfer that has one end is over, at once; those with two are completed.
    @Test func closeEndsTransfersThatNobodyJoins() throws {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 50_000)
            let (rank, others) = (communicator.rank, (0..<3).filter { $0 != communicator.rank })
            var good: [Request] = []
            var unjoined: [Request] = []
            for peer in others {
                // Of those who send twice, the lower one is received from once.
                for turn in 0..<2 {
                    let sends = try communicator.startSend(buffer, count: 10_000, to: peer)
                    if turn == 0 || rank > peer { good.append(sends) } else { unjoined.append(sends) }
                }
                for _ in 0..<(peer > rank ? 2 : 1) { good.append(try communicator.startReceive(buffer, count: 10_000, from: peer)) }
            }
            if rank == 0 {
                for _ in 0..<3 { unjoined.append(try communicator.startReceive(buffer, count: 1, from: 2)) }
            }
            try communicator.close()
            for pending in good { try pending.wait() }
            for pending in unjoined {
                guard pending.isDone else { throw Wrong("it is not over") }
                try closed { try pending.wait() }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Ranks that have run different numbers of collectives would wait for each other: they are told at once.
    @Test func closeSaysWhereCollectivesDiffer() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            let pending = communicator.rank == 1 ? try communicator.start(.allReduce, buffer, count: 5) : nil
            let first = Result { try communicator.close() }
            if let pending { expectError(Result { try pending.wait() }, .disagreed, ["collectives"]) }
            try first.get()
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["collectives", "rank 0", "rank 1", "same calls"]) }
    }

    /// A rank that cannot end what it started does not close as if it had.
    @Test func closeThrowsWhereAnOperationFails() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 9)
            let pending = try communicator.start(.allReduce, buffer, count: 5 + communicator.rank)
            let first = Result { try communicator.close() }
            for _ in 0..<2 { expectError(Result { try pending.wait() }, .disagreed, ["another operation"]) }
            try first.get()
        }
        for outcome in outcomes { expectError(outcome, .disagreed, ["another operation"]) }
    }

    /// A request that was left before its end says so, again and again, and its end touches nothing.
    @Test func aRequestAfterLeavingIsClosed() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let memory = UnsafeMutableBufferPointer<Int64>.allocate(capacity: 100_000)
            defer { unsafe memory.deallocate() }
            unsafe memory.initialize(repeating: 1)
            let staged = unsafe try communicator.register(memory)
            // Done and not waited for; and never done.
            let done = try communicator.start(.reduce(root: 0), staged, count: 100_000)
            while !done.isDone { sched_yield() }
            try communicator.barrier(label: "all are done")
            let never = try communicator.startReceive(staged, count: 7, from: 1 - communicator.rank)
            let dropped = try communicator.startSend(staged, count: 7, to: 1 - communicator.rank)
            guard communicator.rank == 0 else { return }
            communicator.leave()
            for _ in 0..<3 { try closed { try done.wait() } }
            for _ in 0..<3 { try closed { try never.wait() } }
            _ = dropped
        }
        _ = try outcomes[0].get()
    }

    /// A second `wait` says what the first said.
    @Test func aFailedRequestFailsAgain() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            guard communicator.rank == 0 else {
                _ = try communicator.allGather([], label: "it was started")
                communicator.abort(reason: "enough")
                return
            }
            let pending = try communicator.startReceive(buffer, count: 5, from: 1)
            _ = try communicator.allGather([], label: "it was started")
            let errors = (0..<3).map { _ in Result { try pending.wait() } }
            for error in errors { expectError(error, .aborted, ["enough"]) }
            guard pending.isDone else { throw Wrong("it is not done") }
            communicator.leave()
        }
        for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
    }

    /// Whether an operation is done does not depend on who waits for it; and all who wait get its end.
    @Test func anOperationIsNotDoneBecauseAnotherThreadWaits() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            guard communicator.rank == 0 else {
                try communicator.barrier(label: "it was asked")
                return try communicator.send(buffer, count: 5, to: 0)
            }
            let pending = try communicator.startReceive(buffer, count: 5, from: 1)
            let begun = Atomic(0)
            let ended = Atomic(0)
            for _ in 0..<2 {
                Thread.detachNewThread {
                    begun.add(1, ordering: .releasing)
                    try? pending.wait()
                    ended.add(1, ordering: .releasing)
                }
            }
            while begun.load(ordering: .acquiring) < 2 { sched_yield() }
            for _ in 0..<20_000 {
                guard !pending.isDone, ended.load(ordering: .acquiring) == 0 else { throw Wrong("done before it could be") }
                sched_yield()
            }
            try communicator.barrier(label: "it was asked")
            try pending.wait()
            guard pending.isDone else { throw Wrong("it is not done") }
            while ended.load(ordering: .acquiring) < 2 { sched_yield() }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// A wait ends with the operation, however long it would have gone on looking.
    @Test(.timeLimit(.minutes(1))) func nobodyLooksAtWhatHasEnded() {
        let slots = OperationSlots(spins: .max, host: SystemHost())
        for failed in [false, true] {
            let slot = slots.take(from: 3)!
            let record = OperationRecord(submitted: 17)
            slots.end(slot, failed: failed, record)
            #expect(slots.wait(slot)! == (failed, record))
            slots.free(slot)
            #expect(!slots.hasEnded(slot))
        }
    }

    // MARK: children

    /// A thread allocates or splits while another leaves: what it has made is ended as what was there before.
    @Test func whatAClosedCommunicatorIsGivenEnds() throws {
        let communicator = try Communicator.join(Configuration(environment: [:]))
        communicator.leave()
        let memory = try communicator.job.pool.allocate(byteCount: 64)
        try closed { _ = try memory.lent() }
        try closed { try memory.release() }
        let child = try Communicator.join(Configuration(environment: [:]))
        communicator.core.adopt(child.core)
        #expect(child.core.isClosed)
        try closed { try child.barrier() }
    }

    /// A program may keep the child alone; the parent is in the job as long.
    @Test func aChildKeepsItsParent() throws {
        let outcomes = LocalRanks.runJoining(3, fabric: .sharedMemory) { configuration in
            func makeChild() throws -> Communicator { try Communicator.join(configuration).split(color: 0, key: 0)! }
            func makeGrandchild() throws -> Communicator { try makeChild().split(color: 0, key: 0)! }
            let child = try makeGrandchild()
            let buffer = try child.allocate(Int64.self, count: 1_000)
            unsafe buffer.elements.update(repeating: 1)
            for _ in 0..<3 { try child.allReduce(buffer) }
            _ = try child.allGather([], label: "all are done")
            guard unsafe buffer.elements[999] == 27, let world = child.parent?.parent, world.parent == nil else { throw Wrong("no parent") }
            try world.close()
            try closed { try child.barrier() }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }
}
