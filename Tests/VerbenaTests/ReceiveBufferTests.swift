import Testing
import Verbena

// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct ReceiveBufferTests {
    private static func run<R: Sendable>(
        _ ranks: Int, limit: Int, _ body: @escaping @Sendable (Communicator) throws -> R
    ) -> LocalRanks.Outcomes<R> {
        let limited: @Sendable (inout Configuration, Int) -> Void = { configuration, _ in configuration.receiveBufferByteLimit = limit }
        return LocalRanks.run(ranks, fabric: .sharedMemory, configure: limited, body)
    }

    @Test func aLimitIsKeptAndResultsStayRight() throws {
        for limit in [64 << 20, 8 << 20, 256 << 10] {
            let outcomes = Self.run(5, limit: limit) { communicator in
                let count = 4_000
                let capacity = Exercise.capacity(world: 5, count: count)
                let input = try communicator.allocate(Int64.self, count: capacity)
                let output = try communicator.allocate(Int64.self, count: capacity)
                for exercise in Exercise.all(world: 5, count: count) {
                    for algorithm in [nil, Algorithm.ring] {
                        if algorithm != nil, exercise.collective != .allReduce { continue }
                        try exercise.run(communicator, input, output) {
                            try communicator.perform($0, $1, into: $2, count: $3, algorithm: algorithm)
                        }
                    }
                }
                return [communicator.memory.receiveBufferByteCount, communicator.memory.limitByteCount]
            }
            for outcome in outcomes {
                let memory = try outcome.get()
                // The ranks of one machine have 256 MiB at most.
                let kept = min(limit, (256 << 20) / 5)
                #expect(memory[0] <= kept && memory[0] > kept / 4 && memory[1] == kept)
            }
        }
    }

    @Test func aLimitThatCannotBeKeptIsRefusedWithOneThatCan() throws {
        let outcomes = Self.run(3, limit: 4096) { _ in }
        for outcome in outcomes { expectError(outcome, .configuration, ["4096 bytes", "3 ranks need", "--receive-buffers"]) }
        let named = (errorOf(outcomes[0]) as? VerbenaError)?.message.split(separator: " ").compactMap { word in
            word.hasSuffix("K") ? Int(word.dropLast()) : nil
        }
        let least = try #require(named?.first) << 10
        let again = Self.run(3, limit: least) { $0.memory.receiveBufferByteCount }
        for outcome in again { #expect(try outcome.get() <= least) }
    }
}
