internal import Collectives
internal import Reduction
internal import SimulatedFabric

// Worlds in which small operations follow each other faster than their writes complete.
extension Scenario {
    /// One world in so many.
    private static let rarity = 12

    /// Replaces the world's operations. A lane ends a small operation before its writes have completed, so that it takes several in a row on
    /// each lane, and completions later than all of them, to see whether the one comes in the other's way.
    /// - Returns: whether it has become such a world.
    mutating func drawBurst(_ random: inout SeededRandom, limits: Limits) -> Bool {
        let isDrawn = random.below(Self.rarity) == 0
        let delay = UInt64(random.pick([200_000, 2_000_000, 10_000_000]))
        let pace = random.pick([0, 0, 1000])
        guard isDrawn else { return false }
        program.paceNanoseconds = pace
        program.isBlocking = false
        if !limits.isCalm { world.completionDelayNanoseconds = delay }
        program.drawSmallOperations(&random, limits: limits)
        return true
    }
}

extension Program {
    private static let smallOperations = 10...24
    private static let smallCounts = 1...7

    fileprivate mutating func drawSmallOperations(_ random: inout SeededRandom, limits: Limits) {
        operations = []
        for number in 0..<random.within(Self.smallOperations) {
            var draw = SeededRandom(seed: random.next())
            let operation = small(number, &draw, halvings: limits.halvings)
            if limits.operations?.contains(number) ?? true { operations.append(operation) }
        }
    }

    private func small(_ number: Int, _ random: inout SeededRandom, halvings: Int) -> Planned {
        let collective: Collective = random.pick([
            .allReduce, .allReduce, .allReduce, .allReduce, .allGather, .reduceScatter, .allToAll, .barrier,
        ])
        let type = random.pick(ElementType.allCases)
        let reduction = random.pick(ReductionOperation.allCases)
        let count = random.within(Self.smallCounts) >> halvings
        let eager = settings.algorithms(for: collective, byteCount: count * type.byteCount).filter(\.isEager)
        let wish = random.below(1 << 20)
        let isInPlace = random.chance(perMille: 500)
        let isExact = type.isInteger || random.chance(perMille: 700)
        return Planned(
            number: number, kind: .collective(collective), type: type, reduction: reduction, count: count, isInPlace: isInPlace,
            algorithm: eager.isEmpty ? nil : eager[wish % eager.count], place: number, isExact: isExact)
    }
}
