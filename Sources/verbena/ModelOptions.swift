import ArgumentParser
import CommandLineSupport
import Trainer

/// What is trained, and by which recipe. What is left out suits the model.
struct ModelOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "\(ModelChoice.names.joined(separator: ", ")).")
    var model = "mlp"

    @Option(parsing: .unconditional, help: "Of the mlp, sizes of the hidden layers, separated by commas; none for a linear classifier.")
    var hidden = LayerSizes([256, 128])

    // Numbers are taken unconditionally: `--seed -1` is a bad value, not a missing one.
    @Option(parsing: .unconditional, help: "Samples that each rank takes in a step. (default: 128; convnet 64, transformer 16)")
    var batch: Int?

    @Option(parsing: .unconditional, help: "Batches that a rank adds up before a step's exchange.")
    var accumulate = 1

    @Option(parsing: .unconditional, help: "sgd, lars (for large batches) or adamw. (default: sgd; transformer adamw)")
    var optimizer: OptimizerChoice?

    @Option(parsing: .unconditional, help: "Step size. (default: 0.05; resnet20 0.1; lars 0.02; adamw 0.001)")
    var learningRate: Float?

    @Option(
        parsing: .unconditional,
        help: """
            How the step size goes: constant, cosine (down to 0 at the end), or a tenth of it after each of some epochs, as step:30,60. (default: constant; \
            transformer cosine)
            """)
    var rateSchedule: RateShape?

    @Option(parsing: .unconditional, help: "Epochs in which the step size rises to its value.")
    var warmup: Float = 0

    @Flag(help: "Multiply the step size by the global batch over 128, or the model's own default (linear scaling).")
    var scaleRate = false

    @Option(parsing: .unconditional, help: "Of sgd and lars, from 0 to below 1. (default: 0.9)")
    var momentum: Float?

    @Flag(help: "Of sgd and lars: Nesterov's momentum.")
    var nesterov = false

    @Option(parsing: .unconditional, help: "Of weight matrices. (default: 0; resnet20 0.0001, transformer 0.1)")
    var weightDecay: Float?

    @Flag(
        help:
            "Each rank updates its part of the parameters for all: ranks share the optimizer's memory. In fp32 the same digest; by the split schedule; not with lars."
    )
    var shardOptimizer = false

    @Option(parsing: .unconditional, help: "Share of the target that is spread over all classes.")
    var labelSmoothing: Float = 0

    @Option(parsing: .unconditional, help: "Share of elements that dropout clears, in convnet and transformer.")
    var dropout: Float = 0

    @Option(parsing: .unconditional, help: "Of the transformer: how many ranks share a copy of it, each with some heads and columns.")
    var tensorParallel = 1

    @Flag(help: "Of resnet20: batch norm by the batches of all ranks together.")
    var syncBatchNorm = false

    var choice: ModelChoice? {
        switch model {
        case "mlp": .mlp(hidden: hidden.sizes)
        case "convnet": .convnet
        case "resnet20": .resnet20
        case "transformer": .transformer
        default: nil
        }
    }

    func validate() throws {
        guard choice != nil else {
            throw ValidationError("--model \(model): unknown; give \(ModelChoice.names.joined(separator: ", "))")
        }
        func refuse(_ isGiven: Bool, _ option: String, of owner: String, _ isOwn: Bool, _ given: String) throws {
            if isGiven, !isOwn { throw ValidationError("\(option) is of \(owner), not of \(given); leave it out") }
        }
        try refuse(hidden != LayerSizes([256, 128]), "--hidden", of: "--model mlp", model == "mlp", model)
        try refuse(dropout != 0, "--dropout", of: "convnet and transformer", model == "convnet" || model == "transformer", model)
        try refuse(syncBatchNorm, "--sync-batch-norm", of: "--model resnet20", model == "resnet20", model)
        let method = settings(ranks: nil).optimizer.method
        try refuse(momentum != nil || nesterov, "--momentum or --nesterov", of: "sgd and lars", method != .adamw, "adamw")
    }

    /// - Parameter ranks: nil where they are not known yet; then nothing is scaled.
    func settings(ranks: Int?) -> TrainingSettings {
        var settings = TrainingSettings(model: choice ?? .mlp(hidden: hidden.sizes))
        let usualBatch = settings.batchPerRank
        if let batch { settings.batchPerRank = batch }
        settings.accumulation = accumulate
        if let optimizer, optimizer.method != settings.optimizer.method {
            settings.optimizer.method = optimizer.method
            settings.rate.rate = optimizer.rate
        }
        if let learningRate { settings.rate.rate = learningRate }
        if let rateSchedule { settings.rate.shape = rateSchedule.shape }
        settings.rate.warmupEpochs = warmup
        if scaleRate, let ranks {
            settings.rate.rate *=
                Float(settings.batchPerRank) * Float(accumulate) * Float(ranks / max(tensorParallel, 1)) / Float(usualBatch)
        }
        if let momentum { settings.optimizer.momentum = momentum }
        settings.optimizer.nesterov = nesterov
        if let weightDecay { settings.optimizer.weightDecay = weightDecay }
        settings.sharesUpdate = shardOptimizer
        settings.labelSmoothing = labelSmoothing
        settings.dropout = dropout
        settings.tensorRanks = tensorParallel
        settings.synchronisesBatchNorm = syncBatchNorm
        return settings
    }
}

/// `sgd`, `lars` or `adamw`.
enum OptimizerChoice: String, ExpressibleByArgument, CaseIterable {
    case sgd, lars, adamw

    /// Where it is not the model's own.
    var rate: Float {
        switch self {
        case .sgd: 0.05
        case .lars: 0.02
        case .adamw: 0.001
        }
    }

    var method: OptimizerSettings.Method {
        switch self {
        case .sgd: .sgd
        case .lars: .lars
        case .adamw: .adamw
        }
    }
}

/// `constant`, `cosine`, or `step:30,60`.
struct RateShape: ExpressibleByArgument, Equatable {
    /// What `step` multiplies by. Source: Goyal et al., arXiv 1706.02677.
    private static let stepFactor: Float = 0.1

    var shape: RateSchedule.Shape

    init?(argument: String) {
        switch argument {
        case "constant": shape = .constant
        case "cosine": shape = .cosine
        default:
            let words = argument.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 2, words[0] == "step" else { return nil }
            let epochs = words[1].split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            guard epochs.allSatisfy({ $0 > 0 }) else { return nil }
            shape = .steps(after: epochs, factor: Self.stepFactor)
        }
    }
}
