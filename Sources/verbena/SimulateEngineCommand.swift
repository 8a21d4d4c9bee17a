import ArgumentParser
import CommandLineSupport
import Foundation
import Simulation

struct SimulateEngineCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Looks for faults of the engine: who drives it, wakes whom, and how everything ends.",
        discussion: """
            Each seed is a job of 2 or 3 ranks, each with several threads that call one engine or two, of which the seed lets one run at a time: \
            collectives, transfers, waits of several threads, closing in the middle, leaving, aborting, deaths, stalls and pauses.
            Exit status: 0 nothing found, 1 something found, 2 usage.
            """)

    @Option(parsing: .unconditional, help: "Seeds, as FROM..TO or one number.")
    var seeds: SeedRange

    @Option(parsing: .unconditional, help: "Worlds at a time.")
    var threads = 1

    @Flag(help: "Name each seed on standard error before its world begins.")
    var each = false

    func check() throws { if threads < 1 { throw ValidationError("--threads \(threads): give at least 1") } }

    func work() throws -> Int32 {
        let names = each
        let summary = EngineCheck().run(seeds: seeds.seeds, threads: threads) { seed in
            if names { try? FileHandle.standardError.write(contentsOf: Data("seed \(seed)\n".utf8)) }
        }
        for (seed, what) in summary.findings {
            try say("seed \(seed): \(what)\n    again: verbena simulate engine --seeds \(seed)")
        }
        try say(
            "seeds \(seeds.seeds.lowerBound)..\(seeds.seeds.upperBound): \(summary.seeds) run, \(summary.calls) calls, "
                + "\(summary.failedCalls) failed as they should, \(summary.switches) choices, \(summary.findings.count) wrong")
        return summary.findings.isEmpty ? 0 : ExitStatus.failure
    }
}
