import Collectives
import Testing

@testable import SimulatedFabric
@testable import Simulation

/// Worlds that are a burst of small operations: that they are drawn, and leave all other worlds as they were.
@Suite struct BurstTests {
    /// A world drawn with the others, and what it would be without bursts.
    private static func isBurst(_ scenario: Scenario) -> Bool {
        scenario.program.operations.count >= 10
            && scenario.program.operations.allSatisfy {
                $0.count <= 7 && $0.algorithm.map { [.oneShot, .bruck, .recursiveDoubling].contains($0) } ?? false
            }
    }

    @Test func oneWorldInTwelveIsABurst() {
        let several = (UInt64(1)...600).map { Scenario(seed: $0, limits: Limits()) }.filter { $0.worldSize > 2 }
        let bursts = several.filter(Self.isBurst)
        #expect(several.count / 24 < bursts.count && bursts.count < several.count / 6, "\(bursts.count) of \(several.count)")
        #expect(bursts.contains { $0.world.completionDelayNanoseconds >= 2_000_000 && !$0.world.writesCompleteAtOnce })
        #expect(bursts.allSatisfy { $0.program.paceNanoseconds <= 1000 && !$0.program.isBlocking })
    }

    /// Faults of a burst's world are about what is submitted there, and what is left out leaves the rest as it was.
    @Test func aShorterBurstKeepsItsOtherOperations() throws {
        let whole = try #require(
            (UInt64(1)...2000).lazy.map { Scenario(seed: $0, limits: Limits()) }.first {
                guard Self.isBurst($0), case .operation = $0.program.disagreement else { return false }
                return true
            })
        guard case .operation(_, let number) = whole.program.disagreement else { return }
        #expect(whole.program.noticedOperations.contains(number))
        let kept = whole.program.operations.suffix(3)
        let shorter = Scenario(seed: whole.seed, limits: Limits(operations: Set(kept.map(\.number)), keptFaults: []))
        #expect(shorter.program.operations.map { "\($0)" } == kept.map { "\($0)" })
        #expect(Scenario(seed: whole.seed, limits: Limits(isCalm: true)).world.completionDelayNanoseconds == 0)
        #expect(Scenario(seed: whole.seed, limits: Limits(halvings: 3)).program.operations.allSatisfy { $0.count == 0 })
    }
}
