import Foundation
import Synchronization
import Testing

@testable import Verbena

/// Which thread carries out what was started: results are the same, and nobody waits for ever.
// SAFETY (whole file): each buffer is touched by one thread, between operations only, while its communicator is open.
@Suite(.serialized) struct ProgressTests {
    static func run<R: Sendable>(
        _ ranks: Int, _ modes: [ProgressChoice], _ body: @escaping @Sendable (Communicator) throws -> R
    ) -> LocalRanks.Outcomes<R> {
        LocalRanks.run(
            ranks, fabric: .sharedMemory, configure: { configuration, rank in configuration.progress = modes[rank % modes.count] }, body)
    }

    @Test func ranksChooseForThemselves() throws {
        let chosen = Self.run(2, [.thread, .hooks]) { $0.engine.usesHooks }
        #expect(try chosen.map { try $0.get() } == [false, true])
        // A rank that is alone has nobody to wait for.
        #expect(try Self.run(1, [.automatic]) { $0.engine.usesHooks }[0].get())
    }

    /// The same bits in all modes, and where ranks differ in theirs.
    @Test func resultsDoNotDependOnTheMode() throws {
        let results = try [[ProgressChoice.thread], [.hooks], [.thread, .hooks, .automatic]].map { modes in
            let outcomes = Self.run(3, modes) { communicator in
                let model = [1_000, 3, 70_000, 513].enumerated().map { ParameterLayout(name: "p\($0)", elementCount: $1) }
                let exchange = try GradientExchange(communicator, parameters: model, settings: GradientSettings(bucketSize: .fixed(4096)))
                var bits: [UInt32] = []
                for step in 0..<4 {
                    for parameter in model.indices.reversed() {
                        let view = unsafe exchange.gradient(at: parameter)
                        for element in view.indices { unsafe view[element] = 1 / Float(3 + element * 7 + communicator.rank * 5 + step) }
                        try exchange.gradientReady(parameter)
                    }
                    _ = try exchange.synchronize()
                    for parameter in model.indices { unsafe bits += exchange.gradient(at: parameter).map(\.bitPattern) }
                }
                return bits
            }
            let bits = try outcomes.map { try $0.get() }
            #expect(bits[0] == bits[1] && bits[1] == bits[2])
            return bits[0]
        }
        #expect(results[0] == results[1] && results[1] == results[2])
    }

    /// A rank that starts an operation and then computes for long: the others get their result meanwhile, small or large.
    @Test(arguments: [8, 3_000_000]) func othersDoNotWaitForARankThatComputes(count: Int) throws {
        for _ in 0..<5 {
            let hasResult = DispatchSemaphore(value: 0)
            let outcomes = Self.run(3, [.hooks]) { communicator in
                let buffer = try communicator.allocate(Float.self, count: count)
                unsafe buffer.elements.update(repeating: Float(communicator.rank))
                let started = try communicator.start(.allReduce, buffer)
                if communicator.rank == 0 {
                    for _ in 0..<2 where hasResult.wait(timeout: .now() + LocalRanks.patience) == .timedOut {
                        throw Wrong("the others wait for this rank's next call")
                    }
                }
                try started.wait()
                guard unsafe buffer.elements[count - 1] == 3 else { throw Wrong("a wrong sum") }
                if communicator.rank != 0 { hasResult.signal() }
            }
            for outcome in outcomes { _ = try outcome.get() }
        }
    }

    /// Threads and tasks that wait for operations of one engine, in an order that is not that of their ends.
    @Test func manyWaitersWithHooks() throws {
        let outcomes = Self.run(2, [.hooks]) { communicator in
            let buffers = try (0..<4).map { _ in try communicator.allocate(Int64.self, count: 2_000) }
            for round in 0..<20 {
                for buffer in buffers { unsafe buffer.elements.update(repeating: Int64(round)) }
                let started = try buffers.map { try communicator.start(.allReduce, $0) }
                let ended = DispatchSemaphore(value: 0)
                for request in started.reversed() {
                    if round % 2 == 0 {
                        Thread.detachNewThread {
                            try? request.wait()
                            ended.signal()
                        }
                    } else {
                        Task(executorPreference: OwnThreads.shared) {
                            try? await request.value()
                            ended.signal()
                        }
                    }
                }
                for _ in started where ended.wait(timeout: .now() + LocalRanks.patience) == .timedOut {
                    throw Wrong("round \(round) hangs")
                }
                guard Request.any(of: started) == 0 else { throw Wrong("an operation that has ended has not") }
                for buffer in buffers where unsafe buffer.elements[1_999] != Int64(2 * round) { throw Wrong("round \(round)") }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// A verdict reaches a rank that computes, and closing completes what nobody waits for.
    @Test func theEndIsHeardWithHooks() throws {
        let hasStarted = DispatchSemaphore(value: 0)
        let outcomes = Self.run(2, [.hooks]) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            try communicator.barrier()
            if communicator.rank == 1 {
                guard hasStarted.wait(timeout: .now() + LocalRanks.patience) == .success else { throw Wrong("rank 0 does not start") }
                return communicator.abort(reason: "of this test")
            }
            let started = try communicator.start(.allReduce, buffer)
            hasStarted.signal()
            // By a call that does not look, so that it is not this thread that hears it.
            let end = Date(timeIntervalSinceNow: 60)
            while case .running = communicator.group.status, Date() < end { sched_yield() }
            expectError(Result { try started.wait() }, .aborted, ["of this test"])
        }
        expectError(outcomes[0], .aborted, ["of this test"])
        let closing = Self.run(2, [.hooks]) { communicator in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            unsafe buffer.elements.update(repeating: 4)
            let started = try communicator.start(.allReduce, buffer)
            try communicator.close()
            try started.wait()
        }
        for outcome in closing { _ = try outcome.get() }
    }

    /// A call with a time-out, beside a started operation that the other rank never joins.
    @Test func timeOutsWithHooks() throws {
        let outcomes = Self.run(2, [.hooks]) { communicator in
            let buffers = try (0..<2).map { _ in try communicator.allocate(Int64.self, count: 5) }
            try communicator.barrier()
            guard communicator.rank == 0 else {
                expectError(Result { try communicator.receive(buffers[0], count: 1, from: 0) }, .stalled, [])
                return
            }
            let started = try communicator.startReceive(buffers[1], count: 1, from: 1)
            guard try !started.wait(timeout: .milliseconds(20)) else { throw Wrong("nobody has sent") }
            expectError(Result { try communicator.allReduce(buffers[0], timeout: .milliseconds(50)) }, .stalled, [])
            expectError(Result { try started.wait() }, .stalled, [])
        }
        expectError(outcomes[0], .stalled, [])
    }
}
