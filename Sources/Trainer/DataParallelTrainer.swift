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
    public let model: any Model
    /// Of an epoch; the last one of a run may be shorter, where `TrainingSettings.steps` says so.
    public let stepsPerEpoch: Int
    /// One line where ranks multiply matrices with different kernels, who with which; nil as a rule. The parameters still stay equal on all
    /// ranks, but their last bits, and so the digest, are another run's than with one kind of kernels. Where ranks share a copy of the model, what they have in
    /// common may differ then, which `agreedParameterDigest` finds.
    public let kernelWarning: String?

    let communicator: Communicator
    /// One rank of each copy of the model, whose batches differ: those that average gradients.
    let replicas: Communicator
    let data: DataSplit
    let sharding: Sharding
    let flow: ParameterFlow
    private let batch: Batch
    private let logitsGradient: FloatBuffer
    private let loss: SoftmaxCrossEntropy
    let statistics: AveragedStatistics?
    /// On rank 0, where checkpoints are wanted.
    let checkpointWriter: CheckpointWriter?
    /// Where a checkpoint that was read lets the run go on.
    var start = (epoch: 0, step: 0)
    private let clock = ContinuousClock()
    /// The step whose gradients travel.
    private var pending: (epoch: Int, step: Int)?

    private let team: Communicator?

    /// Collective: compares settings and data across ranks, and registers the gradients' memory.
    /// - Parameter ownModel: makes the model for batches of up to so many samples, where the settings name one that is not included. Every rank's begins with the
    ///   same parameters, or the digests will differ.
    /// - Throws: a setting out of bounds, too few samples, ranks that differ, or the engine's error.
    public init(
        _ communicator: Communicator, data: DataSplit, settings: TrainingSettings, ownModel: ((_ capacity: Int) -> any Model)? = nil
    ) throws(TrainingError) {
        try settings.validate()
        try BLAS.check()
        self.communicator = communicator
        self.data = data
        self.settings = settings
        sharding = settings.sharding(of: data, worldSize: communicator.worldSize)
        stepsPerEpoch = sharding.stepsPerEpoch
        kernelWarning = try Self.checkAgreement(communicator, data, settings)
        try settings.validate(for: data, worldSize: communicator.worldSize)
        let (replicas, team) = try communicating { () throws(VerbenaError) in try Self.groups(of: communicator, settings.tensorRanks) }
        (self.replicas, self.team) = (replicas, team)
        // What ranks add up in the middle of a pass is no part of the exchange's order of operations.
        let aside = try communicating { () throws(VerbenaError) in
            settings.synchronisesBatchNorm ? try replicas.split(color: 0, key: replicas.rank) : nil
        }
        let capacity = max(settings.batchPerRank, Evaluation.batch(of: data.training.input))
        model = try communicating { () throws(VerbenaError) -> any Model in
            if let ownModel { return ownModel(capacity) }
            return try settings.model.make(
                for: data.training, capacity: capacity, seed: settings.seed, dropout: settings.dropout,
                batchNorm: aside, team: team)
        }
        batch = Batch(capacity: capacity, input: model.input, labelsPerSample: model.labelsPerSample)
        logitsGradient = FloatBuffer(count: capacity * model.labelsPerSample * model.classCount)
        loss = SoftmaxCrossEntropy(smoothing: settings.labelSmoothing)
        checkpointWriter = communicator.rank == 0 ? settings.checkpoints.map { CheckpointWriter(path: $0.path) } : nil
        let model = self.model
        flow = try communicating { () throws(VerbenaError) in try ParameterFlow(replicas, model, settings) }
        statistics = try communicating { () throws(VerbenaError) in try AveragedStatistics(model.statistics, replicas) }
    }

    /// The model for people: `784-256-128-10`, or its name.
    public var title: String { settings.model.title(for: data.training) }

    /// Of the whole model, of which ranks of a team have parts.
    public var elementCount: Int {
        model.parameters.reduce(0) { $0 + $1.elementCount * ($1.isPart ? settings.tensorRanks : 1) }
    }

    /// See `GradientExchange.clockOffsetNanoseconds`.
    public var clockOffsetNanoseconds: Int64 { flow.exchange.clockOffsetNanoseconds }

    /// How many steps all epochs have.
    public var stepCount: Int { min(settings.steps ?? .max, settings.epochs * stepsPerEpoch) }

    /// How many epochs are begun.
    public var epochCount: Int { (stepCount + stepsPerEpoch - 1) / stepsPerEpoch }

    /// One pass over the training data, or over the rest of it, where a checkpoint lies inside the epoch. The samples that fill no whole global batch are left out, other ones in each epoch.
    /// - Parameters:
    ///   - epoch: from 0; with the seed it fixes the order of the samples.
    ///   - onStep: called after each step, on this thread, when the next step's forward pass is over.
    /// - Returns: the figures of the epoch; loss and accuracy are the same on every rank.
    public func runEpoch(_ epoch: Int, onStep: (StepRecord) -> Void = { _ in }) throws(TrainingError) -> EpochReport {
        let order = sharding.order(epoch: epoch)
        let steps = min(stepsPerEpoch, stepCount - epoch * stepsPerEpoch)
        let first = epoch == start.epoch ? start.step : 0
        invariant(steps > first, "epoch \(epoch) of \(epochCount), from step \(first)")
        var lossSum = 0.0
        var time = StepTotals()
        func end(_ record: StepRecord?) throws(TrainingError) {
            guard let record else { return }
            guard record.loss.isFinite else { throw .diverged(epoch: epoch, step: record.step, loss: record.loss) }
            lossSum += Double(record.loss)
            time.add(record.report)
            onStep(record)
        }
        // Of the last update of the epoch before, an evaluation that has no name, and whatever its caller did.
        flow.exchange.nameTimeSinceLastStep("between epochs")
        let begin = clock.now
        for step in first..<steps {
            try end(
                communicating { () throws(VerbenaError) in
                    try runStep(step, of: epoch, sharding.samples(in: order, step: step, rank: replicas.rank))
                })
            guard step + 1 < steps, isCheckpointDue(after: epoch * stepsPerEpoch + step + 1) else { continue }
            try end(communicating(finishStep))
            try writeCheckpoint(epoch: epoch, step: step + 1)
        }
        // A step is over when the next one has used its gradients; after the last one there is none.
        try end(communicating(finishStep))
        let seconds = (clock.now - begin) / .seconds(1)
        let heldOut = try evaluate()
        guard heldOut.loss.isFinite else { throw .diverged(epoch: epoch, step: steps - 1, loss: Float(heldOut.loss)) }
        if isCheckpointDue(after: epoch * stepsPerEpoch + steps, atEnd: true) { try writeCheckpoint(epoch: epoch, step: steps) }
        return EpochReport(
            loss: lossSum / Double(steps - first), accuracy: heldOut.accuracy, heldOutLoss: heldOut.loss, seconds: seconds,
            samplesPerSecond: Double((steps - first) * sharding.globalBatch) / max(seconds, .leastNormalMagnitude),
            exposedSeconds: time.exposed.total, time: time)
    }

    /// Forward, with the update of the step before in it, and backward, with the exchange behind it; batch by batch, where several are added up.
    /// - Returns: the record of the step before.
    private func runStep(_ step: Int, of epoch: Int, _ samples: ArraySlice<Int>) throws(VerbenaError) -> StepRecord? {
        var record: StepRecord?
        let number = epoch * stepsPerEpoch + step
        for part in 0..<settings.accumulation {
            let start = samples.startIndex + part * settings.batchPerRank
            flow.exchange.named("input") { batch.load(samples[start..<start + settings.batchPerRank], of: data.training) }
            let draw = (number * settings.accumulation + part) * replicas.worldSize + replicas.rank
            let pass = Pass(sink: flow, seed: Self.drawSeed(settings.seed, draw))
            let logits = try model.forward(batch.matrix, pass)
            if part == 0 {
                record = try finishStep()
                flow.beginStep(rate: settings.rate.rate(step: number, stepsPerEpoch: stepsPerEpoch, stepCount: stepCount))
            }
            flow.begin(batch: part)
            guard part + 1 < settings.accumulation else {
                try backward(logits, pass)
                break
            }
            try wrapped { try flow.exchange.withoutSynchronization { () throws(VerbenaError) in try backward(logits, pass) } }
        }
        flow.endStep()
        pending = (epoch, step)
        return record
    }

    /// Far apart for all draws of a run.
    private static func drawSeed(_ seed: UInt64, _ draw: Int) -> UInt64 {
        var mixer = SplitMix64(state: seed)
        mixer = SplitMix64(state: mixer.next() ^ UInt64(draw))
        return mixer.next()
    }

    private func backward(_ logits: Matrix, _ pass: Pass) throws(VerbenaError) {
        let gradient = logitsGradient.matrix(rows: logits.rows, columns: logits.columns)
        let share = 1 / Float(settings.accumulation)
        let value = loss.lossAndGradient(logits: logits, labels: batch.labels, gradient: gradient, weight: share)
        try flow.giveLoss(Float(value) * share)
        try model.backward(gradient, pass)
    }

    /// Brings all parameters up to date.
    /// - Returns: the record of the step that is over by that; nil where none was under way.
    private func finishStep() throws(VerbenaError) -> StepRecord? {
        guard let loss = try flow.finishStep(), let (epoch, step) = pending else { return nil }
        pending = nil
        return StepRecord(epoch: epoch, step: step, loss: loss, report: flow.exchange.lastReport ?? StepReport())
    }

    /// What the model makes of the held-out samples: the share of labels that it gets right, and the mean loss in nats. Each rank looks at its part of them.
    /// Collective.
    public func evaluate() throws(TrainingError) -> (accuracy: Double, loss: Double) {
        try flow.exchange.named("evaluation") { () throws(TrainingError) in
            try communicating { () throws(VerbenaError) in
                try statistics?.average()
                return try judge()
            }
        }
    }

    private func judge() throws(VerbenaError) -> (accuracy: Double, loss: Double) {
        let samples = Array(Sharding.part(of: data.heldOut.count, rank: replicas.rank, worldSize: replicas.worldSize))
        let (correct, lossSum) = try Evaluation.sums(model, samples, of: data.heldOut, batch, scratch: logitsGradient)
        let parts = try replicas.allGather(Array("\(correct) \(lossSum)".utf8), label: "evaluation")
        let labels = Double(data.heldOut.count * model.labelsPerSample)
        let sums = parts.map { String(decoding: $0, as: UTF8.self).split(separator: " ").compactMap { Double($0) } }
        return (sums.reduce(0) { $0 + $1[0] } / labels, sums.reduce(0) { $0 + $1[1] } / labels)
    }

    /// By which plan gradients travel, what the planner expects of it, and what was measured.
    public var explanation: GradientExplanation { flow.exchange.explain() }

    /// SHA-256 in hexadecimal over the bytes of all parameters in forward order. Collective: throws, with the ranks, where
    /// they are not equal everywhere.
    public func agreedParameterDigest() throws(TrainingError) -> String {
        let digest = Fingerprint.parameters(of: model)
        try RankAgreement.check([("parameters after training", digest)], across: replicas)
        guard let team else { return digest }
        // What all ranks of a copy have is kept equal by equal arithmetic alone.
        let common = Fingerprint.parameters(model.parameters.filter { !$0.isPart })
        try RankAgreement.check([("parameters of one copy", common)], across: team)
        // Of all parts of a copy.
        return try communicating { () throws(VerbenaError) in
            Fingerprint.text(try communicator.allGather(Array(digest.utf8), label: "digests")[..<settings.tensorRanks])
        }
    }

    /// The ranks that average gradients, and those that share this rank's copy of the model; nil where each has its own.
    private static func groups(
        of communicator: Communicator, _ tensorRanks: Int
    ) throws(VerbenaError) -> (replicas: Communicator, team: Communicator?) {
        guard tensorRanks > 1 else { return (communicator, nil) }
        let rank = communicator.rank
        let team = try communicator.split(color: rank / tensorRanks, key: rank)
        let replicas = try communicator.split(color: rank % tensorRanks, key: rank)
        return (replicas ?? communicator, team)
    }

    /// - Returns: what the user is to be warned of.
    private static func checkAgreement(
        _ communicator: Communicator, _ data: DataSplit, _ settings: TrainingSettings
    ) throws(TrainingError) -> String? {
        let variants = try RankAgreement.check(
            [
                ("number of epochs", String(settings.epochs)),
                ("number of steps", settings.steps.map(String.init) ?? "all"),
            ] + settings.traits + [
                ("exchange", "\(settings.exchange)"),
                ("ranks of a copy", String(settings.tensorRanks)),
                ("update", settings.sharesUpdate ? "shared" : "by every rank"),
                ("checkpoints", settings.checkpoints.map { $0.steps.map { "each \($0) steps" } ?? "each epoch" } ?? "none"),
                ("data", Fingerprint.data(data)),
            ], advised: [("kernels", "\(BLAS.description), \(Convolution.kernelName)")], across: communicator)
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
    /// On them, the mean, in nats.
    public let heldOutLoss: Double
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
func communicating<Result>(_ body: () throws(VerbenaError) -> Result) throws(TrainingError) -> Result {
    do { return try body() } catch { throw .communication(error) }
}

/// Gives a call its type of error, where its declaration says less: it throws the engine's errors only.
private func wrapped(_ body: () throws -> Void) throws(VerbenaError) {
    do { try body() } catch let error as VerbenaError { throw error } catch { fatalError("\(error)") }
}
