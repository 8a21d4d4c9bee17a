import ArgumentParser
import CommandLineSupport
internal import Platform
import Simulation

struct SimulateMembershipCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "membership",
        abstract: "Looks for faults of the control plane in random jobs.",
        discussion: """
            Each seed is a job of its own: ranks that join, gather, wait for each other, fail and leave, and a coordinator, with what goes wrong. A \
            failing seed is told with its last events and the command that shows it again.
            Exit status: 0 nothing found, 1 something found, 2 usage.
            """)

    @Option(parsing: .unconditional, help: "Seeds, as FROM..TO or one number.")
    var seeds: SeedRange

    @Option(parsing: .unconditional, help: "Jobs at a time. (default: one a core)")
    var threads: Int?

    func check() throws {
        if let threads, threads < 1 { throw ValidationError("--threads \(threads): give at least 1") }
    }

    func work() throws -> Int32 {
        let range = "seeds \(seeds.seeds.lowerBound)..\(seeds.seeds.upperBound)"
        try say(range)
        let check = MembershipCheck()
        let summary = check.run(seeds: seeds.seeds, threads: threads ?? UsableCores.count)
        for seed in summary.failing { try say(check.explain(seed: seed)) }
        try say(
            "\(range): \(summary.seeds) run, \(summary.verdicts) ended with a verdict, \(summary.events) events, "
                + "\(Int(summary.virtualSeconds)) s of virtual time, \(summary.failing.count) wrong")
        return summary.failing.isEmpty ? 0 : ExitStatus.failure
    }
}
