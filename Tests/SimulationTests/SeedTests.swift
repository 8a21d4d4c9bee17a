import Collectives
import Foundation
import Synchronization
import Testing

@testable import Simulation

/// Random worlds through the real collectives, as `verbena simulate check` runs them.
@Suite struct SeedTests {
    /// Seeds that found a fault of the engine once, with what it was. What they draw changes when the draws do; they are kept for what they are then.
    static let regressions: [UInt64] = [
        14,  // A tree took parts larger than a slot.
        17, 40, 74,  // A reduce-scatter's second round fell on slots that were not read yet.
        34, 44,  // A node's sum replaced a slot that writes still read.
        37,  // A rank encoded into a slot again before its write from there had completed.
        9446, 15149, 89788,  // A Compressed without elements sent nothing, so that nobody noticed who did something else.
        9407,  // RecursiveDoubling sent nothing of an empty buffer, so that nobody noticed who did something else.
        20783,  // The world's: a rank that trained and had no operation of its own waited for a peer to begin, also for one that had died.
    ]

    @Test(arguments: regressions) func staysMended(seed: UInt64) {
        for limits in [Limits(), Limits(groups: [], hasManyChannels: false)] {
            let report = Job.report(seed: seed, limits: limits)
            #expect(report.finding == nil, "seed \(seed) \(limits.shortenings): \(report.finding.map { "\($0)" } ?? "")")
        }
    }

    @Test func fixedSeedsAreClean() {
        let check = SimulationCheck(ranks: nil, faults: "all", shortenings: "")
        let summary = check?.run(seeds: 1000...1150, threads: 2)
        #expect(summary?.failing == [], "verbena simulate check --seeds 1000..1150")
        #expect((summary?.operations ?? 0) > 1000 && (summary?.failedRanks ?? 0) > 0)
    }

    /// Other seeds each time. They are in the log before they run, so that they are known also of a run that was green, or that a trap ended.
    @Test func freshSeedsAreClean() throws {
        let first = UInt64.random(in: 1_000_000..<1_000_000_000)
        try FileHandle.standardError.write(contentsOf: Data("fresh seeds: verbena simulate check --seeds \(first)..\(first + 100)\n".utf8))
        let check = SimulationCheck(ranks: nil, faults: "all", shortenings: "")
        let summary = check?.run(seeds: first...first + 100, threads: 2)
        #expect(summary?.failing == [], "verbena simulate check --seeds \(first)..\(first + 100)")
    }

    @Test func eachSeedIsNamedOnceAsItBegins() {
        let named = Mutex<[UInt64]>([])
        let check = SimulationCheck(limits: Limits(ranks: 2, faults: []))
        let summary = check.run(seeds: 5...9, threads: 1) { seed in named.withLock { $0.append(seed) } }
        #expect(named.withLock { $0 } == [5, 6, 7, 8, 9] && summary.seeds == 5)
    }

    @Test func sameSeedSameEvents() {
        #expect((UInt64(200)...UInt64(220)).contains { Scenario(seed: $0, limits: Limits()).groups.count > 1 })
        for seed in UInt64(200)...UInt64(220) {
            let (first, second) = (Job.report(seed: seed, limits: Limits()), Job.report(seed: seed, limits: Limits()))
            #expect(first.tally.fingerprint == second.tally.fingerprint && first.tally.events == second.tally.events)
            let other = Job.report(seed: seed + 1000, limits: Limits())
            #expect(other.tally.fingerprint != first.tally.fingerprint)
        }
    }

    @Test func shorteningsSurviveTheCommandLine() {
        let limits = Limits(
            ranks: 3, groups: [4, 1], operations: [5, 102], keptFaults: [], hasTraining: false, hasManyChannels: false, hasStripes: false,
            halvings: 2,
            isCalm: true)
        #expect(Self.read(limits.shortenings) == limits)
        #expect(Limits(groups: []).shortenings == "no-groups" && Self.read("no-groups") == Limits(groups: []))
        #expect(Self.read("") == Limits() && Limits().shortenings == "")
        for bad in ["x", "ranks", "ranks=0", "ranks=x", "calm=1", "halvings=-1", "operations=1+x", "groups=", "no-groups=1"] {
            #expect(Self.read(bad) == nil, "\(bad)")
        }
    }

    private static func read(_ text: String) -> Limits? {
        var limits = Limits()
        return limits.shorten(text) ? limits : nil
    }
}

#if DEBUG
    /// The checks can fail: each deliberate fault of the protocol is found within so many seeds.
    @Suite struct MutationTests {
        static let maxSeeds: UInt64 = 300

        @Test(arguments: Mutation.allCases) func isFound(mutation: Mutation) {
            let limits = Limits(mutation: mutation.rawValue)
            let found = (1...Self.maxSeeds).first { Job.report(seed: $0, limits: limits).finding != nil }
            #expect(found != nil, "\(mutation) passes \(Self.maxSeeds) seeds")
        }

        /// Of a trainer's exchange.
        @Test(arguments: TrainingMutation.allCases) func isFound(mutation: TrainingMutation) {
            let limits = Limits(faults: [], mutation: mutation.rawValue)
            let found = (1...2 * Self.maxSeeds).first { Job.report(seed: $0, limits: limits).finding != nil }
            #expect(found != nil, "\(mutation) passes \(2 * Self.maxSeeds) seeds")
        }

        /// The shortest world that still fails, and its last events.
        @Test func aFailingSeedIsToldTheSameAgain() {
            let limits = Limits(mutation: Mutation.earlyRelease.rawValue)
            let told = (0..<2).map { _ in
                let shorter = Shrinking(seed: 3, limits: limits, report: Job.report(seed: 3, limits: limits))
                return "\(shorter.limits.shortenings) \(String(describing: shorter.report.finding)) \(shorter.report.finding?.trace ?? [])"
            }
            #expect(told[0] == told[1] && told[0].contains("write"))
        }

        /// Where ranks disagree, the network still looks at what a rank does with its own memory.
        @Test func isFoundByTheNetworkWhereRanksDisagree() {
            let limits = Limits(faults: [.disagreement], mutation: Mutation.earlyRelease.rawValue)
            let found = (1...Self.maxSeeds).first {
                Scenario(seed: $0, limits: limits).hasDisagreement && Job.report(seed: $0, limits: limits).finding?.kind == .broken
            }
            #expect(found != nil)
        }

        /// A flipped bit, which no part of the protocol looks for, does not escape the oracle.
        @Test func aFlippedBitIsSeen() throws {
            var wrong = 0
            for seed in UInt64(1)...20 {
                var scenario = Scenario(seed: seed, limits: Limits(faults: []))
                scenario.faults = [.init(.flippedBit, rank: 0, atNanoseconds: 1)]
                do {
                    _ = try Job(scenario).run()
                } catch let finding as Finding where finding.kind == .wrongResult {
                    wrong += 1
                } catch {}
            }
            #expect(wrong > 5)
        }
    }
#endif
