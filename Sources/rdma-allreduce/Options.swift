import ArgumentParser
import CommandLineSupport
import Verbena

/// What is measured.
struct SubjectOptions: ParsableArguments {
    @Option(help: "What is measured.")
    var collective = Only(CollectiveKind.allreduce)

    @Option(name: [.customShort("d"), .customLong("datatype")], help: "Element type.")
    var type = Choice.one(ElementType.float32)

    @Option(name: [.customShort("o"), .customLong("op")], help: "Reduction, where there is one.")
    var operation = Choice.one(ReductionOperation.sum)

    @Option(name: [.short, .long], parsing: .unconditional, help: "Root, where there is one: a rank, or all of them in turn.")
    var root = RootChoice.rank(0)

    @Option(help: "Take this algorithm for every size instead of what the cost model chooses.")
    var algorithm: Only<Algorithm>?

    @Option(parsing: .unconditional, help: "Lanes (queue pairs) to each neighbour.")
    var lanes: Int?

    mutating func validate() throws {
        if let lanes, !(1...64 ~= lanes) { throw ValidationError("--lanes \(lanes): give a number from 1 to 64") }
    }

    /// What there is to measure one after the other; a barrier has neither type nor reduction.
    var types: [ElementType] { collective.value == .barrier ? [.float32] : type.values }
    var operations: [ReductionOperation] { collective.value.reduces ? operation.values : [.sum] }
    func roots(worldSize: Int) -> [Int] { collective.value.hasRoot ? root.roots(worldSize: worldSize) : [0] }
}

/// The sizes, as in nccl-tests.
struct SizeOptions: ParsableArguments {
    @Option(
        name: [.customShort("b"), .customLong("minbytes")], parsing: .unconditional, help: "Least size in bytes, such as 8, 64K or 32M.")
    var least = ByteCount(32 << 20)

    @Option(
        name: [.customShort("e"), .customLong("maxbytes")], parsing: .unconditional,
        help: "Most size in bytes. (default: 32M, or the least size if that is larger)")
    var most: ByteCount?

    @Option(name: [.customShort("i"), .customLong("stepbytes")], parsing: .unconditional, help: "Bytes from one size to the next.")
    var step = ByteCount(1 << 20)

    @Option(
        name: [.customShort("f"), .customLong("stepfactor")], parsing: .unconditional,
        help: "Factor from one size to the next, instead of a step; after 0 comes one element.")
    var factor: Int?

    mutating func validate() throws {
        if let factor, factor < 2 { throw ValidationError("-f \(factor): give a factor of at least 2, or a step with -i") }
        if factor == nil, step.value < 1 { throw ValidationError("-i 0: give a step of at least 1 byte") }
        if mostBytes < least.value { throw ValidationError("-e is less than -b; give -e at least \(least.value)") }
    }

    var mostBytes: Int { most?.value ?? max(least.value, 32 << 20) }
}

/// How it is measured, as in nccl-tests as far as they have it.
struct TimingOptions: ParsableArguments {
    @Option(name: [.customShort("n"), .customLong("iters")], parsing: .unconditional, help: "Timed iterations a size.")
    var iterations = 20

    @Option(name: [.customShort("w"), .customLong("warmup_iters")], parsing: .unconditional, help: "Iterations before the timed ones.")
    var warmups = 1

    @Option(
        name: [.customShort("m"), .customLong("agg_iters")], parsing: .unconditional,
        help: "Operations that are under way together in each iteration, each on a result buffer of its own; the time is that of one.")
    var aggregated = 1

    @Option(
        name: [.customShort("c"), .customLong("check")], parsing: .unconditional, help: "Checked iterations a size, untimed; 0 for none.")
    var checks = 1

    @Option(
        name: [.customShort("a"), .customLong("average")], parsing: .unconditional,
        help: "Whose time is shown: 0 rank 0's, 1 the average over ranks, 2 the least, 3 the most.")
    var timeOf = TimeOf.average

    @Flag(help: "Rewrite the input before each timed call, as backprop does; then a barrier. Neither is part of the time.")
    var dirty = false

    mutating func validate() throws {
        if iterations < 1 { throw ValidationError("-n \(iterations): give at least 1 timed iteration") }
        if warmups < 0 { throw ValidationError("-w \(warmups): give 0 or more iterations before the timed ones") }
        if !(1...64 ~= aggregated) { throw ValidationError("-m \(aggregated): give a number of operations from 1 to 64") }
        if checks < 0 { throw ValidationError("-c \(checks): give 0 or more checked iterations") }
    }
}

/// What is told of it, besides the table of nccl-tests. Every further table stands in comment lines, after the first one.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Also least, median, 90th, 99th percentile and most of the times of single calls, over all ranks.")
    var percentiles = false

    @Flag(help: "Also what the cost model chose for each size and why, its prediction beside the measurement, and the memory it takes.")
    var explain = false

    @Flag(help: "Also how much of an asynchronous operation hides behind computation, in the columns of the OSU micro-benchmarks.")
    var overlap = false

    @Flag(help: "Also which rank keeps the others waiting and by how much; rewrites the input as --dirty does.")
    var stragglers = false

    @Flag(help: "Also how many 8-byte writes a second each rank and core makes.")
    var messageRate = false

    @Flag(name: [.customShort("S"), .customLong("report_timestamps")], help: "A last column with the local time of each line.")
    var timestamps = false

    @Option(
        name: [.customShort("J"), .customLong("json"), .customLong("output"), .customLong("output_file")],
        help: "Also write configuration and results to this file, as JSON.")
    var json: String?

    @Option(help: "Also draw bus bandwidth over size into this file, as SVG.")
    var plot: String?

    @Option(help: "Also write what the cost model chooses by into this file, for VERBENA_COSTS: the same choices without measuring anew.")
    var saveCosts: String?
}
