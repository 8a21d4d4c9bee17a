import CommandLineSupport
import Foundation
import Reports
import Trainer
import Verbena

/// One rank's side of reports, traces and metrics.
final class Observation {
    private let options: ReportOptions
    private let communicator: Communicator
    private let run: RunDescription
    private let server: MetricsServer?
    /// For a report or a trace; else nothing is kept of a step but sums.
    private var recording: StepRecording?
    private var epochs: [EpochFigures] = []

    /// Begins to serve metrics, if they are wanted. Collective.
    init(_ options: ReportOptions, _ communicator: Communicator, _ run: RunDescription) throws {
        self.options = options
        self.communicator = communicator
        self.run = run
        if options.report != nil || options.trace != nil { recording = StepRecording() }
        server = try options.metrics.map { try Self.serve(at: $0, communicator, run) }
    }

    /// All ranks are told where one of them cannot serve, and end together.
    private static func serve(at address: MetricsAddress, _ communicator: Communicator, _ run: RunDescription) throws -> MetricsServer {
        var server: MetricsServer?
        var failure = ""
        do {
            guard let own = address.ofRank(localRank: communicator.localRank) else {
                throw Failure(
                    "port \(address.port) leaves none for rank \(communicator.rank); give a smaller one, or 0 for any that is free")
            }
            server = try MetricsServer(own, Metrics(rank: communicator.rank, facts: run.labels))
        } catch { failure = "\(error)" }
        let words = try communicator.allGather(
            Array((server.map { "http://\($0.address)/metrics" } ?? "!\(failure)").utf8), label: "metrics"
        )
        .map { String(decoding: $0, as: UTF8.self) }
        if let rank = words.firstIndex(where: { $0.hasPrefix("!") }) {
            throw Failure(status: ExitStatus.usage, "--metrics \(address): rank \(rank) \(words[rank].dropFirst())")
        }
        guard let server else { throw Failure("--metrics \(address): \(failure)") }
        if communicator.rank == 0 {
            for (rank, word) in words.enumerated() { try say("metrics of rank \(rank): \(word)") }
        }
        return server
    }

    func add(_ step: StepReport) {
        recording?.add(step)
        server?.update { $0.add(step) }
    }

    func add(_ epoch: EpochReport) {
        let figures = EpochFigures(
            loss: epoch.loss, accuracy: epoch.accuracy, seconds: epoch.seconds, samplesPerSecond: epoch.samplesPerSecond,
            exposedSeconds: epoch.exposedSeconds)
        epochs.append(figures)
        server?.update { $0.add(figures) }
    }

    /// Gathers what all ranks recorded, and writes it on rank 0. Collective.
    func write(clockOffsetNanoseconds: Int64) throws {
        guard let recording else { return }
        let ranks = try Gathering.gather(
            recording, rank: communicator.rank, clockOffsetNanoseconds: clockOffsetNanoseconds,
            stepLimit: options.trace == nil ? RunReport.pageStepLimit : RunReport.traceStepLimit
        ) { try communicator.allGather($0, label: $1) }
        guard communicator.rank == 0 else { return }
        try write(report(recording, ranks))
    }

    /// After an error: what this rank knows by itself. An error of the writing is not thrown, because it would hide the first one.
    func writeAlone(after error: any Error) {
        guard let recording, communicator.rank == 0 else { return }
        var report = report(recording, [])
        report.note = "The run ended early, so this is rank 0 alone: \(error)"
        do { try write(report) } catch { warn("\(error)") }
    }

    private func report(_ recording: StepRecording, _ ranks: [RankRecording]) -> RunReport {
        RunReport(
            title: run.title, facts: run.facts, parameterNames: run.parameterNames, epochs: epochs, recording: recording, ranks: ranks)
    }

    private func write(_ report: RunReport) throws {
        let footer = "Verbena \(Communicator.version), \(Date.now.formatted(.iso8601))"
        if let path = options.report { try writeText(report.page(footer: footer), to: path) }
        if let path = options.trace { try writeText(report.trace() + "\n", to: path) }
    }
}

/// What a run is, in words.
struct RunDescription {
    var title: String
    /// For a page.
    var facts: [(name: String, value: String)]
    /// For metrics.
    var labels: [(label: String, value: String)]
    var parameterNames: [String]

    init(_ trainer: DataParallelTrainer, _ communicator: Communicator, dataOrigin: String) {
        let model = trainer.model
        let name = trainer.title
        let ranks = communicator.worldSize
        title = "\(name) on \(ranks) rank\(ranks == 1 ? "" : "s")"
        facts = [
            ("model", "\(name), \(TrainingText.grouped(trainer.elementCount)) parameters"), ("ranks", "\(ranks)"),
            ("fabric", communicator.fabricName),
            ("device", communicator.deviceName), ("batch", "\(trainer.settings.batchPerRank) a rank"),
            ("epoch", "\(TrainingText.grouped(trainer.stepsPerEpoch)) steps"), ("data", dataOrigin),
            ("wire", trainer.settings.exchange.wire == nil ? "auto" : trainer.explanation.wireText),
            ("kernels", "\(BLAS.description), one thread a rank"),
        ]
        labels = [
            ("model", name), ("ranks", "\(ranks)"), ("fabric", communicator.fabricName), ("device", communicator.deviceName),
            ("wire", trainer.settings.exchange.wireName),
        ]
        // The loss travels as one more parameter.
        parameterNames = model.parameters.map(\.name) + ["loss"]
    }
}
