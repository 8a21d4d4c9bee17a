import Foundation
internal import Launch
import Verbena

/// Counts how often operations allocate memory, on all threads of each rank, and fails where they do more than is said below.
///
/// Runs under a library that counts (`Tests/count-allocations.c`), which `Tests/end-to-end/allocations` builds and preloads.
///
///     allocation-check RANKS [OPERATIONS [MACHINES]]
///     allocation-check RANKS training
///
/// The second counts those of training steps instead: see `TrainingCheck`. Fewer operations are for soft-RoCE, where each takes long; then the largest size is left out as well.
@main
struct AllocationCheck {
    static let maxOperations = 1_000
    /// For all operations of a kind: what the rest of the process does meanwhile, such as signs of life to the rendezvous.
    static let othersLimit = 20
    /// Of which the best counts.
    static let runs = 5

    static func main() throws {
        LocalJob.bindToLauncher()
        guard let count = AllocationCount() else { try fail("start it with the library that counts: Tests/end-to-end/allocations") }
        let isTraining = CommandLine.arguments.last == "training"
        let numbers = CommandLine.arguments.dropFirst().dropLast(isTraining ? 1 : 0).map { Int($0) ?? 0 }
        guard 1...3 ~= numbers.count, numbers.allSatisfy({ $0 > 0 }) else {
            try fail("usage: allocation-check RANKS [OPERATIONS [MACHINES] | training]")
        }
        let ranks = numbers[0]
        if ranks > 1, !LocalJob.isRank { exit(try LocalJob.run(ranks: ranks, nodes: numbers.count > 2 ? numbers[2] : 1)) }
        let communicator = try Communicator.join(Configuration())
        let isRight =
            isTraining
            ? try TrainingCheck.measureAll(communicator, count)
            : try measureAll(communicator, count, operations: numbers.count > 1 ? numbers[1] : maxOperations)
        try communicator.close()
        exit(isRight ? 0 : 1)
    }

    private static func fail(_ message: String) throws -> Never {
        FileHandle.standardError.write(Data("allocation-check: \(message)\n".utf8))
        exit(2)
    }

    private static func measureAll(_ communicator: Communicator, _ count: AllocationCount, operations: Int) throws -> Bool {
        let ranks = communicator.worldSize
        var isRight = true
        for size in operations < maxOperations ? [1, 1_000] : [1, 1_000, 100_000] {
            let input = try communicator.allocate(Float.self, count: ranks * size)
            let output = try communicator.allocate(Float.self, count: ranks * size)
            let collectives: [Collective] = [
                .allReduce, .reduceScatter, .allGather, .allToAll, .broadcast(root: 0), .reduce(root: 0), .gather(root: 0),
                .scatter(root: 0), .barrier,
            ]
            for collective in collectives {
                let name = "\(collective) of \(size)"
                isRight =
                    try measure("\(name), blocking", limit: 0, communicator, count, operations) {
                        try communicator.perform(collective, input, into: output, count: size)
                    } && isRight
                // One object for what is under way.
                isRight =
                    try measure("\(name), started", limit: 1, communicator, count, operations) {
                        try communicator.start(collective, input, into: output, count: size).wait()
                    } && isRight
            }
            guard ranks > 1 else { continue }
            let (right, left) = ((communicator.rank + 1) % ranks, (communicator.rank + ranks - 1) % ranks)
            isRight =
                try measure("transfer of \(size), started and blocking", limit: 1, communicator, count, operations) {
                    let receive = try communicator.startReceive(output, count: size, from: left)
                    try communicator.send(input, count: size, to: right)
                    try receive.wait()
                } && isRight
        }
        return isRight
    }

    /// - Returns: whether no rank allocated more often than `limit` times an operation.
    private static func measure(
        _ name: String, limit: Int, _ communicator: Communicator, _ count: AllocationCount, _ operations: Int,
        _ operation: () throws -> Void
    ) throws -> Bool {
        for _ in 0..<20 { try operation() }
        var all: [Int] = []
        var isRight = false
        // A sign of life is some 70 allocations at once, an operation's own come in every run.
        for _ in 0..<runs where !isRight {
            try communicator.barrier()
            let before = count.now
            for _ in 0..<operations { try operation() }
            let own = count.now - before
            all = try communicator.allGather(Array("\(own)".utf8), label: "allocations").map {
                Int(String(decoding: $0, as: UTF8.self)) ?? .max
            }
            isRight = all.allSatisfy { $0 <= limit * operations + othersLimit }
        }
        if communicator.rank == 0 {
            let figures = all.map(String.init).joined(separator: " ")
            print("\(isRight ? "right" : "WRONG") \(name): \(figures) allocations in \(operations) operations, at most \(limit) each")
        }
        return isRight
    }
}

/// The preloaded library's counter.
struct AllocationCount {
    private let read: @convention(c) () -> Int

    init?() {
        // SAFETY: a null handle stands for the whole program; the symbol is the library's `long allocation_count(void)`, and stays loaded.
        guard let symbol = unsafe dlsym(nil, "allocation_count") else { return nil }
        read = unsafe unsafeBitCast(symbol, to: (@convention(c) () -> Int).self)
    }

    var now: Int { read() }
}
