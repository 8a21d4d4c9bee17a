import ArgumentParser
import CommandLineSupport
import Trainer

/// What is kept of a run, and where one goes on.
struct CheckpointOptions: ParsableArguments {
    @Option(
        help: """
            Write checkpoints to this file, as safetensors: parameters, statistics, the optimizer's state, and the place in the data. Rank 0 writes, beside training; \
            whatever happens, the file is a whole one. A write that fails (a full disk) is a warning, and the next one is tried; if the last one fails, so does \
            the run, after its result.
            """)
    var checkpoint: String?

    @Option(
        parsing: .unconditional,
        help:
            "Steps from one checkpoint to the next, over the whole run. (default: one at the end of each epoch; always one at the end of the run)"
    )
    var checkpointEvery: Int?

    @Option(
        help: """
            Go on from this checkpoint, which only rank 0 must be able to read. With the options of the run that wrote it, the digest becomes that of a run without \
            interruption; what differs is said. With other ranks or another batch, it goes on behind the samples of the epoch that were seen, with the next whole global batch.
            """)
    var resume: String?

    var settings: CheckpointSettings? { checkpoint.map { CheckpointSettings(path: $0, steps: checkpointEvery) } }

    func validate() throws {
        if checkpointEvery != nil, checkpoint == nil {
            throw ValidationError("--checkpoint-every is of --checkpoint FILE, which is missing")
        }
        if resume == "" { throw ValidationError("--resume '': give the name of a file") }
    }

    /// Asked before there are ranks.
    func checkFiles() throws { try checkpoint.map(checkReplaceable) }

    private func checkReplaceable(_ path: String) throws {
        try checkWritable(path)
        do { try CheckpointSettings(path: path).check() } catch { throw Failure("--checkpoint: \(error)") }
    }

    /// Whether a run of these settings can go on from `resume`. On one rank, before there are others.
    func checkResume(_ settings: TrainingSettings, _ data: DataSplit) throws(Failure) {
        guard let resume else { return }
        do { try Checkpoint.read(resume).check(settings, for: data) } catch { throw Failure("--resume: \(error)") }
    }

    /// Lets the trainer go on from `resume`, if it is given. Collective.
    /// - Returns: what to tell of it.
    func resume(_ trainer: DataParallelTrainer) throws -> Resumption? {
        guard let resume else { return nil }
        do { return try trainer.resume(from: resume) } catch TrainingError.checkpoint(let error) {
            throw Failure("--resume: \(error)", isOfEveryRank: true)
        }
    }

    /// Waits for the last checkpoint. Collective.
    func finish(_ trainer: DataParallelTrainer) throws {
        do { try trainer.finishCheckpoints() } catch TrainingError.checkpoint(let error) {
            throw Failure("--checkpoint: \(error)", isOfEveryRank: true)
        }
        // Of one before it, where nobody was told yet.
        if let failure = trainer.takeCheckpointFailure() { Self.warn(failure) }
    }

    static func warn(_ failure: CheckpointError) { CommandLineSupport.warn("checkpoint not written: \(failure)") }
}
