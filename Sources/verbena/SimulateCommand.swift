import ArgumentParser
import CommandLineSupport
import Foundation
internal import Platform
import Simulation
import Verbena

/// What needs no network: the engine's own code in virtual time.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Runs the engine's own code in virtual time: no network, any number of ranks, one seed decides all.",
        subcommands: [SimulateCheckCommand.self, SimulateEngineCommand.self, SimulateMembershipCommand.self, SimulateTimeCommand.self])
}

/// Seeds from and to, as `1..1000` or one number.
struct SeedRange: ExpressibleByArgument {
    var seeds: ClosedRange<UInt64>

    init?(argument: String) {
        let ends = argument.split(separator: ".", omittingEmptySubsequences: true).map { UInt64($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last, last < .max,
            ends.count == 1 || (ends.count == 2 && argument.contains(".."))
        else { return nil }
        seeds = first...last
    }
}

struct SimulateCheckCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Looks for faults of the protocol in random worlds.",
        discussion: """
            Each seed is a world of its own: ranks, machines, wires, collectives, types, sizes, algorithms, bucket plans, groups of ranks that work \
            beside the world, and what goes wrong. Results are held against a plain computation; every event against the contract. A failing seed is \
            told with the shortest world that still fails and the command that shows it again. If the engine traps, no report is left: run the \
            same seeds again with --each --threads 1, and the last one named is it.
            Exit status: 0 nothing found, 1 something found, 2 usage.
            """)

    @Option(parsing: .unconditional, help: "Seeds, as FROM..TO or one number.")
    var seeds: SeedRange

    @Option(parsing: .unconditional, help: "Ranks of every world. (default: 1 to 12, drawn)")
    var ranks: Int?

    @Option(help: "What may go wrong: none, all, or some of \(SimulationCheck.faultNames.joined(separator: ", ")), separated by commas.")
    var faults = "all"

    @Option(help: "What to leave out of the world, as a failure's last line says; no-groups for one without groups.")
    var shorten = ""

    @Option(parsing: .unconditional, help: "Worlds at a time. (default: one a core)")
    var threads: Int?

    @Flag(help: "Name each seed on standard error before its world begins.")
    var each = false

    func check() throws {
        if let ranks, !(1...64 ~= ranks) { throw ValidationError("--ranks \(ranks): give a number from 1 to 64") }
        if let threads, threads < 1 { throw ValidationError("--threads \(threads): give at least 1") }
        guard !faults.isEmpty, SimulationCheck(ranks: ranks, faults: faults, shortenings: "") != nil else {
            throw ValidationError("--faults \(faults): give none, all, or some of \(SimulationCheck.faultNames.joined(separator: ", "))")
        }
        guard SimulationCheck(ranks: ranks, faults: faults, shortenings: shorten) != nil else {
            throw ValidationError("--shorten \(shorten): give what a failure's last line says")
        }
    }

    func work() throws -> Int32 {
        guard let check = SimulationCheck(ranks: ranks, faults: faults, shortenings: shorten) else { return ExitStatus.usage }
        let range = "seeds \(seeds.seeds.lowerBound)..\(seeds.seeds.upperBound)"
        try say(range)
        let names = each
        let summary = check.run(seeds: seeds.seeds, threads: threads ?? UsableCores.count) { seed in
            // Not kept in a buffer: the process may end the next moment.
            if names { try? FileHandle.standardError.write(contentsOf: Data("seed \(seed)\n".utf8)) }
        }
        for seed in summary.failing { try say(check.explain(seed: seed, command: "verbena simulate check")) }
        try say(
            "\(range): \(summary.seeds) run, \(summary.operations) operations, "
                + "\(summary.events) events, \(summary.failedRanks) ranks failed as they should, "
                + "\(Int(summary.virtualSeconds)) s of virtual time, \(summary.failing.count) wrong")
        return summary.failing.isEmpty ? 0 : ExitStatus.failure
    }
}

