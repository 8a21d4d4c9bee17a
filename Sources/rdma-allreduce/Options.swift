import ArgumentParser
import CommandLineSupport
import Verbena

/// What is measured.
struct SubjectOptions: ParsableArguments {
    @Option(help: "What is measured.")
    var collective = CollectiveKind.allReduce

    @Option(name: [.customShort("d", allowingJoined: true), .customLong("datatype")], help: "Element type.")
    var type = Choice.one(ElementType.float32)

    @Option(name: [.customShort("o", allowingJoined: true), .customLong("op")], help: "Reduction, where there is one.")
    var operation = Choice.one(ReductionOperation.sum)

    @Option(
        name: [.customShort("r", allowingJoined: true), .long], parsing: .unconditional,
        help: "Root, where there is one: a rank, or all of them in turn.")
    var root = RootChoice.rank(0)

    @Option(help: "Take this algorithm for every size instead of what the cost model chooses.")
    var algorithm: Algorithm?

    @Option(parsing: .unconditional, help: "Queue pairs to each neighbour.")
    var queuePairs: Int?
    /// The old spelling.
    @Option(parsing: .unconditional, help: .hidden)
    var lanes: Int?

    mutating func validate() throws {
        queuePairs = queuePairs ?? lanes
        if let queuePairs, !(1...64 ~= queuePairs) { throw ValidationError("--queue-pairs \(queuePairs): give a number from 1 to 64") }
    }

    /// What there is to measure one after the other; a barrier has neither type nor reduction.
    var types: [ElementType] { collective == .barrier ? [.float32] : type.values }
    var operations: [ReductionOperation] { collective.reduces ? operation.values : [.sum] }
    func roots(worldSize: Int) -> [Int] { collective.hasRoot ? root.roots(worldSize: worldSize) : [0] }
}

/// The sizes, as in nccl-tests.
struct SizeOptions: ParsableArguments {
    @Option(
        name: [.customShort("b", allowingJoined: true), .customLong("minbytes")], parsing: .unconditional,
        help: "Minimum size in bytes, such as 8, 64K, 0.5G or 1MiB.")
    var least = ByteCount(32 << 20)

    @Option(
        name: [.customShort("e", allowingJoined: true), .customLong("maxbytes")], parsing: .unconditional,
        help: "Maximum size in bytes. (default: 32M, or the minimum size if that is larger)")
    var most: ByteCount?

    @Option(
        name: [.customShort("i", allowingJoined: true), .customLong("stepbytes")], parsing: .unconditional,
        help: "Bytes from one size to the next.")
    var step = ByteCount(1 << 20)

    @Option(
        name: [.customShort("f", allowingJoined: true), .customLong("stepfactor")], parsing: .unconditional,
        help: "Factor from one size to the next, instead of a step; after 0 comes one element.")
    var factor: Int?

    mutating func validate() throws {
        if let factor, factor < 2 { throw ValidationError("-f \(factor): give a factor of at least 2, or a step with -i") }
        if factor == nil, step.value < 1 { throw ValidationError("-i 0: give a step of at least 1 byte") }
        if maxBytes < least.value { throw ValidationError("-e is less than -b; give -e at least \(least.value)") }
    }

    var maxBytes: Int { most?.value ?? max(least.value, 32 << 20) }
}

/// How it is measured, as in nccl-tests as far as they have it.
struct TimingOptions: ParsableArguments {
    @Option(
        name: [.customShort("n", allowingJoined: true), .customLong("iters")], parsing: .unconditional, help: "Timed iterations a size.")
    var iterations = 20

    @Option(
        name: [.customShort("w", allowingJoined: true), .customLong("warmup_iters")], parsing: .unconditional,
        help: "Iterations before the timed ones.")
    var warmups = 1

    @Option(
        name: [.customShort("m", allowingJoined: true), .customLong("agg_iters")], parsing: .unconditional,
        help: "Operations that are under way together in each iteration, each on a result buffer of its own; the time is that of one.")
    var aggregated = 1

    @Option(
        name: [.customShort("c", allowingJoined: true), .customLong("check")], parsing: .unconditional,
        help: "Checked iterations a size, untimed; 0 for none.")
    var checks = 1

    @Option(
        name: [.customShort("a", allowingJoined: true), .customLong("average")], parsing: .unconditional,
        help: "Whose time is shown: 0 rank 0's, 1 the average over ranks, 2 the minimum, 3 the maximum.")
    var timeOf = TimeOf.average

