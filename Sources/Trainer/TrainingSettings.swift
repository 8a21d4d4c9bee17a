public import Verbena

/// What a user chooses about a training run. Equal on every rank.
public struct TrainingSettings: Sendable {
    public var model: ModelChoice
    public var epochs = 10
    /// At most so many steps in all; nil: whole epochs.
    public var steps: Int?
    /// Samples that each rank takes in one step. A step computes in proportion to them, and exchanges the same: of 32, the exchange takes half as much
    /// again of a step on two cores.
    public var batchPerRank = 128
    /// How many batches a rank adds up before a step's exchange: as if a batch were so many times as large.
    public var accumulation = 1
    public var rate = RateSchedule()
    public var optimizer = OptimizerSettings()
    /// Whether each rank updates its part of the parameters for all, so that ranks share the optimizer's work and memory. Changes no bit of the result where gradients
    /// travel as fp32.
    public var sharesUpdate = false
    /// See `SoftmaxCrossEntropy.smoothing`.
    public var labelSmoothing: Float = 0
    /// How gradients travel. Of this, only the wire format changes bits of the result.
    public var exchange = GradientSettings()
    public var seed: UInt64 = 1
    /// Of the layers that have it, from 0 to below 1.
    public var dropout: Float = 0
    /// How many ranks share a copy of the model, each computing a part of it with the same samples; the ranks of a copy are neighbours.
    public var tensorRanks = 1
    /// Whether batch norm goes by the batches of all ranks together.
    public var synchronisesBatchNorm = false
    /// Nil: none is written.
    public var checkpoints: CheckpointSettings?

    /// What suits the model.
    public init(model: ModelChoice = .mlp(hidden: [256, 128])) {
        self.model = model
        switch model {
        case .mlp, .other: break
        case .convnet: batchPerRank = 64
        case .resnet20:
            rate.rate = 0.1
            optimizer.weightDecay = 1e-4
        case .transformer:
            batchPerRank = 16
            optimizer.method = .adamw
            optimizer.weightDecay = 0.1
            rate.rate = 1e-3
            rate.shape = .cosine
        }
    }

    static let maximumLayerSize = 1 << 16
    static let maximumBatch = 1 << 16
    static let maximumEpochs = 1 << 30

    /// Throws the first setting that is out of bounds.
    public func validate() throws(TrainingError) {
        try model.validate()
        try Self.require(tensorRanks >= 1, "a model on \(tensorRanks) ranks", "give at least 1")
        try model.validate(tensorRanks: tensorRanks)
        try Self.require(
            (1...Self.maximumEpochs).contains(epochs), "\(epochs) epochs", "give at least 1, and at most \(Self.maximumEpochs)")
        if let steps { try Self.require(steps >= 1, "\(steps) steps", "give at least 1") }
        try Self.require((1...Self.maximumBatch).contains(batchPerRank), "a batch of \(batchPerRank)", "give 1 to \(Self.maximumBatch)")
        try Self.require((1...Self.maximumBatch).contains(accumulation), "\(accumulation) batches a step", "give 1 to \(Self.maximumBatch)")
        try Self.require(rate.rate.isFinite && rate.rate > 0, "a learning rate of \(rate.rate)", "give a number above 0")
        try Self.require(
            rate.warmupEpochs >= 0 && rate.warmupEpochs <= Float(epochs), "\(rate.warmupEpochs) epochs of warm-up",
            "give 0 or more, and no more than there are epochs")
        try Self.require(
            optimizer.momentum >= 0 && optimizer.momentum < 1, "a momentum of \(optimizer.momentum)", "give a number from 0 to below 1")
        try Self.require(
            optimizer.weightDecay.isFinite && optimizer.weightDecay >= 0, "a weight decay of \(optimizer.weightDecay)", "give 0 or more")
        try Self.require(
            labelSmoothing >= 0 && labelSmoothing < 1, "a label smoothing of \(labelSmoothing)", "give a number from 0 to below 1")
        try Self.require(
            optimizer.method != .lars || !sharesUpdate && tensorRanks == 1,
            "lars, which needs whole weight matrices, where ranks divide them or their update,", "give sgd or adamw")
        try Self.require(
            tensorRanks == 1 || exchange.wire != nil && exchange.wire != .int8,
            "--wire \(exchange.wireName), which goes by what lies beside an element or by measuring, for parts of a model",
            "give fp32, bf16 or fp16, or one rank a copy")
        try Self.require(dropout >= 0 && dropout < 1, "a dropout of \(dropout)", "give a number from 0 to below 1")
        if checkpoints != nil { try requireWholeModel("writing checkpoints") }
        if let steps = checkpoints?.steps { try Self.require(steps >= 1, "\(steps) steps between checkpoints", "give at least 1") }
        if case .fixed(let bytes) = exchange.bucketSize { try Self.require(bytes >= 1, "buckets of \(bytes) bytes", "give at least 1") }
    }

    /// Throws what `validate()` throws, and where the data does not fill one step on every rank, or is not what the model takes.
    public func validate(for data: DataSplit, worldSize: Int) throws(TrainingError) {
        try validate()
        try model.validate(for: data)
        guard worldSize.isMultiple(of: tensorRanks) else {
            throw .invalidSetting(
                "\(worldSize) ranks are no copies of a model on \(tensorRanks) each",
                remedy: "give a number of ranks that \(tensorRanks) divides")
        }
        guard sharding(of: data, worldSize: worldSize).stepsPerEpoch > 0 else {
            throw .invalidSetting(
                "\(data.training.count) samples do not fill a batch of \(batchPerRank * accumulation) on each of \(worldSize) ranks",
                remedy: "give a smaller batch or more data")
        }
    }

    /// What bits of the result depend on, besides the data, the number of ranks, and their kernels.
    var traits: [(name: String, value: String)] {
        let steps = steps.map(String.init) ?? "all"
        return [
            ("model", "\(model)"), ("batch", String(batchPerRank)), ("batches a step", String(accumulation)),
            ("learning rate", String(rate.rate)), ("schedule", "\(rate)"),
            // Of other schedules, a longer run is the shorter one gone on with.
            ("length of the schedule", rate.shape == .cosine ? "\(epochs) epochs, \(steps) steps" : "any"),
            ("momentum", String(optimizer.momentum)), ("optimizer", "\(optimizer)"), ("label smoothing", String(labelSmoothing)),
            ("dropout", String(dropout)), ("batch norm", synchronisesBatchNorm ? "synchronised" : "local"),
            ("wire format", exchange.wireName), ("seed", String(seed)),
            ("update of rounded gradients", exchange.wire == .plain ? "any" : sharesUpdate ? "shared" : "by every rank"),
        ]
    }

    func sharding(of data: DataSplit, worldSize: Int) -> Sharding {
        Sharding(
            sampleCount: data.training.count, worldSize: max(worldSize / tensorRanks, 1), batchPerRank: batchPerRank * accumulation,
            seed: seed)
    }

    /// A checkpoint holds whole parameters, which no rank of a divided model has.
    public func requireWholeModel(_ what: String) throws(TrainingError) {
        guard tensorRanks > 1 else { return }
        throw .invalidSetting(
            "\(what) needs a model that is not divided, not one on \(tensorRanks) ranks", remedy: "give --tensor-parallel 1")
    }

    static func require(_ isGood: Bool, _ detail: String, _ remedy: String) throws(TrainingError) {
        if !isGood { throw .invalidSetting("\(detail) cannot be trained with", remedy: remedy) }
    }
}
