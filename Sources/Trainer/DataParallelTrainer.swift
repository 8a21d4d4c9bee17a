public import Verbena

/// Trains one model on all ranks of a communicator: every rank its part of each batch, gradients averaged by the engine.
///
/// Everything that it needs of the engine is the public face of `Verbena`, as for anyone's trainer. Each rank begins with the
/// same parameters, which follow from the seed, and applies the same averaged gradients, so the parameters stay equal to the
/// last bit; `agreedParameterDigest` checks that.
///
/// A step's gradients are waited for one after the other, each right before the next step's forward pass needs its parameter, which is updated then: so
/// the first layers work while the gradients of the last are on the wire. What ends an epoch (`finishStep`) waits for all.
///
/// Belongs to the thread that made it. All ranks must make the same calls in the same order. An error ends the run.
public final class DataParallelTrainer {
    public let settings: TrainingSettings
    public let model: MultilayerPerceptron
    public var stepsPerEpoch: Int { sharding.stepsPerEpoch }
    /// One line where ranks multiply matrices with different kernels, who with which; nil as a rule. The parameters still stay equal on all
    /// ranks, but their last bits, and so the digest, are another run's than with one kind of kernels.
    public let kernelWarning: String?

    private let communicator: Communicator
    private let data: DataSplit
    private let sharding: Sharding
    private let optimizer: MomentumSGD
    private let workspace: Workspace
    private let evaluationWorkspace: Workspace
    private let exchange: GradientExchange
    /// The step whose gradients travel; of its parameters, those before `nextUpdate` are up to date.
    private var pending: (epoch: Int, step: Int)?
    private var nextUpdate = 0
    private let clock = ContinuousClock()

    /// How many samples are evaluated at a time: large enough that sgemm is efficient.
    private static let evaluationBatch = 256

    /// Collective: compares settings and data across ranks, and registers the gradients' memory.
    /// - Throws: a setting out of bounds, too few samples, ranks that differ, or the engine's error.
    public init(_ communicator: Communicator, data: DataSplit, settings: TrainingSettings) throws(TrainingError) {
        try settings.validate()
        try BLAS.check()
        self.communicator = communicator
        self.data = data
        self.settings = settings
        sharding = Sharding(
            sampleCount: data.training.count, worldSize: communicator.worldSize, batchPerRank: settings.batchPerRank, seed: settings.seed)
        kernelWarning = try Self.checkAgreement(communicator, data, settings)
        try settings.validate(for: data, worldSize: communicator.worldSize)
        model = MultilayerPerceptron(
            layerSizes: [data.training.pixelsPerImage] + settings.hiddenSizes + [ImageDataset.classCount], seed: settings.seed)
        optimizer = MomentumSGD(for: model, learningRate: settings.learningRate, momentum: settings.momentum)
        workspace = Workspace(for: model, capacity: settings.batchPerRank)
        evaluationWorkspace = Workspace(for: model, capacity: Self.evaluationBatch)
        let model = self.model
        let parameters = (0..<model.parameterCount).map { index in
            ParameterLayout(name: model.parameterName(index), elementCount: model.elementCount(ofParameter: index))
        }
        // The loss travels as one more element: every rank knows every step's global loss at no message of its own. It is
        // last in forward order, so it leaves with the first bucket. Where blocks share a scale it has one of its own, or gradients beside it would be lost.
        let loss = ParameterLayout(name: "loss", elementCount: settings.exchange.wire == .int8 ? WireFormat.blockElements : 1)
        exchange = try communicating { () throws(VerbenaError) in
            try GradientExchange(communicator, parameters: parameters + [loss], settings: settings.exchange)
        }
    }

    /// See `GradientExchange.clockOffsetNanoseconds`.
    public var clockOffsetNanoseconds: Int64 { exchange.clockOffsetNanoseconds }

    /// One pass over the training data. The samples that fill no whole global batch are left out, other ones in each epoch.
    /// - Parameters:
    ///   - epoch: from 0; with the seed it fixes the order of the samples.
    ///   - onStep: called after each step, on this thread, when the next step's forward pass is over.
    /// - Returns: the figures of the epoch; loss and accuracy are the same on every rank.
    public func runEpoch(_ epoch: Int, onStep: (StepRecord) -> Void = { _ in }) throws(TrainingError) -> EpochReport {
        let order = sharding.order(epoch: epoch)
        var lossSum = 0.0
        var time = StepTotals()
        // Of the last update of the epoch before, an evaluation that has no name, and whatever its caller did.
        exchange.nameTimeSinceLastStep("between epochs")
        let start = clock.now
        // One turn more: a step is over when the next one has used its gradients.
        for step in 0...stepsPerEpoch {
            let record = try communicating { () throws(VerbenaError) in
                guard step < stepsPerEpoch else { return try finishStep() }
                return try runStep(step, of: epoch, sharding.samples(in: order, step: step, rank: communicator.rank))
            }
            guard let record else { continue }
            guard record.loss.isFinite else { throw .diverged(epoch: epoch, step: record.step, loss: record.loss) }
            lossSum += Double(record.loss)
            time.add(record.report)
            onStep(record)
        }
        let seconds = (clock.now - start) / .seconds(1)
        return EpochReport(
            loss: lossSum / Double(stepsPerEpoch), accuracy: try evaluate(), seconds: seconds,
            samplesPerSecond: Double(stepsPerEpoch * sharding.globalBatch) / max(seconds, .leastNormalMagnitude),
            exposedSeconds: time.exposed.total, time: time)
    }

