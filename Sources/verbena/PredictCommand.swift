import ArgumentParser
import CommandLineSupport
import Foundation
import Prediction
import Reduction
import Reports
import Trainer
import Verbena

/// How a model scales on machines that are described.
struct PredictCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Says how a model scales on a described cluster: the engine's own code and planner in virtual time.",
        discussion: """
            Each rank computes by the profile; the production planner cuts buckets, and the production executor carries them over simulated wires. \
            docs/PREDICTION.md says what is simulated, what is assumed, and how far to believe it.
            """)

    @Argument(
        help:
            "Built in: \(ModelProfile.names.joined(separator: ", ")); a profile's JSON file; or a Chakra execution trace of a step, FILE.et, packed by gzip or not."
    )
    var profile = "resnet50"

    @Option(help: "Built in: \(Cluster.names.joined(separator: ", ")); or a cluster's JSON file.")
    var cluster = "ideal"

    @Option(help: "Take latencies and rates from this file, which `rdma-allreduce --save-costs` wrote, instead of --cluster.")
    var costs: String?

    @Option(help: "World sizes, separated by commas; --what-if and --sensitivity look at the last one.")
    var ranks = "1,4,16,64"

    @Option(parsing: .unconditional, help: "Samples of a rank's step. (default: the profile's; 1 of a Chakra trace, which does not say)")
    var batch: Int?

    @Option(parsing: .unconditional, help: "Of a rank alone. (default: the profile's)")
    var samplesPerSecond: Double?

    @Option(parsing: .unconditional, help: "Where gradients are cut into buckets: auto, ddp, or every so many bytes, with K, M or G.")
    var bucketBytes = BucketChoice(.planned)

    @Option(help: "How a bucket travels: allreduce, split, or auto.")
    var schedule = ScheduleChoice.auto

    @Option(help: "How gradients travel: fp32, bf16, fp16 or int8; other than fp32 up to 256 ranks.")
    var wire = "fp32"

    @Option(help: "When the trainer waits for gradients: layer, for each layer's before its next forward pass; all, after backprop.")
    var wait = "layer"

    @Flag(inversion: .prefixedNo, help: "Let the planner have first layers overtake.")
    var priorities = true

    @Option(parsing: .unconditional, help: "Steps that are simulated for each world size.")
    var steps = 10

    @Option(parsing: .unconditional, help: "Decides how computing varies: the same seed gives the same prediction, byte for byte.")
    var seed: UInt64 = 1

    @Flag(help: "Simulate every rank: without this, beyond 64 ranks a few nodes are simulated and all others are their images.")
    var full = false

    @Flag(help: "Also rank changes by the time that they save.")
    var whatIf = false

    @Flag(help: "Also say which assumption moves the efficiency most.")
    var sensitivity = false

    @Flag(help: "The published systems instead: what they had, predicted beside what they published, and ours on the same hardware.")
    var reference = false

    @Flag(
        name: .customLong("check"),
        help: "Instead measure allreduces and training steps here over an emulated link, predict the same, and compare.")
    var comparesHere = false

    @Option(help: "With --check: the link, as `rdma-allreduce --link` takes it.")
    var link = "1Gbit,100us"

    @Flag(help: "Print JSON instead of tables.")
    var json = false

    @Option(
        help: ArgumentHelp(
            "Also write a page to look at to this file, as HTML that needs no network.",
            discussion: "Efficiency and exposed share over ranks, all tables that were asked for, and what is assumed."))
    var report: String?

    @Option(help: "Also write a trace of the last world size's steps to this file, for ui.perfetto.dev.")
    var trace: String?

    func check() throws {
        _ = try parsedRanks
        guard 1...1000 ~= steps else { throw ValidationError("--steps \(steps): give 1 to 1000") }
        if let batch, !(1...1_000_000 ~= batch) { throw ValidationError("--batch \(batch): give 1 to 1000000") }
        if let samplesPerSecond, !(1e-6...1e9 ~= samplesPerSecond) {
            throw ValidationError("--samples-per-second \(samplesPerSecond): give 0.000001 to 1000000000")
        }
        guard WireFormat.allCases.contains(where: { "\($0)" == wire }) else {
            throw ValidationError("--wire \(wire): give \(WireFormat.allCases.map { "\($0)" }.joined(separator: ", "))")
        }
        guard StepSettings.Waiting(rawValue: wait) != nil else { throw ValidationError("--wait \(wait): give layer or all") }
        if reference || comparesHere {
            let given = [("--report", report != nil), ("--trace", trace != nil), ("--json", json)].first { $0.1 }
            if let given { throw ValidationError("\(given.0): --reference and --check print a table only; leave one of them out") }
        }
    }

    private var parsedRanks: [Int] {
        get throws {
            let numbers = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            guard !numbers.isEmpty, numbers.allSatisfy({ $0.map { 1...65_536 ~= $0 } ?? false }) else {
                throw ValidationError("--ranks \(ranks): give numbers from 1 to 65536, separated by commas")
            }
            return numbers.compactMap { $0 }
        }
    }

    func work() throws -> Int32 {
        do {
            if reference {
                try say(PredictionTable.text(try ReferenceSystem.all.map { try $0.comparison(steps: steps, seed: seed) }))
                return 0
            }
            if comparesHere {
                guard let link = EmulatedLink(link) else { throw Failure("--link \(link): give bandwidth and latency, as 1Gbit,100us") }
                try say(PredictionCheck.text(try PredictionCheck(link: link).run()))
                return 0
            }
            for path in [report, trace].compactMap(\.self) { try checkWritable(path) }
            try predict()
        } catch let error as PredictionError {
            throw Failure(error.description)
        }
        return 0
    }

    private func predict() throws {
        let ranks = try parsedRanks
        let predictor = try predictor
        let document = try PredictionDocument(predictor, ranks: ranks, whatIf: whatIf, sensitivity: sensitivity)
        // The same seed gives the same page, so it has no date.
        if let report { try writeText(document.page(footer: "Verbena \(Communicator.version)"), to: report) }
        if let trace { try writeText(self.trace(predictor, ranks: ranks[ranks.count - 1]), to: trace) }
        try say(json ? document.json : PredictionTable.text(document))
    }

    private var predictor: Predictor {
        get throws {
            var model = try self.model
            let machines =
                try costs.map { try Cluster(name: $0, costs: bytes($0, of: "table of costs"), place: $0) }
                ?? Cluster.named(cluster) ?? Cluster(json: bytes(cluster, of: "cluster"), place: cluster)
            // Of a trace the batch says what it was, of all others what it shall be.
            if let batch, !isTrace { model = model.with(batch: batch) }
            if let samplesPerSecond {
                let wanted = Double(model.batch) / samplesPerSecond - model.optimizerSeconds - model.inputSeconds
                guard wanted > 0 else {
                    throw PredictionError(
                        "--samples-per-second \(samplesPerSecond): optimizer and input alone take longer; give less, or a profile of its own"
                    )
                }
                model = model.with(speed: (model.forwardSeconds + model.backwardSeconds) / wanted)
            }
            var settings = StepSettings()
            settings.bucketSize = bucketBytes.size
            settings.schedule = schedule.schedule
            settings.wire = WireFormat.allCases.first { "\($0)" == wire } ?? .plain
            settings.waiting = StepSettings.Waiting(rawValue: wait) ?? .byLayer
            settings.usesPriorities = priorities
            settings.steps = steps
            settings.seed = seed
            settings.simulatesAllRanks = full
            return Predictor(model, on: machines, settings: settings)
        }
    }

    private var isTrace: Bool { profile.hasSuffix(".et") || profile.hasSuffix(".et.gz") }

    private var model: ModelProfile {
        get throws {
            if let builtIn = ModelProfile.named(profile) { return builtIn }
            guard isTrace else { return try ModelProfile(json: bytes(profile, of: "profile"), place: profile) }
            do {
                return try ModelProfile(chakra: PackedFile.bytes(path: profile, limit: 1 << 30), batch: batch ?? 1, place: profile)
            } catch let error as DataError { throw Failure(error.description) }
        }
    }

    private func trace(_ predictor: Predictor, ranks: Int) throws -> String {
        let (steps, parameters) = try predictor.reports(ranks: ranks)
        var recordings = steps.map { steps in
            var recording = StepRecording()
            for step in steps { recording.add(step) }
            return recording
        }
        let first = recordings.removeFirst()
        let all = [first] + recordings
        let report = RunReport(
            title: "\(predictor.profile.name) on \(ranks) simulated ranks", facts: [("cluster", predictor.cluster.name)],
            parameterNames: parameters, recording: first,
            ranks: zip(all, steps).map { RankRecording(totals: $0.totals, steps: $1) })
        return try report.trace()
    }

    private func bytes(_ name: String, of kind: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: name) else {
            throw Failure(
                "\(name): neither a built-in \(kind) nor a file that can be read; `verbena predict --help` lists the built-in ones")
        }
        return [UInt8](data)
    }
}
