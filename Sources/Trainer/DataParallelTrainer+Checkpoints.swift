import Verbena

extension DataParallelTrainer {
    /// Goes on from a checkpoint, which rank 0 reads and sends to all. Before the first epoch. Collective.
    ///
    /// With the settings, data, ranks and kernels of the run that wrote it, parameters become those of a run without interruption, to the last bit. With
    /// another number of ranks or another batch, the run goes on with the next epoch, or, from inside an epoch, with the first global batch of the new size that begins
    /// behind the samples that were seen: no sample comes twice, less than one global batch of them is left out.
    /// - Throws: the same error on every rank, where the checkpoint is damaged or of another model; nothing was changed by then.
    public func resume(from path: String) throws(TrainingError) -> Resumption {
        try settings.requireWholeModel("going on from a checkpoint")
        let shared = try communicating { () throws(VerbenaError) in
            try RootBytes.share(communicator, label: "checkpoint") { () throws(CheckpointError) in try Checkpoint.read(path).file.bytes }
        }
        let checkpoint: Checkpoint
        do throws(CheckpointError) {
            checkpoint = try Checkpoint(Safetensors(shared.get(), path: path))
            try checkpoint.check(settings, for: data)
            let states = flow.optimizer.wholeStates()
            try checkpoint.load(Checkpoint.tensors(of: model, states))
            flow.optimizer.take(states)
        } catch { throw .checkpoint(error) }
        flow.optimizer.step = checkpoint.optimizerStep
        let step = (checkpoint.sampleCount + sharding.globalBatch - 1) / sharding.globalBatch
        start = step < stepsPerEpoch ? (checkpoint.epoch, step) : (checkpoint.epoch + 1, 0)
        let skipped = step < stepsPerEpoch ? step * sharding.globalBatch - checkpoint.sampleCount : 0
        return Resumption(epoch: start.epoch, step: start.step, skippedSamples: skipped, warning: warning(of: checkpoint))
    }

    /// The epoch that comes first, from 0; `epochCount` where a checkpoint has left nothing to do.
    public var firstEpoch: Int { start.epoch * stepsPerEpoch + start.step < stepCount ? start.epoch : epochCount }

    /// A checkpoint that could not be written, once; training goes on, and the next one is tried. Does not wait. Nil but on rank 0.
    public func takeCheckpointFailure() -> CheckpointError? { checkpointWriter?.takeFailure() }

    /// Waits until the last checkpoint is on the disk. Collective: throws on every rank where it could not be written.
    public func finishCheckpoints() throws(TrainingError) {
        guard settings.checkpoints != nil else { return }
        let written = try communicating { () throws(VerbenaError) in
            try RootBytes.share(communicator, label: "last checkpoint") { () throws(CheckpointError) in
                if let failure = checkpointWriter?.finish() { throw failure }
                return []
            }
        }
        do throws(CheckpointError) { _ = try written.get() } catch { throw .checkpoint(error) }
    }

    private func warning(of checkpoint: Checkpoint) -> String? {
        var reasons = checkpoint.differences(from: traits)
        if settings.exchange.wire == .int8 { reasons.append("what int8 had kept for the next step is in no checkpoint") }
        if statistics != nil, !settings.synchronisesBatchNorm, checkpoint.sampleCount > 0 {
            reasons.append("running means were averaged inside an epoch")
        }
        guard !reasons.isEmpty else { return nil }
        return "the digest will not be that of a run without interruption: \(reasons.joined(separator: "; "))"
    }

    private var traits: [(name: String, value: String)] {
        settings.traits + [
            ("ranks", String(communicator.worldSize)), ("kernels", "\(BLAS.description), \(Convolution.kernelName)"),
            ("data", Fingerprint.data(data)),
        ]
    }

    /// - Parameters:
    ///   - stepsDone: of the run.
    ///   - atEnd: of an epoch.
    func isCheckpointDue(after stepsDone: Int, atEnd: Bool = false) -> Bool {
        guard let checkpoints = settings.checkpoints else { return false }
        if atEnd, stepsDone == stepCount { return true }
        return checkpoints.steps.map { stepsDone.isMultiple(of: $0) } ?? atEnd
    }

    /// Writes on rank 0, beside what comes next. All parameters must be up to date. Collective: statistics are averaged where they were not, and states that ranks share are put together.
    /// - Parameter step: of the epoch, how many are done.
    func writeCheckpoint(epoch: Int, step: Int) throws(TrainingError) {
        try flow.exchange.named("checkpoint") { () throws(TrainingError) in
            let isWhole = step == stepsPerEpoch
            // At the end of an epoch, or of the run, the evaluation has done so.
            if !isWhole, epoch * stepsPerEpoch + step < stepCount {
                try communicating { () throws(VerbenaError) in try statistics?.average() }
            }
            let states = try communicating { () throws(VerbenaError) in try flow.optimizer.gatherStates(replicas) }
            checkpointWriter?.write(
                metadata: Checkpoint.metadata(
                    of: settings.model, for: data.training, flow.optimizer, epoch: isWhole ? epoch + 1 : epoch,
                    sampleCount: isWhole ? 0 : step * sharding.globalBatch, traits: traits),
                tensors: Checkpoint.tensors(of: model, states))
        }
    }
}
