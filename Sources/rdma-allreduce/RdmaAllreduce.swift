import ArgumentParser
import CommandLineSupport
import Foundation
import Verbena

@main
struct RdmaAllreduce: Program {
    static let configuration = CommandConfiguration(
        commandName: "rdma-allreduce",
        abstract: "Measures and checks collectives, in the columns and options of nccl-tests.",
        discussion: """
            Sizes take the suffixes K, M and G, also as KB or KiB, which are binary as in nccl-tests, and are those of the larger buffer of a rank; bandwidths are in 1e9 bytes a second. \
            Each size is checked, untimed, against an answer that is exact in any order. In place, sendrecv takes a copy of its input \
            first, which is part of the time.
            Exit status: 0 correct, 1 failure, 2 usage, 7 wrong data.
            Under torchrun, mpirun, srun or mlx.launch, start it once a rank; on one machine, --ranks starts them.
            """,
        version: Communicator.version)

    @OptionGroup var job: JobOptions
    @OptionGroup(title: "What is measured") var subject: SubjectOptions
    @OptionGroup(title: "Sizes") var sizes: SizeOptions
    @OptionGroup(title: "How") var timing: TimingOptions
    @OptionGroup(title: "What is reported") var reports: ReportOptions
    @OptionGroup(title: "Options of nccl-tests that have one value here") var neighbours: NCCLTestsOptions

    /// What -I 1 and --percentiles can hold of a size.
    static let maxIterationsApart = 10_000

    static func main() { runProgram(RdmaAllreduce.self) }

    func validate() throws {
        let kind = subject.collective
        if kind == .sendReceive {
            if subject.algorithm != nil { throw ValidationError("--algorithm: sendrecv has none to choose from; leave it out") }
            if reports.explain { throw ValidationError("--explain: nothing is chosen for sendrecv; give another --collective") }
        }
        if timing.skippedIterations > 0, !reports.wantsIterations {
            throw ValidationError("-K: it says what -I 1 and --percentiles leave out; give one of them")
        }
        if reports.wantsIterations, timing.iterations > Self.maxIterationsApart {
            throw ValidationError("-I 1 or --percentiles with -n \(timing.iterations): give at most -n \(Self.maxIterationsApart)")
        }
        if kind == .barrier, reports.plot != nil { throw ValidationError("--plot: a barrier has no bandwidth; give another --collective") }
    }

    /// Said once, before there are ranks; a rank that was started by others checks for itself, in the job, where the others can be told.
    func check() throws {
        guard job.startsRanks else { return }
        try checkFiles()
        try checkWorld(of: job.ranks ?? 1)
    }

    func work() throws -> Int32 {
        try job.run(measureAll) {
            $0.channelsPerPeer = subject.queuePairs ?? $0.channelsPerPeer
            if timing.timeoutSeconds > 0 { $0.stallTimeoutSeconds = Double(timing.timeoutSeconds) }
        }
    }

    private func measureAll(_ communicator: Communicator) throws -> Int32 {
        try checkAgreement(communicator)
        try checkWorld(of: communicator.worldSize)
        try checkAlgorithm(communicator)
        if communicator.rank == 0 { try checkFiles() }
        var report = emptyReport(communicator)
        let device = Report.Device(rank: communicator.rank, deviceInfo: communicator.deviceName)
        report.config.devices = try communicator.gathered(device, label: "processes")
        try sayOnce(communicator) { Table.header(report, timestamps: reports.timestamps) }
        let memory = try (0...timing.aggregated).map { _ in try buffer(communicator) }
        for type in subject.types {
            try report.results += measure(type.measurable, communicator, memory)
        }
        if reports.wantsMemory {
            report.verbena.memory = try MemoryUse.measured(communicator, bufferBytes: memory.count * bufferBytes)
        }
        if reports.messageRate { report.verbena.messageRate = try MessageRate.measured(communicator) }
        report.summarize()
        try sayOnce(communicator) { ([Table.footer(report)] + furtherTables(report)).joined(separator: "\n") }
        if communicator.rank == 0 {
            report.endTime = Self.timestamp()
            try reports.json.map { try writeJSON(report, to: $0, inSnakeCase: true) }
            try reports.plot.map { try writeText(Plot(report).svg, to: $0) }
            try reports.saveCosts.map { try writeJSON(communicator.costs, to: $0) }
        }
        return report.outOfBounds.okay == .yes ? 0 : ExitStatus.wrongData
    }

    private func buffer(_ communicator: Communicator) throws -> Buffer<UInt8> {
        guard timing.buffers == .caller else { return try communicator.allocate(UInt8.self, count: bufferBytes) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferBytes, alignment: 4096)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        // SAFETY: it is never freed.
        return unsafe try communicator.register(memory.assumingMemoryBound(to: UInt8.self))
    }

    /// All rows of one type. Rank 0 says each as soon as it is there.
    private func measure<E: Measurable>(_: E.Type, _ communicator: Communicator, _ memory: [Buffer<UInt8>]) throws -> [Row] {
        let kind = subject.collective
        let ranks = communicator.worldSize
        let counts = counts(E.elementType, ranks: ranks)
        var rows: [Row] = []
        for operation in subject.operations {
            for root in subject.roots(worldSize: ranks) {
                let pattern = Pattern<E>(kind: kind, operation: operation, worldSize: ranks, root: root)
                let measurement = Measurement(communicator, pattern, method, memory)
                var cycle = 0
                repeat {
                    for count in counts {
                        let row = try self.row(measurement, count: count)
                        // Nothing is said of all rows where there is no last one.
                        if timing.cycles > 0 { rows.append(row) }
                        try sayOnce(communicator) { Table.row(row, iterationsApart: reports.showsIterations) }
                    }
                    cycle += 1
                } while timing.cycles == 0 || cycle < timing.cycles
            }
        }
        return rows
    }

