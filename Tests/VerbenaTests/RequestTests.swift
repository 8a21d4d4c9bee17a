import Foundation
import Synchronization
import Testing

@testable import Engine
@testable import Verbena

/// The ways to wait for a started operation. Rank 1 sends when rank 0 lets it, so that rank 0 knows what has not ended.
@Suite(.serialized) struct RequestTests {
    /// Threads, tasks and waits with a time-out share one request, on a buffer of the engine's and on a staged one.
    @Test(arguments: [false, true]) func everyWaiterGetsTheEnd(isStaged: Bool) throws {
        try Self.run(isStaged: isStaged) { communicator, buffer in
            let pending = try communicator.startReceive(buffer, count: 5, from: 1)
            let ended = Atomic(0)
            let signal = DispatchSemaphore(value: 0)
            for index in 0..<6 {
                let done: @Sendable (Bool) -> Void = {
                    if $0 { ended.add(1, ordering: .relaxed) }
                    signal.signal()
                }
                switch index % 3 {
                case 0: Thread.detachNewThread { done((try? pending.wait()) != nil) }
                case 1: Thread.detachNewThread { done((try? pending.wait(timeout: .seconds(3_000))) == true) }
                default: Task(executorPreference: OwnThreads.shared) { done((try? await pending.value()) != nil) }
                }
            }
            // Some time passes for none of these, and for others it has passed already.
            for timeout in [Duration.milliseconds(20), .zero, .seconds(-1)] {
                guard try !pending.wait(timeout: timeout) else { throw Wrong("it has ended before it could") }
            }
            guard !pending.isDone, ended.load(ordering: .relaxed) == 0 else { throw Wrong("done before it could be") }
            try communicator.barrier(label: "go on")
            for _ in 0..<6 { signal.wait() }
            guard ended.load(ordering: .relaxed) == 6, pending.isDone, try pending.wait(timeout: .zero) else {
                throw Wrong("not all ended")
            }
            guard unsafe buffer.elements.prefix(5).allSatisfy({ $0 == 7 }) else { throw Wrong("the result is missing") }
        }
    }

    /// A task gets the error that a thread gets, and its own end is none of the operation's.
    @Test func aTaskGetsTheVerdict() throws {
        try Self.run { communicator, buffer in
            let pending = try communicator.startReceive(buffer, count: 5, from: 1)
            let failed = try communicator.startReceive(buffer, offset: 5, count: 5, from: 1)
            let errors = Mutex<[VerbenaError?]>([])
            let signal = DispatchSemaphore(value: 0)
            let end: @Sendable (VerbenaError?) -> Void = { error in
                errors.withLock { $0.append(error) }
                signal.signal()
            }
            for request in [pending, failed] {
                let task = Task(executorPreference: OwnThreads.shared) {
                    do throws(VerbenaError) {
                        try await request.value()
                        end(nil)
                    } catch { end(error) }
                }
                task.cancel()
            }
            try communicator.barrier(label: "go on")
            signal.wait()
            communicator.leave()
            signal.wait()
            let all = errors.withLock { $0 }
            guard all[0] == nil, all[1]?.cause == .closed else { throw Wrong("\(all)") }
        }
    }

    @Test func anyOfSeveralRequests() throws {
        try Self.run(barriers: 2) { communicator, buffer in
            let never = try communicator.startReceive(buffer, offset: 5, count: 5, from: 2)
            let pending = try communicator.startReceive(buffer, count: 5, from: 1)
            #expect(Request.any(of: []) == nil)
            #expect(Request.any(of: [never, pending, pending], timeout: .milliseconds(20)) == nil)
            try communicator.barrier(label: "go on")
            #expect(Request.any(of: [never, pending]) == 1)
            #expect(Request.any(of: [never, pending], timeout: .zero) == 1)
            #expect(Request.any(of: [never], timeout: .zero) == nil)
            try pending.wait()
            try communicator.barrier(label: "go on")
            #expect(Request.any(of: [pending, never]) == 0)
            #expect(Request.any(of: [never], timeout: .seconds(3_000)) == 0)
        }
    }

    /// An operation that a waiter has given up, or that a watcher has left, is not told to the others as awaited; those who stay are woken.
    @Test(.timeLimit(.minutes(1))) func whoGivesUpIsNotCounted() {
        let slots = OperationSlots(spins: 1, host: SystemHost())
        let slot = slots.take(from: 0)!
        #expect(slots.wait(slot, until: 0) == nil && !slots.isAwaited(slot))
        let called = Atomic(0)
        let watchers = (0..<2).map { _ in OperationWatcher { called.add(1, ordering: .relaxed) } }
        for watcher in watchers { #expect(slots.watch(slot, watcher)) }
        slots.stopAwaiting(slot, watchers[0])
        #expect(slots.isAwaited(slot))
        slots.stopAwaiting(slot, watchers[1])
        #expect(!slots.isAwaited(slot))
        let ended = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            _ = slots.wait(slot)
            ended.signal()
        }
        // The sleeper says again that it sleeps, whenever another gives up.
        for _ in 0..<3 {
            while !slots.isAwaited(slot) { sched_yield() }
            slots.stopAwaiting(slot)
        }
        #expect(slots.watch(slot, watchers[1]))
        slots.end(slot, failed: false, nil)
        ended.wait()
        #expect(called.load(ordering: .relaxed) == 1 && !slots.watch(slot, watchers[0]))
    }

