public import Verbena

/// What a user chooses about a training run. Equal on every rank.
public struct TrainingSettings: Sendable {
    /// Sizes of the hidden layers, from the input on; none makes a linear classifier.
    public var hiddenSizes: [Int] = [256, 128]
    public var epochs = 10
    /// Samples that each rank takes in one step. A step computes in proportion to them, and exchanges the same: of 32, the exchange takes half as much
    /// again of a step on two cores.
    public var batchPerRank = 128
    public var learningRate: Float = 0.05
    public var momentum: Float = 0.9
    /// How gradients travel. Of this, only the wire format changes bits of the result.
    public var exchange = GradientSettings()
    public var seed: UInt64 = 1

    public init() {}

    static let maximumLayerSize = 1 << 16
    static let maximumBatch = 1 << 16

    /// Throws the first setting that is out of bounds.
    public func validate() throws(TrainingError) {
        try require(
            hiddenSizes.allSatisfy { (1...Self.maximumLayerSize).contains($0) }, "hidden sizes \(hiddenSizes)",
            "give each from 1 to \(Self.maximumLayerSize)")
        try require(epochs >= 1, "\(epochs) epochs", "give at least 1")
        try require((1...Self.maximumBatch).contains(batchPerRank), "a batch of \(batchPerRank)", "give 1 to \(Self.maximumBatch)")
        try require(learningRate.isFinite && learningRate > 0, "a learning rate of \(learningRate)", "give a number above 0")
        try require(momentum >= 0 && momentum < 1, "a momentum of \(momentum)", "give a number from 0 to below 1")
        if case .fixed(let bytes) = exchange.bucketSize { try require(bytes >= 1, "buckets of \(bytes) bytes", "give at least 1") }
    }

    /// Throws what `validate()` throws, and where the data does not fill one batch on every rank.
    public func validate(for data: DataSplit, worldSize: Int) throws(TrainingError) {
        try validate()
        let sharding = Sharding(sampleCount: data.training.count, worldSize: worldSize, batchPerRank: batchPerRank, seed: seed)
        guard sharding.stepsPerEpoch > 0 else {
            throw .invalidSetting(
                "\(data.training.count) samples do not fill a batch of \(batchPerRank) on each of \(worldSize) ranks",
                remedy: "give a smaller batch or more data")
        }
    }

    private func require(_ isGood: Bool, _ detail: String, _ remedy: String) throws(TrainingError) {
        if !isGood { throw .invalidSetting("\(detail) cannot be trained with", remedy: remedy) }
    }
}
