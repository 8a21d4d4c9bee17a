import ArgumentParser
import CommandLineSupport
import Trainer
import Verbena

struct TrainCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Trains a model on several ranks, every rank its part of each batch.",
        discussion: """
            Without --data the digits are drawn by a generator, and the text is made up, always the same ones: --seed changes the model and the order, not the data. \
            The same seed, ranks, batch and kernels (see verbena doctor) give the same parameters, whatever the fabric.
            Each epoch tells the mean loss, the accuracy on held-out images, the samples a second of all ranks, and how long the \
            training of rank 0 waited for gradients (exposed communication): for what most, and for which rank, if one was late.
            Under torchrun, mpirun, srun or mlx.launch, start it once a rank; on one machine, --ranks starts them.
            """)

    private static let initial = TrainingSettings()

    @OptionGroup var job: JobOptions

    @OptionGroup var source: DataOptions

    @Option(
        help: """
            Who reads the data: all, every rank for itself; or root, rank 0 alone, which sends it to the others over the fabric, so that only rank 0 needs the files. \
            The same on every rank. No choice changes the digest.
            """)
    var dataFrom = DataReader.all

    @OptionGroup(title: "Model and recipe") var recipe: ModelOptions

    // Numbers are taken unconditionally: `--seed -1` is a bad value, not a missing one.
    @Option(parsing: .unconditional, help: "Passes over the training data.")
    var epochs = initial.epochs

    @Option(parsing: .unconditional, help: "At most so many steps in all. (default: those of the epochs)")
    var steps: Int?

    @Option(
        parsing: .unconditional,
        help: """
            Where gradients are cut into buckets: auto by a planner, from what the first steps show; ddp by the rule of PyTorch's DDP; or every so many \
            bytes, suffixes K, M, G. No choice changes the digest.
            """)
    var bucketBytes = BucketChoice(.planned)

    @Option(
        parsing: .unconditional,
        help: """
            How a bucket travels: allreduce in backprop; split: reduced in backprop, gathered in the next forward pass; auto: what the planner \
            expects to be faster.
            """)
    var schedule = ScheduleChoice.auto

    @Option(
        parsing: .unconditional,
        help: """
            How gradients travel between ranks: fp32, bf16 or fp16 (half the bytes), or int8 (a quarter, with scales of 256 elements; what is lost is \
            kept for the next step). Sums are fp32. Each format has a digest of its own. auto: fp32, and bf16 once steps have become shorter by it, so that the \
            digest depends on what was measured.
            """)
    var wire = WireChoice(.plain)

    @Flag(help: "At the end tell by which plan gradients travelled, what the planner expected to be exposed, and what was.")
    var explain = false

    @Option(parsing: .unconditional, help: "Of the initial parameters and the order of samples.")
    var seed = initial.seed

    @Option(help: "Also write the figures to this file, as JSON.")
    var json: String?

    @Option(help: "Also write what a rank computes to this file, by parameter, as `verbena predict` takes it. Best on one rank.")
    var profile: String?

    @OptionGroup(title: "Checkpoints") var checkpoints: CheckpointOptions

    @OptionGroup var reports: ReportOptions

    /// - Parameter ranks: nil where they are not known yet.
    func settings(ranks: Int?) -> TrainingSettings {
        var settings = recipe.settings(ranks: ranks)
        settings.epochs = epochs
        settings.steps = steps
        settings.exchange = GradientSettings(bucketSize: bucketBytes.size, schedule: schedule.schedule, wire: wire.format)
        settings.seed = seed
        settings.checkpoints = checkpoints.settings
        return settings
    }

    func validate() throws {
        if recipe.shardOptimizer, schedule == .allreduce {
            throw ValidationError("--shard-optimizer travels by the split schedule; leave --schedule out, or give split")
        }
        do { try settings(ranks: nil).validate() } catch { throw ValidationError("\(error)") }
    }

    /// Everything that can be found wrong is said once, before there are ranks. A rank that was started by others checks for itself,
    /// in the job, where the others can be told.
    func check() throws {
        guard job.startsRanks, let ranks = job.ranks else { return }
        try json.map(checkWritable)
        try reports.checkFiles()
        try checkpoints.checkFiles()
        let settings = settings(ranks: ranks)
        let data = try source.load(for: settings.model)
        do { try settings.validate(for: data, worldSize: ranks) } catch { throw ValidationError("\(error)") }
        try checkpoints.checkResume(settings, data)
    }

    func work() throws -> Int32 {
        try job.run { communicator in
            do {
                try train(communicator)
                return 0
            } catch TrainingError.communication(let error) {
                throw error
            } catch TrainingError.invalidSetting(let detail, let remedy) {
                throw Failure(status: ExitStatus.usage, "\(detail); \(remedy)")
            } catch let failure as Failure where communicator.worldSize > 1 && !failure.isOfEveryRank {
                throw Failure(status: failure.status, "rank \(communicator.rank): \(failure)")
            }
        }
    }

    /// One rank's run. Rank 0 speaks for all.
    private func train(_ communicator: Communicator) throws {
        let isLead = communicator.rank == 0
        if isLead {
            for path in [json, profile].compactMap(\.self) { try checkWritable(path) }
            try reports.checkFiles()
            try checkpoints.checkFiles()
        }
        let settings = settings(ranks: communicator.worldSize)
        let data =
            switch dataFrom {
            case .all: try source.load(for: settings.model)
            case .root: try source.loadFromRoot(for: settings.model, communicator)
            }
        let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
        if isLead {
            try say(TrainingText.heading(trainer, communicator, dataOrigin: data.origin))
            trainer.kernelWarning.map(warn)
        }
        if let resumption = try checkpoints.resume(trainer), isLead {
            try say(TrainingText.resumption(resumption, trainer))
            resumption.warning.map(warn)
        }
        let observation = try Observation(reports, communicator, RunDescription(trainer, communicator, dataOrigin: data.origin))
        let epochReports = try runEpochs(trainer, observation, isLead: isLead)
        let digest = try trainer.agreedParameterDigest()
        try observation.write(clockOffsetNanoseconds: trainer.clockOffsetNanoseconds)
        if isLead {
            try say("parameter digest: \(digest)")
            if explain { try say("\(trainer.explanation)") }
            let report = TrainingReport(
                ranks: communicator.worldSize, fabric: communicator.fabricName, device: communicator.deviceName,
                wire: WireUse(trainer.settings.exchange, trainer.explanation), kernels: BLAS.description,
                firstEpoch: checkpoints.resume == nil ? nil : trainer.firstEpoch + 1, epochs: epochReports, parameterDigest: digest)
            try json.map { try writeJSON(report, to: $0) }
            try profile.map { try RecordedProfile.write(trainer, epochReports, ranks: communicator.worldSize, to: $0) }
        }
        // The result comes first: it is not lost with the file.
        try checkpoints.finish(trainer)
    }

    private func runEpochs(_ trainer: DataParallelTrainer, _ observation: Observation, isLead: Bool) throws -> [EpochReport] {
        var bar = ProgressBar(epochs: trainer.epochCount, stepsPerEpoch: trainer.stepsPerEpoch, isShown: isLead && ProgressBar.suitsOutput)
        defer { bar.clear() }
        var reports: [EpochReport] = []
        do {
            for epoch in trainer.firstEpoch..<trainer.epochCount {
                let report = try trainer.runEpoch(epoch) { step in
                    bar.update(step)
                    observation.add(step.report)
                    guard let failure = trainer.takeCheckpointFailure() else { return }
                    bar.clear()
                    CheckpointOptions.warn(failure)
                }
                reports.append(report)
                observation.add(report)
                bar.clear()
                if isLead { try say(TrainingText.line(epoch: epoch, of: trainer.epochCount, report)) }
            }
        } catch {
            observation.writeAlone(after: error)
            throw error
        }
        return reports
    }
}