    private func row<E: Measurable>(_ measurement: Measurement<E>, count: Int) throws -> Row {
        var row = try measurement.row(count: count)
        if reports.overlap { row.overlap = try measurement.overlap(count: count) }
        if reports.explain { row.explanation = choosing(measurement.communicator, root: measurement.pattern.root, row: row, E.elementType) }
        if reports.timestamps { row.timestamp = Self.timestamp() }
        return row
    }

    private func choosing(_ communicator: Communicator, root: Int, row: Row, _ type: ElementType) -> Choosing? {
        guard let collective = subject.collective.collective(root: root) else { return nil }
        let explanation = communicator.explain(collective, byteCount: row.count * type.byteCount, type: type)
        let chosen = [(explanation.algorithm, explanation.predictedMicroseconds)]
        return Choosing(predictions: chosen + explanation.alternatives, why: explanation.why, demanded: subject.algorithm)
    }

    private func furtherTables(_ report: Report) -> [String] {
        var tables: [String] = []
        if reports.percentiles { tables.append(FurtherTables.percentiles(report.results)) }
        if reports.stragglers { tables.append(FurtherTables.stragglers(report.results)) }
        if reports.overlap { tables.append(FurtherTables.overlap(report.results)) }
        if let rate = report.verbena.messageRate { tables.append(FurtherTables.messageRate(rate)) }
        if reports.explain { tables.append(FurtherTables.explanation(report.results)) }
        if let memory = report.verbena.memory { tables.append(FurtherTables.memory(memory)) }
        return tables
    }

    private func sayOnce(_ communicator: Communicator, _ text: () -> String) throws {
        if communicator.rank == 0 { try say(text()) }
    }
}

// MARK: options

extension RdmaAllreduce {
    var method: Method {
        Method(
            iterations: timing.iterations, warmups: timing.warmups, aggregated: timing.aggregated, checks: timing.checks,
            timeOf: timing.timeOf, isDirty: timing.dirty, wantsStragglers: reports.stragglers,
            wantsIterations: reports.wantsIterations, skippedIterations: timing.skippedIterations,
            algorithm: subject.algorithm)
    }

    /// The counts to measure, one for each size.
    func counts(_ type: ElementType, ranks: Int) -> [Int] {
        let kind = subject.collective
        if kind == .barrier { return [0] }
        let sweep = SizeSweep(
            least: sizes.least.value, most: sizes.maxBytes, step: sizes.step.value, factor: sizes.factor,
            elementBytes: type.byteCount * kind.blocks(ranks: ranks))
        return sweep.elementCounts
    }

    /// Of one buffer. A barrier measures none, and still has operands.
    private var bufferBytes: Int { subject.collective == .barrier ? 8 : sizes.maxBytes }

    private func emptyReport(_ communicator: Communicator) -> Report {
        let config = Report.Config(
            minimumBytes: sizes.least.value, maximumBytes: sizes.maxBytes, stepFactor: sizes.factor,
            stepBytes: sizes.factor == nil ? sizes.step.value : nil, warmupIters: timing.warmups, iterations: timing.iterations,
            aggregatedIterations: timing.aggregated, validation: timing.checks, perIterTiming: .init(reports.showsIterations),
            perIterSkip: timing.skippedIterations)
        let own = Report.Own(
            collective: subject.collective.name, ranks: communicator.worldSize, fabric: communicator.fabricName,
            device: communicator.deviceName, average: timing.timeOf, algorithm: subject.algorithm?.name, queuePairs: subject.queuePairs,
            dirty: method.rewrites, buffers: timing.buffers == .engine ? nil : timing.buffers,
            receiveBufferBytes: communicator.memory.receiveBufferByteCount)
        let environment = Report.environment(ProcessInfo.processInfo.environment)
        return Report(startTime: Self.timestamp(), env: environment, config: config, verbena: own)
    }

    private func checkFiles() throws {
        for path in [reports.json, reports.plot, reports.saveCosts] { try path.map(checkWritable) }
    }

    private func checkWorld(of worldSize: Int) throws {
        if let root = subject.roots(worldSize: worldSize).last, root >= worldSize {
            throw Failure(status: ExitStatus.usage, "--root \(root): give a rank from 0 to \(worldSize - 1), or all")
        }
        if reports.messageRate, worldSize < 2 {
            throw Failure(status: ExitStatus.usage, "--message-rate: one rank has nobody to write to; give --ranks 2 or more")
        }
    }

    /// Before anything is measured: whether the algorithm that is demanded can do every size.
    private func checkAlgorithm(_ communicator: Communicator) throws {
        guard let demanded = subject.algorithm, let collective = subject.collective.collective(root: 0) else { return }
        for type in subject.types {
            for count in counts(type, ranks: communicator.worldSize) {
                let possible = communicator.algorithms(for: collective, byteCount: count * type.byteCount)
                if possible.contains(demanded) { continue }
                let names = possible.map(\.name).joined(separator: ", ")
                throw Failure(
                    status: ExitStatus.usage,
                    "--algorithm \(demanded.name): it cannot do \(subject.collective.name) of \(count) \(type) here; give one of \(names)"
                )
            }
        }
    }

    /// Local time, as nccl-tests write it.
    private static func timestamp() -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
        return formatter.string(from: Date())
    }
}
