import Testing
import Verbena

/// Collectives whose blocks differ in size, through the public face.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct UnevenCountsTests {
    /// How many elements a rank has for another: all zero, some zero, of more than one chunk.
    private static func matrix(_ ranks: Int, _ kind: Int) -> [[Int]] {
        (0..<ranks).map { from in
            (0..<ranks).map { to in kind == 0 ? 0 : (from * 7 + to * 3) % 5 * (kind == 1 ? 11 : 30_000) }
        }
    }

    private static func starts(_ counts: [Int]) -> [Int] { counts.reduce(into: [0]) { $0.append($0.last! + $1) } }

    /// Runs `call` on a filled input and compares what it leaves.
    private static func check(
        _ what: String, _ input: Buffer<Int64>, _ output: Buffer<Int64>, rank: Int, inputStart: Int = 0, inputCount: Int,
        outputStart: Int = 0, isInPlace: Bool = false, wanted: [Int64], _ call: () throws -> Void
    ) throws {
        unsafe input.elements.update(repeating: Exercise.untouched)
        unsafe output.elements.update(repeating: Exercise.untouched)
        for index in 0..<inputCount { unsafe input.elements[inputStart + index] = Exercise.value(rank, index) }
        try call()
        for (index, value) in wanted.enumerated() where unsafe output.elements[outputStart + index] != value {
            throw Wrong("\(what), rank \(rank): \(unsafe output.elements[outputStart + index]) at \(index), wanted \(value)")
        }
        if !isInPlace, outputStart + wanted.count < output.count {
            guard unsafe output.elements[outputStart + wanted.count] == Exercise.untouched else { throw Wrong("\(what) wrote too much") }
        }
    }

    private static func run(_ communicator: Communicator, _ kind: Int) throws {
        let (ranks, rank) = (communicator.worldSize, communicator.rank)
        let matrix = Self.matrix(ranks, kind)
        let (counts, sent, received) = (matrix[0], matrix[rank], matrix.map { $0[rank] })
        let total = matrix.map { row in row.reduce(0, +) }.max()! + matrix.indices.map { to in matrix.reduce(0) { $0 + $1[to] } }.max()!
        let input = try communicator.allocate(Int64.self, count: total + 1)
        let output = try communicator.allocate(Int64.self, count: total + 1)
        let own = starts(counts)[rank]
        let gathered = (0..<ranks).flatMap { from in (0..<counts[from]).map { Exercise.value(from, $0) } }
        let reduced = (0..<counts[rank]).map { index in (0..<ranks).reduce(0) { $0 + Exercise.value($1, own + index) } }
        let exchanged = (0..<ranks).flatMap { from in
            (0..<received[from]).map { Exercise.value(from, starts(matrix[from])[rank] + $0) }
        }
        let sum = counts.reduce(0, +)
        for isStarted in [false, true] {
            try check("allgather", input, output, rank: rank, inputCount: counts[rank], wanted: gathered) {
                if isStarted {
                    try communicator.startAllGather(input, into: output, counts: counts).wait()
                } else {
                    try communicator.allGather(input, into: output, counts: counts)
                }
            }
            try check(
                "allgather in place", input, input, rank: rank, inputStart: own, inputCount: counts[rank], isInPlace: true, wanted: gathered
            ) {
                if isStarted {
                    try communicator.startAllGather(input, counts: counts).wait()
                } else {
                    try communicator.allGather(input, counts: counts)
                }
            }
            try check("reduce-scatter", input, output, rank: rank, inputCount: sum, wanted: reduced) {
                if isStarted {
                    try communicator.startReduceScatter(input, into: output, counts: counts).wait()
                } else {
                    try communicator.reduceScatter(input, into: output, counts: counts)
                }
            }
            try check(
                "reduce-scatter in place", input, input, rank: rank, inputCount: sum, outputStart: own, isInPlace: true, wanted: reduced
            ) {
                if isStarted {
                    try communicator.startReduceScatter(input, counts: counts).wait()
                } else {
                    try communicator.reduceScatter(input, counts: counts)
                }
            }
            try check("all-to-all", input, output, rank: rank, inputCount: sent.reduce(0, +), wanted: exchanged) {
                if isStarted {
                    try communicator.startAllToAll(input, into: output, sendCounts: sent, receiveCounts: received).wait()
                } else {
                    try communicator.allToAll(input, into: output, sendCounts: sent, receiveCounts: received)
                }
            }
        }
    }

    @Test(arguments: Fabrics.available, [1, 2, 3, 5])
    func everyCollective(fabric: FabricChoice, ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            for kind in 0..<3 { try Self.run(communicator, kind) }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Others come between them and at the same time; counts change from call to call.
    @Test(arguments: Fabrics.available) func theyMixWithOthers(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let rank = communicator.rank
            let (input, output) = (try communicator.allocate(Int64.self, count: 600), try communicator.allocate(Int64.self, count: 600))
            let sums = try (0..<3).map { _ in try communicator.allocate(Int64.self, count: 5_000) }
            for round in 0..<60 {
                for index in 0..<600 { unsafe input.elements[index] = Exercise.value(rank, index + round) }
                for sum in sums { unsafe sum.elements.update(repeating: Int64(round)) }
                let matrix = (0..<3).map { from in (0..<3).map { (from * 5 + $0 * 7 + round * 3) % 60 } }
                let pending = try sums.map { try communicator.start(.allReduce, $0, count: 5_000) }
                let received = matrix.map { $0[rank] }
                let exchange = try communicator.startAllToAll(input, into: output, sendCounts: matrix[rank], receiveCounts: received)
                try communicator.barrier()
                for request in pending + [exchange] { try request.wait() }
                for sum in sums where unsafe sum.elements[4_999] != Int64(3 * round) { throw Wrong("round \(round): a wrong sum") }
                for from in 0..<3 {
                    for index in 0..<received[from] {
                        let value = unsafe output.elements[Self.starts(received)[from] + index]
                        guard value == Exercise.value(from, Self.starts(matrix[from])[rank] + index + round) else {
                            throw Wrong("round \(round): \(value) from \(from) at \(index)")
                        }
                    }
                }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// Rank 0 sends more to rank 1 than that one expects.
    @Test(arguments: Fabrics.available) func ranksThatDisagreeGetAVerdict(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(2, fabric: fabric) { communicator in
            let (input, output) = (try communicator.allocate(Float.self, count: 20), try communicator.allocate(Float.self, count: 20))
            try communicator.allToAll(
                input, into: output, sendCounts: communicator.rank == 0 ? [1, 4] : [2, 5],
                receiveCounts: communicator.rank == 0 ? [1, 2] : [3, 5])
        }
        for outcome in outcomes {
            let error = #expect(throws: VerbenaError.self) { try outcome.get() }
            #expect(error?.cause == .disagreed)
            #expect(error?.message.contains("expects 3 elements from rank 0, which sends 4") == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("all-to-all #") == true)
        }
        // Lists that all ranks must share are part of what an operation is.
        let others = LocalRanks.run(2, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(Float.self, count: 20)
            try communicator.allGather(buffer, counts: [3, 4 + communicator.rank])
        }
        for outcome in others { #expect(throws: VerbenaError.self) { try outcome.get() } }
    }

    @Test func wrongCountsAreRefused() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let (buffer, small) = (try communicator.allocate(Int64.self, count: 10), try communicator.allocate(Int64.self, count: 1))
            let own = communicator.rank
            let calls: [(words: [String], call: () throws -> Void)] = [
                (["allgather", "3 counts", "each of 2 ranks"], { try communicator.allGather(buffer, counts: [1, 2, 3]) }),
                (["allgather", "count for rank 1 is -4"], { try communicator.allGather(buffer, counts: [1, -4]) }),
                (["allgather", "11 elements", "has 10"], { try communicator.allGather(buffer, into: buffer, counts: [11, 0]) }),
                (["reduce-scatter", "reads 12", "input has 10"], { try communicator.reduceScatter(buffer, into: small, counts: [6, 6]) }),
                (["reduce-scatter", "elements"], { _ = try communicator.startReduceScatter(buffer, counts: [.max, 1]) }),
                (
                    ["all-to-all", "itself"],
                    {
                        let received = own == 0 ? [2, 1] : [1, 2]
                        try communicator.allToAll(buffer, into: small, sendCounts: [1, 1], receiveCounts: received)
                    }
                ),
                (
                    ["all-to-all", "cannot be in place"],
                    { _ = try communicator.startAllToAll(buffer, into: buffer, sendCounts: [1, 1], receiveCounts: [1, 1]) }
                ),
                (
                    ["all-to-all", "1 receive counts"],
                    { try communicator.allToAll(buffer, into: small, sendCounts: [1, 1], receiveCounts: [1]) }
                ),
                (
                    ["all-to-all", "writes 2", "output has 1"],
                    { try communicator.allToAll(buffer, into: small, sendCounts: [1, 1], receiveCounts: [1, 1]) }
                ),
            ]
            for (words, call) in calls { try expectRefusal(words, call) }
            // Nothing was begun by any of them.
            try communicator.allGather(buffer, counts: [5, 5])
        }
        for outcome in outcomes { _ = try outcome.get() }
    }
}