/// A run as JSON. The times are those of rank 0.
struct TrainingReport: Codable {
    var ranks: Int
    var fabric: String
    var device: String
    var wire: WireUse
    /// Of rank 0; the digest belongs to them.
    var kernels: String
    /// Of `epochs`, from 1; only where the run went on from a checkpoint.
    var firstEpoch: Int?
    var epochs: [EpochReport]
    var parameterDigest: String
}

/// How gradients travelled.
struct WireUse: Codable {
    /// `auto`, or a format.
    var asked: String
    /// In the last step.
    var format: String
    /// Why, where it was not asked for.
    var reason: String?
    /// Of one rank.
    var residualByteCount: Int
}

extension WireUse {
    init(_ settings: GradientSettings, _ explanation: GradientExplanation) {
        self.init(
            asked: settings.wireName, format: "\(explanation.wire)", reason: explanation.wireReason,
            residualByteCount: explanation.residualByteCount)
    }
}

/// `auto`, `fp32`, `bf16`, `fp16` or `int8`.
struct WireChoice: ExpressibleByArgument, Equatable {
    static let allValueStrings = ["auto"] + WireFormat.allCases.map(\.description)

    /// Nil: the planner's choice.
    var format: WireFormat?

    init(_ format: WireFormat?) { self.format = format }

    init?(argument: String) {
        format = WireFormat.allCases.first { $0.description == argument }
        if format == nil, argument != "auto" { return nil }
    }

    var defaultValueDescription: String { format?.description ?? "auto" }
}

/// `auto`, `ddp`, or a size.
struct BucketChoice: ExpressibleByArgument, Equatable {
    var size: GradientSettings.BucketSize

    init(_ size: GradientSettings.BucketSize) { self.size = size }

    init?(argument: String) {
        switch argument {
        case "auto": size = .planned
        case "ddp": size = .ddp
        default:
            guard let bytes = ByteCount(argument: argument) else { return nil }
            size = .fixed(bytes.value)
        }
    }

    var defaultValueDescription: String {
        switch size {
        case .planned: "auto"
        case .ddp: "ddp"
        case .fixed(let bytes): "\(bytes)"
        }
    }
}

enum ScheduleChoice: String, ExpressibleByArgument, CaseIterable {
    case auto, allreduce, split

    /// Nil: the planner's choice.
    var schedule: GradientSettings.Schedule? { GradientSettings.Schedule(rawValue: rawValue) }
}

/// `256,128`, or `none`.
struct LayerSizes: ExpressibleByArgument, Equatable {
    var sizes: [Int]

    init(_ sizes: [Int]) { self.sizes = sizes }

    init?(argument: String) {
        if argument == "none" {
            sizes = []
            return
        }
        let words = argument.split(separator: ",", omittingEmptySubsequences: false)
        sizes = words.compactMap { Int($0) }
        if sizes.count != words.count { return nil }
    }

    var defaultValueDescription: String { sizes.isEmpty ? "none" : sizes.map(String.init).joined(separator: ",") }
}
