public import ArgumentParser
import CommandLineSupport
import Foundation
public import Verbena

extension ElementType: ExpressibleByArgument {
    /// The names of nccl-tests and the usual others.
    public init?(argument: String) {
        switch argument.lowercased() {
        case "float", "float32", "fp32": self = .float32
        case "double", "float64", "fp64": self = .float64
        default: return nil
        }
    }

    public static var allValueStrings: [String] { allCases.map(\.description) }
    public var defaultValueDescription: String { description }
}

extension ReductionOperation: ExpressibleByArgument {
    public init?(argument: String) {
        guard let operation = Self.allCases.first(where: { $0.description == argument.lowercased() }) else { return nil }
        self = operation
    }

    public static var allValueStrings: [String] { allCases.map(\.description) }
    public var defaultValueDescription: String { description }
}

@main
struct RdmaAllreduce: Program {
    static let configuration = CommandConfiguration(
        commandName: "rdma-allreduce",
        abstract: "Measures and checks allreduce, in the columns and options of nccl-tests.",
        discussion: """
            Sizes take the binary suffixes K, M and G; bandwidths are in 1e9 bytes a second. Time is the average over ranks. Out of place \
            includes the copy of the input. Each size is checked, untimed, against an answer that is exact in any order.
            Exit status: 0 correct, 1 failure, 2 usage, 7 wrong data.
            Under torchrun, mpirun or srun, start it once a rank; on one machine, --ranks starts them.
            """,
        version: Communicator.version)

    @OptionGroup var job: JobOptions

    @Option(name: [.customShort("b"), .customLong("minbytes")], parsing: .unconditional, help: "Least size.")
    var least = ByteCount(32 << 20)

    @Option(
        name: [.customShort("e"), .customLong("maxbytes")], parsing: .unconditional,
        help: "Most size. (default: 32M, or the least size if that is larger)")
    var most: ByteCount?

    @Option(name: [.customShort("i"), .customLong("stepbytes")], parsing: .unconditional, help: "Bytes from one size to the next.")
    var step = ByteCount(1 << 20)

    @Option(
        name: [.customShort("f"), .customLong("stepfactor")], parsing: .unconditional,
        help: "Factor from one size to the next, instead of a step; after 0 comes one element.")
    var factor: Int?

    @Option(name: [.customShort("n"), .customLong("iters")], parsing: .unconditional, help: "Timed iterations a size.")
    var iterations = 20

    @Option(name: [.customShort("w"), .customLong("warmup_iters")], parsing: .unconditional, help: "Iterations before the timed ones.")
    var warmups = 1

    @Option(name: [.customShort("c"), .customLong("check")], parsing: .unconditional, help: "1 checks each size, 0 does not.")
    var checks = 1

    @Option(name: [.customShort("d"), .customLong("datatype")], help: "Element type.")
    var type = ElementType.float32

    @Option(name: [.customShort("o"), .customLong("op")], help: "Reduction.")
    var operation = ReductionOperation.sum

    @Option(help: "Also write configuration and results to this file, as JSON.")
    var json: String?

    static func main() { runProgram(RdmaAllreduce.self) }

    func validate() throws {
        if let factor, factor < 2 { throw ValidationError("-f \(factor): give a factor of at least 2, or a step with -i") }
        if factor == nil, step.value < 1 { throw ValidationError("-i 0: give a step of at least 1 byte") }
        if mostBytes < least.value { throw ValidationError("-e is less than -b; give -e at least \(least.value)") }
        if iterations < 1 { throw ValidationError("-n \(iterations): give at least 1 timed iteration") }
        if warmups < 0 { throw ValidationError("-w \(warmups): give 0 or more iterations before the timed ones") }
        if checks != 0 && checks != 1 { throw ValidationError("-c \(checks): give 1 to check, 0 not to") }
    }

    /// Said once, before there are ranks; a rank that was started by others checks for itself, in the job, where the others can be told.
    func check() throws {
        if job.startsRanks { try json.map(checkWritable) }
    }

    private var mostBytes: Int { most?.value ?? max(least.value, 32 << 20) }

    func work() throws -> Int32 {
        try job.run { communicator in
            switch type {
            case .float32: try measure(Float.self, communicator)
            case .float64: try measure(Double.self, communicator)
            default: throw Failure("\(type) is not measured yet")
            }
        }
    }

    private func measure<E: Element & BinaryFloatingPoint>(_: E.Type, _ communicator: Communicator) throws -> Int32 {
        let sweep = SizeSweep(least: least.value, most: mostBytes, step: step.value, factor: factor, elementBytes: MemoryLayout<E>.stride)
        var report = Report(
            config: .init(
                version: Communicator.version, ranks: communicator.worldSize, fabric: communicator.fabricName,
                device: communicator.deviceName,
                minimumBytes: least.value, maximumBytes: mostBytes, iterations: iterations, warmupIterations: warmups,
                landingBytes: communicator.landingByteCount))
        let isLead = communicator.rank == 0
        if isLead { try json.map(checkWritable) }
        if isLead { try say(Table.header(report.config, sweep: sweep, isChecked: checks == 1)) }
        let measurement = try Measurement<E>(
            communicator, operation: operation, mostElements: mostBytes / MemoryLayout<E>.stride, iterations: iterations, warmups: warmups,
            isChecked: checks == 1)
        for count in sweep.elementCounts {
            let row = try measurement.row(count: count)
            report.results.append(row)
            if isLead { try say(Table.row(row)) }
        }
        let samples = report.results.flatMap { [$0.outOfPlace, $0.inPlace] }
        report.averageBusBandwidth = samples.isEmpty ? 0 : samples.reduce(0) { $0 + $1.busBandwidth } / Double(samples.count)
        report.outOfBounds = samples.reduce(0) { $0 + ($1.wrong ?? 0) }
        if isLead {
            try say(Table.footer(report))
            try json.map { try writeJSON(report, to: $0) }
        }
        return report.outOfBounds == 0 ? 0 : ExitStatus.wrongData
    }
}
