import CommandLineSupport
import Foundation
import Trainer
import Verbena

/// What a run says of itself, line by line.
enum TrainingText {
    static func heading(_ trainer: DataParallelTrainer, _ communicator: Communicator, dataOrigin: String) -> String {
        let ranks = communicator.worldSize
        return """
            data   \(dataOrigin)
            model  \(trainer.title), \(grouped(trainer.elementCount)) parameters
            job    \(ranks) rank\(ranks == 1 ? "" : "s") of batch \(trainer.settings.batchPerRank), \
            \(grouped(trainer.stepsPerEpoch)) steps an epoch, fabric \(communicator.fabricName), device \(communicator.deviceName)
            math   \(BLAS.description), one thread a rank
            """ + wire(trainer)
    }

    /// Where a run goes on.
    static func resumption(_ resumption: Resumption, _ trainer: DataParallelTrainer) -> String {
        guard trainer.firstEpoch < trainer.epochCount else {
            return "resume all \(grouped(trainer.stepCount)) steps of this run are done; more --epochs or --steps go on"
        }
        let skipped = resumption.skippedSamples
        return "resume in epoch \(resumption.epoch + 1), at step \(grouped(resumption.step + 1))"
            + (skipped > 0 ? "; \(grouped(skipped)) samples of it are left out, the batch being another" : "")
    }

    /// A line where gradients do not travel as they are.
    private static func wire(_ trainer: DataParallelTrainer) -> String {
        trainer.settings.exchange.wire == .plain
            ? "" : "\nwire   \(trainer.settings.exchange.wire == nil ? "auto, now " : "")\(trainer.explanation.wireText)"
    }

    /// - Parameter epoch: from 0, as the trainer counts; people count from 1.
    static func line(epoch: Int, of epochs: Int, _ report: EpochReport) -> String {
        let exposedShare = report.seconds > 0 ? report.exposedSeconds / report.seconds : 0
        return title(epoch: epoch, of: epochs)
            + String(format: "  loss %.4f  held out %.4f  accuracy %5.2f %%  ", report.loss, report.heldOutLoss, report.accuracy * 100)
            + "\(grouped(Int(report.samplesPerSecond.rounded()))) samples/s"
            + String(format: "  exposed %.3f s (%.1f %%", report.exposedSeconds, exposedShare * 100)
            + reason(report) + ")" + lack(report)
    }

    /// The time that the trainer could not compute because others had the core, where it is a twentieth of the epoch.
    private static func lack(_ report: EpochReport) -> String {
        let seconds = report.time.withoutCoreSeconds
        return seconds > 0 && seconds >= report.seconds / 20 ? String(format: "  without a core %.3f s", seconds) : ""
    }

    /// What most of the exposed time was waited for, and the rank that was late for a hundredth of the epoch, if one was.
    private static func reason(_ report: EpochReport) -> String {
        guard let cause = report.time.exposed.largest else { return "" }
        let name =
            switch cause {
            case .ownGradient: "own gradients"
            case .latePeer: "late ranks"
            case .wire: "the wire"
            case .reduction: "the reduction"
            case .core: "a core"
            case .release: "release"
            }
        guard let late = report.time.latest, late.seconds >= report.seconds / 100 else { return ", most for \(name)" }
        return ", most for \(name)" + String(format: "; %.3f s for rank %d", late.seconds, late.rank)
    }

    /// `epoch  3/10`: as wide for every epoch of a run.
    static func title(epoch: Int, of epochs: Int) -> String {
        let number = String(epoch + 1)
        return "epoch \(String(repeating: " ", count: max(0, String(epochs).count - number.count)))\(number)/\(epochs)"
    }

    /// `41234` as `41,234`.
    static func grouped(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }
}

/// A bar that is drawn over itself in the last line of a terminal; at most ten times a second, so that drawing costs nothing.
struct ProgressBar {
    static let secondsBetweenDrawings = 0.1
    static let cells = 30

    private let epochs: Int
    private let stepsPerEpoch: Int
    private let isShown: Bool
    private let clock = ContinuousClock()
    private var lastDrawing: ContinuousClock.Instant?

    /// Whether standard output is a terminal that can empty a line.
    static var suitsOutput: Bool { isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb" }

    init(epochs: Int, stepsPerEpoch: Int, isShown: Bool) {
        self.epochs = epochs
        self.stepsPerEpoch = stepsPerEpoch
        self.isShown = isShown
    }

    mutating func update(_ record: StepRecord) {
        guard isShown else { return }
        let now = clock.now
        if let lastDrawing, now - lastDrawing < .seconds(Self.secondsBetweenDrawings) { return }
        lastDrawing = now
        let bar = Self.text(epoch: record.epoch, of: epochs, doneSteps: record.step + 1, of: stepsPerEpoch, loss: record.loss)
        try? write(eraseLine + bar)
    }

    /// Gives the line free, if the bar stands in it.
    mutating func clear() {
        guard lastDrawing != nil else { return }
        lastDrawing = nil
        try? write(eraseLine)
    }

    static func text(epoch: Int, of epochs: Int, doneSteps: Int, of steps: Int, loss: Float) -> String {
        let full = cells * doneSteps / max(1, steps)
        let bar = String(repeating: "#", count: full) + String(repeating: " ", count: cells - full)
        return TrainingText.title(epoch: epoch, of: epochs) + "  [\(bar)]"
            + String(format: " %3d %%  loss %.4f", 100 * doneSteps / max(1, steps), loss)
    }
}