    /// Rank 0's part, with a buffer of ten zeros. Rank 1 sends it five sevens after the first barrier, rank 2 after the second.
    private static func run(
        isStaged: Bool = false, barriers: Int = 1, _ body: @escaping @Sendable (Communicator, Buffer<Int32>) throws -> Void
    ) throws {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let (rank, memory) = (communicator.rank, UnsafeMutableBufferPointer<Int32>.allocate(capacity: 10))
            unsafe memory.initialize(repeating: rank == 0 ? 0 : 7)
            // SAFETY: the memory is never given back.
            let buffer = isStaged ? unsafe try communicator.register(memory) : try communicator.allocate(Int32.self, count: 10)
            unsafe buffer.elements.update(repeating: rank == 0 ? 0 : 7)
            if rank == 0 { return try body(communicator, buffer) }
            for turn in 1...barriers {
                try communicator.barrier(label: "go on")
                if rank == turn { try communicator.send(buffer, count: 5, to: 0) }
            }
        }
        _ = try outcomes[0].get()
    }
}

/// A blocking call with a time-out of its own.
@Suite(.serialized) struct TimeoutTests {
    /// Rank 1 does not come. The caller drives the engine itself, or a started operation before its own has the progress thread do so; its own is one
    /// of which some are under way before it, or one that has not even begun.
    @Test(arguments: Fabrics.available, [0, 1, 20]) func allRanksGetOneVerdict(fabric: FabricChoice, before: Int) {
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(Float.self, count: 1000)
            let other = try communicator.allocate(Float.self, count: 1)
            if communicator.rank == 1 {
                try communicator.barrier(label: "elsewhere")
                return
            }
            // One that ends in time is not touched.
            if communicator.rank == 0 {
                let receive = try communicator.startReceive(other, count: 1, from: 2)
                try communicator.send(buffer, count: 3, to: 2, timeout: .seconds(3_000))
                try receive.wait()
            } else {
                try communicator.receive(buffer, count: 3, from: 0, timeout: .seconds(3_000))
                try communicator.send(other, count: 1, to: 0, timeout: .seconds(3_000))
            }
            let started = try (0..<before).map { _ in try communicator.start(.allReduce, other, count: 1) }
            defer { for request in started { try? request.wait() } }
            // Rank 2 would wait for ever.
            try communicator.perform(.allReduce, buffer, count: 1000, timeout: communicator.rank == 0 ? .milliseconds(50) : nil)
        }
        let all = outcomes.map { errorOf($0) as? VerbenaError }
        for error in all {
            #expect(error?.rank == 1 && error?.message.contains("within the call's time-out of 0.05 s") == true, "\(all)")
            #expect(error?.message.contains("nothing came from it") == true && error?.message.contains("allreduce #") == true, "\(all)")
        }
        #expect(all.allSatisfy { $0?.cause == .stalled }, "\(all)")
    }

    /// A transfer that its peer does not join, and a time-out that has passed before the call.
    @Test(arguments: [Duration.milliseconds(20), .zero, .seconds(-5)]) func aTransferNamesItsPeer(timeout: Duration) {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int32.self, count: 8)
            // A rank that still allocates when the verdict comes names that.
            try communicator.barrier(label: "all have memory")
            if communicator.rank == 1 { try communicator.receive(buffer, count: 8, from: 2, timeout: timeout) }
            try communicator.barrier(label: "elsewhere")
        }
        for outcome in outcomes {
            let error = errorOf(outcome) as? VerbenaError
            #expect(
                error?.rank == 2 && error?.message.contains("time-out") == true && error?.message.contains("receive #0") == true,
                "\(outcomes)")
        }
    }

    /// The same of collectives with counts for each rank.
    @Test(arguments: 0..<3) func anUnevenCollectiveNamesThePeerToo(kind: Int) {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let (input, output) = (try communicator.allocate(Int32.self, count: 8), try communicator.allocate(Int32.self, count: 8))
            try communicator.barrier(label: "all have memory")
            if communicator.rank == 0 {
                switch kind {
                case 0: try communicator.allGather(input, into: output, counts: [1, 3], timeout: .milliseconds(20))
                case 1: try communicator.reduceScatter(input, into: output, counts: [1, 3], timeout: .milliseconds(20))
                default:
                    try communicator.allToAll(
                        input, into: output, sendCounts: [1, 3], receiveCounts: [1, 2], timeout: .milliseconds(20))
                }
            }
            try communicator.barrier(label: "elsewhere")
        }
        for outcome in outcomes {
            let error = errorOf(outcome) as? VerbenaError
            #expect(error?.rank == 1 && error?.cause == .stalled && error?.message.contains("time-out") == true, "\(outcomes)")
        }
    }

    /// The times of a request are in order, and there is none before somebody has waited.
    @Test func aRequestHasARecord() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int32.self, count: 8)
            let request = try communicator.start(.allReduce, buffer, count: 8)
            guard request.record == nil else { throw Wrong("it has a record before anybody waited") }
            try request.wait()
            guard let record = request.record else { throw Wrong("no record") }
            let times = [record.submitted, record.started, record.firstArrival, record.lastArrival, record.ended]
            guard times == times.sorted(), times[0] > 0 else { throw Wrong("\(record)") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }
}