    /// Forward, with the update of the step before in it, and backward, with the exchange behind it.
    /// - Returns: the record of the step before.
    private func runStep(_ step: Int, of epoch: Int, _ samples: ArraySlice<Int>) throws(VerbenaError) -> StepRecord? {
        let lossIndex = model.parameterCount
        exchange.named("input") { workspace.load(samples, of: data.training) }
        try model.forward(workspace) { (index) throws(VerbenaError) in try update(through: index) }
        let record = try finishStep()
        // SAFETY: views are valid as long as the exchange, which this object holds.
        unsafe exchange.gradient(at: lossIndex)[0] = Float(model.loss(workspace))
        try exchange.gradientReady(lossIndex)
        // SAFETY: as above; backward writes each view before its announcement only.
        try unsafe model.backward(workspace, gradients: exchange.gradient(at:)) { (index) throws(VerbenaError) in
            try exchange.gradientReady(index)
        }
        (pending, nextUpdate) = ((epoch, step), 0)
        return record
    }

    /// Brings the parameters up to this one up to date.
    private func update(through last: Int) throws(VerbenaError) {
        guard pending != nil else { return }
        while nextUpdate <= last {
            try exchange.wait(for: nextUpdate)
            // SAFETY: the model and the exchange are held here, and the wait has given the view back.
            unsafe optimizer.update(nextUpdate, model.parameter(at: nextUpdate), by: exchange.gradient(at: nextUpdate))
            nextUpdate += 1
        }
    }

    /// Brings all parameters up to date.
    /// - Returns: the record of the step that is over by that; nil where none was under way.
    private func finishStep() throws(VerbenaError) -> StepRecord? {
        guard let (epoch, step) = pending else { return nil }
        let lossIndex = model.parameterCount
        try update(through: lossIndex - 1)
        try exchange.wait(for: lossIndex)
        pending = nil
        // SAFETY: the exchange is held here, and the wait has given the view back.
        let loss = unsafe exchange.gradient(at: lossIndex)[0]
        return StepRecord(epoch: epoch, step: step, loss: loss, report: exchange.lastReport ?? StepReport())
    }

    /// The share of the held-out samples that the model puts into the right class. Each rank looks at its part of them, and
    /// the counts are added as integers. Collective.
    public func evaluate() throws(TrainingError) -> Double {
        try exchange.named("evaluation") { () throws(TrainingError) in try measureAccuracy() }
    }

    private func measureAccuracy() throws(TrainingError) -> Double {
        let part = Sharding.part(of: data.heldOut.count, rank: communicator.rank, worldSize: communicator.worldSize)
        let samples = Array(part)
        var correct = 0
        for start in stride(from: 0, to: samples.count, by: Self.evaluationBatch) {
            evaluationWorkspace.load(samples[start..<min(start + Self.evaluationBatch, samples.count)], of: data.heldOut)
            model.forward(evaluationWorkspace)
            correct += model.correctCount(evaluationWorkspace)
        }
        let counts = try communicating { () throws(VerbenaError) in
            try communicator.allGather(Array(String(correct).utf8), label: "evaluation")
        }
        let total = counts.reduce(0) { $0 + (Int(String(decoding: $1, as: UTF8.self)) ?? 0) }
        return Double(total) / Double(data.heldOut.count)
    }

    /// By which plan gradients travel, what the planner expects of it, and what was measured.
    public var explanation: GradientExplanation { exchange.explain() }

    /// SHA-256 in hexadecimal over the bytes of all parameters in forward order. Collective: throws, with the ranks, where
    /// they are not equal everywhere.
    public func agreedParameterDigest() throws(TrainingError) -> String {
        let digest = Fingerprint.parameters(of: model)
        try RankAgreement.check([("parameters after training", digest)], across: communicator)
        return digest
    }

    /// - Returns: what the user is to be warned of.
    private static func checkAgreement(
        _ communicator: Communicator, _ data: DataSplit, _ settings: TrainingSettings
    ) throws(TrainingError) -> String? {
        let variants = try RankAgreement.check(
            [
                ("hidden sizes", settings.hiddenSizes.map(String.init).joined(separator: ",")),
                ("number of epochs", String(settings.epochs)),
                ("batch", String(settings.batchPerRank)),
                ("learning rate", String(settings.learningRate)),
                ("momentum", String(settings.momentum)),
                ("wire format", settings.exchange.wireName),
                ("exchange", "\(settings.exchange)"),
                ("seed", String(settings.seed)),
                ("data", Fingerprint.data(data)),
            ], advised: [("kernels", BLAS.description)], across: communicator)
        return variants.map {
            "ranks multiply with different kernels: \(TrainingError.text($0)); the digest is that of no other mixture; "
                + "set VERBENA_MATH=portable, or OPENBLAS_CORETYPE to one that all CPUs can run, such as Haswell"
        }
    }
}

/// One step as every rank saw it, but for the time, which is this rank's own.
public struct StepRecord: Sendable {
    public let epoch: Int
    public let step: Int
    /// The mean over the global batch, before the step's update.
    public let loss: Float
    /// Where the step's time went.
    public let report: StepReport
}

/// The figures of an epoch. The times are this rank's own.
public struct EpochReport: Sendable, Codable {
    /// The mean of the steps' losses, in nats.
    public let loss: Double
    /// On the held-out samples after the epoch, 0...1.
    public let accuracy: Double
    /// Of the training steps; evaluation is not in it.
    public let seconds: Double
    /// Of all ranks together.
    public let samplesPerSecond: Double
    /// How long the trainer waited for gradients in all.
    public let exposedSeconds: Double
    /// Where the time of the training steps went. Its whole is a little more than `seconds`: what there was since the last step of the epoch before has names.
    public let time: StepTotals
}

/// Wraps the engine's error into the trainer's.
private func communicating<Result>(_ body: () throws(VerbenaError) -> Result) throws(TrainingError) -> Result {
    do { return try body() } catch { throw .communication(error) }
}
