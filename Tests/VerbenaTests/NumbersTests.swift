import Testing
import Verbena

/// What docs/NUMBERS.md says, on every fabric that this machine has and by every algorithm that can be asked for.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct NumbersTests {
    /// An allreduce of some value a rank, by the size's own algorithm and then by all: each result must be right.
    private static func allReduce<E: Element & Equatable>(
        _ communicator: Communicator, count: Int, _ reduction: ReductionOperation, _ value: (Int) -> E, _ isRight: (E) -> Bool
    ) throws {
        let buffer = try communicator.allocate(E.self, count: count)
        let possible = communicator.algorithms(for: .allReduce, byteCount: count * E.elementType.byteCount)
        for algorithm in [nil] + possible.map(Optional.some) {
            unsafe buffer.elements.update(repeating: value(communicator.rank))
            try communicator.perform(.allReduce, buffer, count: count, reduction, algorithm: algorithm)
            for place in [0, count / 3, count - 1] {
                let result = unsafe buffer.elements[place]
                guard isRight(result) else {
                    throw Wrong("\(reduction) of \(E.elementType) by \(algorithm?.rawValue ?? "size"): \(result) at \(place)")
                }
            }
        }
    }

    /// 4 ranks' 30000 in fp16: their sum is beyond 65504.
    @Test(arguments: Fabrics.available, [2, 4, 5]) func anAverageThatFitsIsRight(fabric: FabricChoice, ranks: Int) throws {
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            for count in [1, 5, ranks == 4 ? 200_000 : 5_000] {
                try Self.allReduce(communicator, count: count, .average, { _ in Float16(30_000) }, { $0 == 30_000 })
            }
            try Self.allReduce(communicator, count: 5, .average, { _ in Float(0x1.8p127) }, { $0 == 0x1.8p127 })
            try Self.allReduce(communicator, count: 5, .average, { _ in BFloat16(0x1.8p127) }, { $0 == BFloat16(0x1.8p127) })
            try Self.allReduce(communicator, count: 5, .average, { _ in -0x1.8p1023 }, { $0 == -0x1.8p1023 })
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func integersWrapBeforeTheyAreDivided(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(2, fabric: fabric) { communicator in
            try Self.allReduce(communicator, count: 100, .average, { _ in Int8(100) }, { $0 == -28 })
            try Self.allReduce(communicator, count: 100, .average, { _ in UInt8(200) }, { $0 == 72 })
            try Self.allReduce(communicator, count: 100, .average, { Int32(-3 * $0) }, { $0 == -1 })
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func aNaNAlwaysWinsAndMinusZeroIsLess(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(4, fabric: fabric) { communicator in
            for lost in 0..<4 {
                for reduction in ReductionOperation.allCases {
                    try Self.allReduce(
                        communicator, count: 50, reduction, { $0 == lost ? -Float.nan : Float($0) },
                        { $0.bitPattern == Float.nan.bitPattern })
                }
                try Self.allReduce(
                    communicator, count: 50, .minimum, { $0 == lost ? -0.0 : 0.0 }, { $0.bitPattern == (-0.0).bitPattern })
                try Self.allReduce(
                    communicator, count: 50, .maximum, { $0 == lost ? 0.0 : -0.0 }, { $0.bitPattern == (0.0).bitPattern })
            }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    @Test(arguments: Fabrics.available) func aRingRoundsAtEveryRank(fabric: FabricChoice) throws {
        // By the last rank's order, whose 256 comes first; in the other segments the ones meet before.
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            let buffer = try communicator.allocate(BFloat16.self, count: 3)
            var results: [String: BFloat16] = [:]
            for algorithm in communicator.algorithms(for: .allReduce, byteCount: 6) {
                unsafe buffer.elements.update(repeating: BFloat16(communicator.rank == 0 ? 256 : 1))
                try communicator.perform(.allReduce, buffer, count: 3, .sum, algorithm: algorithm)
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
