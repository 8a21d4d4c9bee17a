import Collectives
import Testing

@testable import SimulatedFabric
@testable import Simulation

/// Groups of ranks beside the world: that they are drawn, run, checked, and end with it.
@Suite struct GroupTests {
    /// Seeds with groups, and nothing but what these do.
    private static func groupsAlone(_ seeds: ClosedRange<UInt64>, faults: Set<FaultKind> = []) -> [Scenario] {
        seeds.compactMap { seed in
            var scenario = Scenario(seed: seed, limits: Limits(faults: faults, hasTraining: false))
            scenario.program.operations = []
            return scenario.groups.contains { $0.worldSize > 1 } ? scenario : nil
        }
    }

    private static func finding(_ scenario: Scenario) throws -> Finding? {
        do {
            _ = try Job(scenario).run()
            return nil
        } catch let finding as Finding {
            return finding
        }
    }

    @Test func manyKindsAreDrawn() {
        let scenarios = (UInt64(1)...300).map { Scenario(seed: $0, limits: Limits()) }
        let groups = scenarios.flatMap { scenario in scenario.groups.map { (world: scenario.worldSize, $0) } }
        #expect(groups.contains { $0.1.worldSize == $0.world } && groups.contains { $0.1.worldSize > 1 && $0.1.worldSize < $0.world })
        #expect(groups.contains { $0.1.members != $0.1.members.sorted() })
        #expect(groups.contains { $0.1.training != nil } && groups.contains { $0.1.disagreement != nil })
        #expect(scenarios.contains { $0.groups.isEmpty } && scenarios.contains { $0.groups.count > 4 })
        for scenario in scenarios {
            let numbers = scenario.programs.flatMap { $0.operations.map(\.number) }
            #expect(Set(numbers).count == numbers.count)
        }
    }

    /// What is left out leaves the rest as it was.
    @Test func aShorterWorldKeepsItsOtherGroups() throws {
        let seed = try #require((UInt64(1)...300).first { Scenario(seed: $0, limits: Limits()).groups.count > 2 })
        let whole = Scenario(seed: seed, limits: Limits())
        let kept = try #require(whole.groups[1].group)
        let shorter = Scenario(seed: seed, limits: Limits(groups: [kept]))
        #expect(shorter.groups.map { "\($0)" } == ["\(whole.groups[1])"] && "\(shorter.program)" == "\(whole.program)")
        #expect(Scenario(seed: seed, limits: Limits(groups: [])).groups.isEmpty)
    }

    @Test func operationsOfGroupsAreCarriedOut() throws {
        for scenario in Self.groupsAlone(1...60) {
            let tally = try Job(scenario).run()
            let wanted = scenario.groups.reduce(0) { sum, group in
                sum + group.operations.reduce(0) { if case .pointToPoint = $1.kind { $0 + 2 } else { $0 + group.worldSize } }
            }
            #expect(tally.operations == wanted && tally.failures == 0)
        }
    }

    /// The oracle looks at groups as well.
    @Test func aFlippedBitIsSeen() throws {
        var wrong = 0
        for var scenario in Self.groupsAlone(1...60) {
            scenario.faults = [.init(.flippedBit, rank: 0, atNanoseconds: 1)]
            guard let finding = try Self.finding(scenario), finding.kind == .wrongResult, finding.detail.contains("of group") else {
                continue
            }
            wrong += 1
        }
        #expect(wrong > 3)
    }

    /// A death ends the executors of all groups, also of those that the dead rank was not in, with one verdict that blames it.
    @Test func aCrashEndsAllGroups() throws {
        var ended = 0
        for var scenario in Self.groupsAlone(1...200) {
            let victim = scenario.worldSize - 1
            // Nobody is done before.
            for index in scenario.groups.indices { scenario.groups[index].startNanoseconds = 100_000_000 }
            scenario.faults = [.init(.crash, rank: victim, atNanoseconds: 1000)]
            let job = try Job(scenario)
            _ = try job.run()
            for seat in job.seats where seat.host != victim && !seat.program.operations.isEmpty && seat.program.group != nil {
                #expect(job.blamed(by: seat) == victim, "seed \(scenario.seed): \(seat.name)")
                if !seat.program.members.contains(victim) { ended += 1 }
            }
        }
        #expect(ended > 3)
    }
}