    @Option(
        name: [.customShort("N", allowingJoined: true), .customLong("run_cycles")], parsing: .unconditional,
        help: "How often all sizes are measured and printed; 0 for no end.")
    var cycles = 1

    @Option(
        name: [.customShort("K", allowingJoined: true), .customLong("per_iter_skip")], parsing: .unconditional,
        help: "With -I 1 or --percentiles: how many first iterations the figures leave out.")
    var skippedIterations = 0

    @Option(
        name: [.customShort("T", allowingJoined: true), .customLong("timeout")], parsing: .unconditional,
        help: "Seconds after which an operation that stands still ends the job; 0 for the usual 600.")
    var timeoutSeconds = 0

    @Flag(help: "Rewrite the input before each timed call, as backprop does; then a barrier. Neither is part of the time.")
    var dirty = false

    @Option(help: "Whose memory is exchanged: the engine's own, or memory that its caller has and registers, as frameworks do.")
    var buffers = BufferOwner.engine

    /// Of iterations: more than anybody waits for.
    private static let most = 1_000_000_000

    mutating func validate() throws {
        if !(1...Self.most ~= iterations) { throw ValidationError("-n \(iterations): give 1 to \(Self.most) timed iterations") }
        if !(0...Self.most ~= warmups) { throw ValidationError("-w \(warmups): give 0 to \(Self.most) iterations before the timed ones") }
        if !(1...64 ~= aggregated) { throw ValidationError("-m \(aggregated): give a number of operations from 1 to 64") }
        if cycles < 0 { throw ValidationError("-N \(cycles): give a number of cycles, or 0 for no end") }
        if !(0..<iterations ~= skippedIterations) {
            throw ValidationError("-K \(skippedIterations): give a number of iterations below the \(iterations) of -n")
        }
        if timeoutSeconds < 0 { throw ValidationError("-T \(timeoutSeconds): give seconds, or 0") }
        if !(0...Self.most ~= checks) { throw ValidationError("-c \(checks): give 0 to \(Self.most) checked iterations") }
    }
}

/// What is reported besides the table of nccl-tests. Every further table stands in comment lines, after the first one.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Also minimum, median, 95th, 99th percentile and maximum of the times of the iterations, each that of its slowest rank.")
    var percentiles = false

    @Flag(help: "Also what the cost model chose for each size and why, its prediction beside the measurement, and the memory it takes.")
    var explain = false

    @Flag(help: "Also how much of an asynchronous operation hides behind computation, in the columns of the OSU micro-benchmarks.")
    var overlap = false

    @Flag(help: "Also which rank keeps the others waiting and by how much; rewrites the input as --dirty does.")
    var stragglers = false

    @Flag(help: "Also how many 8-byte writes a second each rank and core makes.")
    var messageRate = false

    @Option(
        name: [.customShort("S"), .customLong("report_timestamps")], defaultAsFlag: 1,
        help: "1, or no value: a last column with the local time of each line.")
    var timestampColumn: Int?

    @Option(
        name: [.customShort("J", allowingJoined: true), .customLong("json"), .customLong("output"), .customLong("output_file")],
        help: "Also write configuration and results to this file, as JSON.")
    var json: String?

    @Option(
        name: [.customShort("I", allowingJoined: true), .customLong("per_iter_timing")], parsing: .unconditional,
        help:
            "1: times each iteration by itself, and columns with the minimum, maximum, 99th percentile and variation of these times."
    )
    var iterationColumns = ZeroOrOne.zero

    @Option(
        name: [.customShort("M", allowingJoined: true), .customLong("memory")], parsing: .unconditional,
        help: "1: also the memory that is taken, as with --explain.")
    var memory = ZeroOrOne.zero

    @Option(help: "Also draw bus bandwidth over size into this file, as SVG.")
    var plot: String?

    @Option(help: "Also write what the cost model chooses by into this file, for VERBENA_COSTS: the same choices without measuring anew.")
    var saveCosts: String?

    mutating func validate() throws {
        if let timestampColumn, !(0...1 ~= timestampColumn) { throw ValidationError("-S \(timestampColumn): give 0 or 1") }
    }

    var timestamps: Bool { timestampColumn == 1 }
    var showsIterations: Bool { iterationColumns == .one }
    var wantsIterations: Bool { showsIterations || percentiles }
    var wantsMemory: Bool { explain || memory == .one }
}
