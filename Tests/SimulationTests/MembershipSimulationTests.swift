import Foundation
import Membership
import Testing

@testable import Simulation

/// Random jobs of the control plane, as `verbena simulate membership` runs them.
@Suite struct MembershipSimulationTests {
    @Test func fixedSeedsAreClean() {
        let summary = MembershipCheck().run(seeds: 1...1000, threads: 2)
        #expect(summary.failing == [], "\(summary.failing.map(MembershipCheck().explain))")
        #expect(summary.seeds == 1000 && (100...900).contains(summary.verdicts))
    }

    /// Other seeds each time. They are in the log before they run.
    @Test func freshSeedsAreClean() throws {
        let first = UInt64.random(in: 1_000_000..<1_000_000_000)
        let range = "\(first)..\(first + 500)"
        try FileHandle.standardError.write(contentsOf: Data("fresh seeds: verbena simulate membership --seeds \(range)\n".utf8))
        let summary = MembershipCheck().run(seeds: first...first + 500, threads: 2)
        #expect(summary.failing == [], "\(summary.failing.map(MembershipCheck().explain))")
    }

    @Test func sameSeedSameEvents() {
        for seed in UInt64(1)...20 {
            let (one, two) = (MembershipWorld(seed: seed), MembershipWorld(seed: seed))
            (one.isTraced, two.isTraced) = (true, true)
            #expect(one.run() == two.run() && one.trace == two.trace && one.eventsRun == two.eventsRun)
        }
    }
}

#if DEBUG
    /// The checks can fail: each deliberate fault of the control plane is found within so many seeds.
    @Suite struct MembershipMutationTests {
        static let maxSeeds: UInt64 = 5000

        @Test(arguments: MembershipMutation.allCases) func isFound(mutation: MembershipMutation) {
            var check = MembershipCheck()
            check.mutation = mutation
            let found = (1...Self.maxSeeds).first { check.finding(seed: $0) != nil }
            #expect(found != nil, "\(mutation) passes \(Self.maxSeeds) seeds")
            if ProcessInfo.processInfo.environment["MEMBERSHIP_TABLE"] != nil, let found {
                print("| \(mutation) | \(found) | \(check.finding(seed: found) ?? "") |")
            }
        }
    }
#endif