struct SimulateTimeCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "time",
        abstract: "Says how long an allreduce takes on an ideal cluster, in virtual time.",
        discussion: """
            The engine's own schedule and state machine run for every rank, but no bytes move. One switch that never blocks, one NIC a rank. Beside it \
            stands what the formula for a ring without pipelining says. docs/SIMULATION.md tells how far to believe it.
            """)

    @Option(parsing: .unconditional, help: "Ranks.")
    var ranks = 8

    @Option(parsing: .unconditional, help: "Bytes of the buffer; suffixes K, M, G.")
    var bytes = ByteCount(100 << 20)

    @Option(
        parsing: .unconditional,
        help: "Ranks of each node; from 2 on they sum through its memory, and a ring for each runs between nodes.")
    var ranksPerNode = 1

    @Option(
        parsing: .unconditional,
        help: "ring or halving-doubling (a power of two of nodes). Default: what the engine takes for large buffers.")
    var algorithm: String?

    @Option(parsing: .unconditional, help: "Of a message between nodes, in microseconds.")
    var latency = 2.0

    @Option(parsing: .unconditional, help: "Of each direction of a NIC's cable, in GB/s.")
    var bandwidth = 12.5

    @Option(parsing: .unconditional, help: "Receive buffers of a rank: larger chunks, fewer events; suffixes K, M, G.")
    var receiveBuffers = ByteCount(64 << 20)

    func check() throws {
        guard 2...16_384 ~= ranks, ranksPerNode >= 1, ranks % ranksPerNode == 0, ranks / ranksPerNode > 1 else {
            throw ValidationError(
                "--ranks \(ranks), --ranks-per-node \(ranksPerNode): give 2 to 16384 ranks on at least two full nodes")
        }
        guard algorithm.map({ $0 == Algorithm.ring.rawValue || $0 == Algorithm.halvingDoubling.rawValue }) ?? true else {
            throw ValidationError("--algorithm \(algorithm ?? ""): give ring or halving-doubling")
        }
        let nodes = ranks / ranksPerNode
        guard algorithm != Algorithm.halvingDoubling.rawValue || nodes.nonzeroBitCount == 1 else {
            throw ValidationError("--algorithm halving-doubling: it takes 2, 4, 8, ... nodes, not \(nodes)")
        }
        guard 0...1e6 ~= latency else { throw ValidationError("--latency \(latency): give microseconds from 0 to 1000000") }
        // Virtual time is counted in whole nanoseconds.
        guard 1e-3...1e6 ~= bandwidth else { throw ValidationError("--bandwidth \(bandwidth): give GB/s from 0.001 to 1000000") }
        guard 4...(4 << 30) ~= bytes.value else { throw ValidationError("--bytes \(bytes.value): give 4 to 4G") }
        guard (1 << 20)...(4 << 30) ~= receiveBuffers.value else {
            throw ValidationError("--receive-buffers \(receiveBuffers.value): give 1M to 4G")
        }
    }

    func work() throws -> Int32 {
        var timed = TimedAllreduce(ranks: ranks, byteCount: bytes.value)
        timed.ranksPerNode = ranksPerNode
        timed.latencyNanoseconds = UInt64(latency * 1000)
        timed.bytesPerNanosecond = bandwidth
        timed.receiveBufferByteLimit = receiveBuffers.value
        timed.algorithm = algorithm.flatMap(Algorithm.init)
        let result = try timed.run()
        timed.algorithm = result.algorithm
        let cut =
            result.algorithm == .halvingDoubling
            ? "\(result.rounds) windows" : "\(result.chunks) chunks at a time in \(result.rounds) rounds"
        let microseconds = Double(result.virtualNanoseconds) / 1000
        try say(
            """
            \(ranks) ranks, \(ranksPerNode) a node, \(bytes.value) bytes, \(result.algorithm.rawValue): \(cut)
            virtual time \(Int(microseconds.rounded())) us; of ranks apart, without pipelining \(Int((timed.formulaNanoseconds / 1000).rounded())) us
            \(result.events) events
            """)
        return 0
    }
}
