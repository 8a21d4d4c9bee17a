import Engine
import Testing

@testable import Simulation

/// The engine under callers' threads that a seed schedules: nothing is wrong, and each deliberate fault is found.
@Suite struct EngineSimulationTests {
    @Test func fixedSeeds() {
        let summary = EngineCheck().run(seeds: 1...300, threads: 1)
        #expect(summary.findings.isEmpty, "\(summary.findings)")
        #expect(summary.seeds == 300 && summary.calls > 2_000 && summary.failedCalls > 100)
    }

    /// A peer closes before a write to it arrives: closing does not wait for its bound.
    @Test func closesWithoutAnswer() { #expect(EngineCheck().run(seeds: 11_076...11_076, threads: 1).findings.isEmpty) }

    #if DEBUG
        /// The first seed that finds each.
        static let findings: [(EngineMutation, UInt64)] = [
            (.unreadMail, 7604), (.forgottenMail, 9), (.sleepingOwner, 3), (.missedRing, 1), (.unwokenWaiter, 3), (.endedTwice, 22),
            (.secondVerdict, 33), (.lonelyVerdict, 13), (.unreasonedStop, 238), (.hastyClose, 222), (.lateStart, 354), (.lateCall, 616),
            (.unmatchedKept, 3), (.undrainedEnd, 147), (.unheardStop, 3632), (.restingStop, 2003), (.unansweredCall, 82),
            (.countedPause, 130), (.missedTakeOver, 1976), (.lostStream, 56),
        ]

        @Test(arguments: findings) func findsDeliberateFault(mutation: EngineMutation, seed: UInt64) {
            let found = EngineCheck(mutation: mutation).run(seeds: seed...seed, threads: 1).findings
            #expect(!found.isEmpty, "\(mutation) is not found by seed \(seed)")
            // What a sound engine is blamed for as well is no proof.
            #expect(EngineCheck().run(seeds: seed...seed, threads: 1).findings.isEmpty, "seed \(seed) is found without \(mutation), too")
        }

        @Test func everyDeliberateFaultHasASeed() { #expect(Set(Self.findings.map(\.0)) == Set(EngineMutation.allCases)) }
    #endif
}
