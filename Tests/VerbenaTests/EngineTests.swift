import Collectives
import Foundation
import Synchronization
import Testing

@testable import Verbena

/// Who drives the engine when: callers on their own threads, the progress thread, and the end.
// SAFETY (whole file): each buffer is touched by one thread, between operations only, while its communicator is open.
@Suite(.serialized) struct EngineTests {
    /// Blocking collectives, blocking transfers both ways, started ones and control calls, each on a thread of its own.
    @Test(arguments: [2, 3], [ProgressChoice.thread, .hooks]) func severalCallersAtOnce(ranks: Int, progress: ProgressChoice) throws {
        let outcomes = ProgressTests.run(ranks, [progress]) { communicator in
            let buffers = try (0..<5).map { _ in try communicator.allocate(Int64.self, count: 5_000) }
            let (rank, ranks) = (communicator.rank, communicator.worldSize)
            let (right, left) = ((rank + 1) % ranks, (rank + ranks - 1) % ranks)
            let rounds = 400
            try together([
                {
                    for round in 0..<rounds {
                        let count = [1, 700, 5_000][round % 3]
                        unsafe buffers[0].elements.update(repeating: Int64(round + rank))
                        try communicator.allReduce(buffers[0], count: count)
                        let wanted = Int64(ranks * round + ranks * (ranks - 1) / 2)
                        guard unsafe buffers[0].elements[count - 1] == wanted else { throw Wrong("allreduce of round \(round)") }
                    }
                },
                {
                    for round in 0..<rounds {
                        unsafe buffers[1].elements.update(repeating: Int64(round * 10 + rank))
                        try communicator.send(buffers[1], count: 1 + round, to: right)
                    }
                },
                {
                    for round in 0..<rounds {
                        let pending = try communicator.startReceive(buffers[2], count: 1 + round, from: left)
                        if round % 3 == 0 { while !pending.isDone { sched_yield() } }
                        try pending.wait()
                        let value = unsafe buffers[2].elements[round]
                        guard value == Int64(round * 10 + left) else { throw Wrong("receive of round \(round)") }
                    }
                },
                {
                    for round in 0..<20 {
                        let all = try communicator.allGather([UInt8(rank), UInt8(round)], label: "round")
                        guard all == (0..<ranks).map({ [UInt8($0), UInt8(round)] }) else { throw Wrong("gather of round \(round)") }
                    }
                },
            ])
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Collectives started by several threads in an order that they agree on, and waited for on all of them at once.
    @Test(arguments: [ProgressChoice.thread, .hooks]) func startedInTurnByManyThreads(progress: ProgressChoice) throws {
        let outcomes = ProgressTests.run(2, [progress]) { communicator in
            let threads = 4
            let buffers = try (0..<threads).map { _ in try communicator.allocate(Int64.self, count: 300) }
            let turn = Mutex(0)
            try together(
                (0..<threads).map { own in
                    {
                        for round in 0..<200 {
                            unsafe buffers[own].elements.update(repeating: Int64(round))
                            var pending: Request?
                            while pending == nil {
                                pending = try turn.withLock { turn in
                                    guard turn % threads == own else { return nil }
                                    turn += 1
                                    return try communicator.start(.allReduce, buffers[own], count: 1 + round)
                                }
                                if pending == nil { sched_yield() }
                            }
                            try pending?.wait()
                            let value = unsafe buffers[own].elements[round]
                            guard value == Int64(2 * round) else { throw Wrong("thread \(own), round \(round)") }
                        }
                    }
                })
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Different communicators on different threads at the same time.
    @Test func communicatorsOfTheirOwnThreads() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let children = try (0..<3).map { _ in try communicator.split(color: 1, key: 0)! }
            try together(
                (children + [communicator]).map { own in
                    {
                        let buffer = try own.allocate(Int64.self, count: 1_000)
                        for round in 0..<200 {
                            unsafe buffer.elements.update(repeating: Int64(round))
                            try own.allReduce(buffer)
                            guard unsafe buffer.elements[round] == Int64(2 * round) else { throw Wrong("round \(round)") }
                        }
                    }
                })
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Whoever is in a call when another thread leaves is told so, at once.
    @Test func leavingEndsTheCallsOfOtherThreads() throws {
        for attempt in 0..<20 {
            let outcomes = ProgressTests.run(2, [attempt % 4 < 2 ? .thread : .hooks]) { communicator in
                let buffers = try (0..<2).map { _ in try communicator.allocate(Int64.self, count: 50_000) }
                try communicator.barrier(label: "memory is there")
                let begun = DispatchSemaphore(value: 0)
                let ends = Mutex<[VerbenaError.Cause]>([])
                try together([
                    { try endless(begun, ends) { try communicator.allReduce(buffers[0]) } },
                    {
                        let other = 1 - communicator.rank
                        try endless(begun, ends) { try communicator.startReceive(buffers[1], count: 5, from: other).wait() }
                    },
                    {
                        begun.wait()
                        begun.wait()
                        if communicator.rank == attempt % 2 { communicator.leave() }
                    },
                ])
                communicator.leave()
                return ends.withLock { $0 }
            }
            for outcome in outcomes {
                let ends = try? outcome.get()
                #expect(ends?.count == 2 && ends?.allSatisfy { $0 == .closed || $0 == .left } == true, "\(outcome)")
            }
        }
    }

    // MARK: closing

    /// What ranks have told each other of is all that there will be, on whatever thread.
    @Test func whoClosesBeginsNothingMore() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 10)
            let other = 1 - communicator.rank
            // One that was begun is not waited for.
            var kept: [Request] = []
            let calls: [(String, () throws -> Void)] = [
                ("startSend", { kept.append(try communicator.startSend(buffer, count: 1, to: other)) }),
                ("startReceive", { kept.append(try communicator.startReceive(buffer, count: 1, from: other)) }),
                ("start", { kept.append(try communicator.start(.allReduce, buffer, count: 1)) }),
                ("send", { try communicator.send(buffer, count: 1, to: other) }),
                ("receive", { try communicator.receive(buffer, count: 1, from: other) }),
                ("allreduce", { try communicator.allReduce(buffer) }),
                ("barrier", { try communicator.barrier() }),
            ]
            let begun = communicator.engine.collectivesBegun
            var refused: [String] = []
            try communicator.engine.finishAll { (submitted) throws(VerbenaError) in
                for (name, call) in calls {
                    guard case .failure(let error as VerbenaError) = Result(catching: call), error.cause == .closed else { break }
                    refused.append(name)
                }
                return try communicator.allGather(submitted, label: "closing")
            }
            guard refused == calls.map(\.0) else { throw Wrong("only \(refused) are refused") }
            guard communicator.engine.collectivesBegun == begun else { throw Wrong("what was refused counts as begun") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// An operation that its caller carries out is waited for as one that was started.
    @Test func closingWaitsForWhatCallersCarryOut() throws {
        let isWaiting = DispatchSemaphore(value: 0)
        let isOver = Atomic(false)
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffers = try (0..<2).map { _ in try communicator.allocate(Int64.self, count: 5) }
            let begun = communicator.engine.collectivesBegun
            try communicator.barrier(label: "memory is there")
            guard communicator.rank == 0 else {
                isWaiting.wait()
                var isEarly = false
                for _ in 0..<20_000 where !isEarly {
                    isEarly = isOver.load(ordering: .acquiring)
                    sched_yield()
                }
                try communicator.allReduce(buffers[0])
                if isEarly { throw Wrong("it was not waited for") }
                return
            }
            try together([
                { try communicator.allReduce(buffers[0]) },
                {
                    defer { isWaiting.signal() }
                    while communicator.engine.collectivesBegun == begun { sched_yield() }
                    // Ends when the engine knows that nobody joins it: from then on only the other operation is waited for.
                    let unjoined = try communicator.startReceive(buffers[1], count: 1, from: 1)
                    try together([
                        {
                            while !unjoined.isDone { sched_yield() }
                            isWaiting.signal()
                        },
                        {
                            let outcome = Result { try finishAlone(communicator) }
                            isOver.store(true, ordering: .releasing)
                            try outcome.get()
                        },
                    ])
                },
            ])
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Transfers that never stop, on threads of their own: those with two ends are completed, the others end as closed, and nobody is blamed.
    @Test func closingEndsTheTransfersOfOtherThreads() throws {
        let shortStall: @Sendable (inout Configuration, Int) -> Void = { configuration, _ in configuration.stallTimeoutSeconds = 20 }
        for attempt in 0..<20 {
            let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: shortStall) { communicator in
                let buffers = try (0..<2).map { _ in try communicator.allocate(Int64.self, count: 100_000) }
                let count = [1, 100_000][attempt / 2 % 2]
                let other = 1 - communicator.rank
                let begun = DispatchSemaphore(value: 0)
                let ends = Mutex<[VerbenaError.Cause]>([])
                try communicator.barrier(label: "memory is there")
                try together([
                    { try endless(begun, ends) { try communicator.send(buffers[0], count: count, to: other) } },
                    {
                        try endless(begun, ends) {
                            if attempt % 2 == 0 {
                                try communicator.receive(buffers[1], count: count, from: other)
                            } else {
                                try communicator.startReceive(buffers[1], count: count, from: other).wait()
                            }
                        }
                    },
                    {
                        begun.wait()
                        begun.wait()
                        try communicator.close()
                    },
                ])
                return ends.withLock { $0 }
            }
            for outcome in outcomes { try #require(try outcome.get() == [.closed, .closed], "attempt \(attempt)") }
        }
    }

    /// By what the system counts of the progress threads: how long they had a core, and how often they were given one.
    /// Closing waits for urgent operations that are under way as for others, and names what one rank alone has begun.
    @Test(arguments: [false, true]) func closingWaitsForUrgentOperations(isOneAlone: Bool) throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 4_096)
            unsafe buffer.elements.update(repeating: Int64(communicator.rank))
            try communicator.barrier(label: "memory is there")
            let engine = communicator.engine
            let known = try communicator.attachment(of: buffer.raw, for: .allReduce).buffer
            let operations = 2 + (isOneAlone ? communicator.rank : 0)
            let numbers = try (0..<operations).map { index in
                let place = Place(known, byteOffset: 8 * 1_024 * index)
                return try engine.submit(Operation(.allReduce, input: place, count: 1_024, type: .int64, stream: .urgent))
            }
            try engine.finishAll { (submitted) throws(VerbenaError) in try communicator.allGather(submitted, label: "closing") }
            guard numbers.allSatisfy(engine.hasEnded) else { throw Wrong("closing has not waited") }
            for number in numbers { engine.release(number) }
            guard unsafe buffer.elements[..<2_048].allSatisfy({ $0 == 1 }) else { throw Wrong("the sum") }
        }
        for outcome in outcomes {
            guard isOneAlone else {
                _ = try outcome.get()
                continue
            }
            guard case .failure(let error as VerbenaError) = outcome else { return #expect(Bool(false), "\(outcome)") }
            #expect(error.cause == .disagreed && error.message.contains("it has begun 3 urgent collectives, rank 0 2"), "\(error)")
        }
    }

    @Test func idleProgressThreadsRest() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let child = try communicator.split(color: 4711, key: 0)!
            let buffer = try child.allocate(Int64.self, count: 1_000)
            for _ in 0..<10 { try child.start(.allReduce, buffer, count: 1_000).wait() }
            try child.barrier(label: "idle from here")
            let before = progressThreads(named: "verbena 1.4711")
            Thread.sleep(forTimeInterval: 2)  // tidy: allow sleep-in-tests, idleness is what is measured
            let after = progressThreads(named: "verbena 1.4711")
            try child.barrier(label: "idle until here")
            return before.compactMap { thread, times in after[thread].map { ($0.nanoseconds - times.nanoseconds, $0.turns - times.turns) } }
        }
        let threads = try outcomes[0].get()
        // Both ranks are threads of this process.
        #expect(threads.count == 2)
        for (nanoseconds, turns) in threads {
            #expect(nanoseconds < 100_000_000, "5 % of 2 s")
            // It looks five times a second; who polls is given a core thousands of times.
            #expect(turns < 200)
        }
    }
}

/// As if the others had begun the same collectives, and no transfers.
private func finishAlone(_ communicator: Communicator) throws(VerbenaError) {
    try communicator.engine.finishAll { (submitted) throws(VerbenaError) in
        var others = Submitted()
        others[.bulk] = Submitted(bytes: submitted)?[.bulk] ?? 0
        return (0..<communicator.worldSize).map { $0 == communicator.rank ? submitted : others.bytes }
    }
}

/// Calls until that fails; says when it has begun and how it ended.
private func endless(
    _ begun: DispatchSemaphore, _ ends: borrowing Mutex<[VerbenaError.Cause]>, _ call: () throws -> Void
) throws {
    begun.signal()
    do {
        while true { try call() }
    } catch let error as VerbenaError {
        ends.withLock { $0.append(error.cause) }
    }
}

/// Runs each on a thread of its own and waits for all; throws the first error.
private func together(_ bodies: [@Sendable () throws -> Void]) throws {
    let ended = DispatchSemaphore(value: 0)
    let errors = Mutex<[any Error]>([])
    for body in bodies {
        Thread.detachNewThread {
            do { try body() } catch { errors.withLock { $0.append(error) } }
            ended.signal()
        }
    }
    for _ in bodies { ended.wait() }
    if let first = errors.withLock({ $0.first }) { throw first }
}

/// Time on a core, and how often that was given, of the threads of this process with a name.
private func progressThreads(named name: String) -> [String: (nanoseconds: Int, turns: Int)] {
    var found: [String: (nanoseconds: Int, turns: Int)] = [:]
    for thread in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? [] {
        func read(_ file: String) -> String? { try? String(contentsOfFile: "/proc/self/task/\(thread)/\(file)", encoding: .utf8) }
        guard read("comm")?.trimmingCharacters(in: .whitespacesAndNewlines) == name else { continue }
        let figures = (read("schedstat") ?? "").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        if figures.count == 3 { found[thread] = (figures[0], figures[2]) }
    }
    return found
}
