import Testing
import Verbena

/// What docs/NUMBERS.md says, on every fabric that this machine has and by every algorithm that can be asked for.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct NumbersTests {
    /// Runs an allreduce of some value a rank, by the size's own algorithm and then by all, and holds each result to be right.
    private func allReduce<E: Element & Equatable>(
        _ ranks: Int, _ fabric: FabricChoice, count: Int, _ reduction: ReductionOperation, _ value: @escaping @Sendable (Int) -> E,
        _ isRight: @escaping @Sendable (E) -> Bool
    ) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(E.self, count: count)
            let possible = communicator.algorithms(for: .allreduce, byteCount: count * E.elementType.byteCount)
            for algorithm in [nil] + possible.map(Optional.some) {
                unsafe buffer.elements.update(repeating: value(communicator.rank))
                try communicator.perform(.allreduce, buffer, count: count, reduction, algorithm: algorithm)
                for place in [0, count / 3, count - 1] {
                    let result = unsafe buffer.elements[place]
                    guard isRight(result) else {
                        throw Wrong("\(reduction) of \(E.elementType) by \(algorithm?.rawValue ?? "size"): \(result) at \(place)")
                    }
                }
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// 4 ranks' 30000 in fp16: their sum is beyond 65504.
    @Test(arguments: Fabrics.available, [1, 5, 200_000]) func anAverageThatFitsIsRight(fabric: FabricChoice, count: Int) throws {
        for ranks in [2, 3, 4, 5] {
            try allReduce(ranks, fabric, count: count, .average, { _ in Float16(30_000) }, { $0 == 30_000 })
        }
        try allReduce(
            4, fabric, count: count, .average, { Float(sign: .plus, exponent: 127, significand: 1 + Float($0 % 2) / 2) },
            { $0 == 0x1.4p127 })
        try allReduce(4, fabric, count: count, .average, { _ in BFloat16(0x1.8p127) }, { $0 == BFloat16(0x1.8p127) })
        try allReduce(3, fabric, count: count, .average, { _ in -0x1.8p1023 }, { $0 == -0x1.8p1023 })
    }

    @Test(arguments: Fabrics.available) func integersWrapBeforeTheyAreDivided(fabric: FabricChoice) throws {
        try allReduce(2, fabric, count: 100, .average, { _ in Int8(100) }, { $0 == -28 })
        try allReduce(4, fabric, count: 100, .average, { _ in UInt8(100) }, { $0 == 36 })
        try allReduce(4, fabric, count: 100, .average, { Int32(-$0) }, { $0 == -1 })
    }

    @Test(arguments: Fabrics.available) func aNaNAlwaysWinsAndMinusZeroIsLess(fabric: FabricChoice) throws {
        for lost in 0..<4 {
            for reduction in ReductionOperation.allCases {
                try allReduce(
                    4, fabric, count: 50, reduction, { $0 == lost ? -Float.nan : Float($0) }, { $0.bitPattern == Float.nan.bitPattern })
            }
            try allReduce(4, fabric, count: 50, .minimum, { $0 == lost ? -0.0 : 0.0 }, { $0.bitPattern == (-0.0).bitPattern })
            try allReduce(4, fabric, count: 50, .maximum, { $0 == lost ? 0.0 : -0.0 }, { $0.bitPattern == (0.0).bitPattern })
        }
    }

    @Test(arguments: Fabrics.available) func aRingRoundsAtEveryRank(fabric: FabricChoice) throws {
        // By the last rank's order, whose 256 comes first; in the other segments the ones meet before.
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(BFloat16.self, count: 3)
            var results: [String: BFloat16] = [:]
            for algorithm in communicator.algorithms(for: .allreduce, byteCount: 6) {
                unsafe buffer.elements.update(repeating: BFloat16(communicator.rank == 0 ? 256 : 1))
                try communicator.perform(.allreduce, buffer, count: 3, .sum, algorithm: algorithm)
                results[algorithm.rawValue] = unsafe buffer.elements[0]
            }
            return results
        }
        for outcome in outcomes {
            for (algorithm, result) in try outcome.get() {
                #expect(result == BFloat16(algorithm == "ring" ? 256 : 258), "\(algorithm)")
            }
        }
    }
}
