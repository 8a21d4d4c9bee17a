import Foundation
import Synchronization

/// Writes one checkpoint after the other into one file, by a thread of its own. The next one waits for the one before.
final class CheckpointWriter {
    private final class Outcome: Sendable {
        /// Of the last checkpoint that is over; and the one that nobody was told of.
        private let failures = Mutex<(last: CheckpointError?, untold: CheckpointError?)>((nil, nil))

        func end(_ failure: CheckpointError?) { failures.withLock { $0 = (failure, failure ?? $0.untold) } }
        var last: CheckpointError? { failures.withLock { $0.last } }

        func takeUntold() -> CheckpointError? {
            failures.withLock { failures in
                defer { failures.untold = nil }
                return failures.untold
            }
        }
    }

    let path: String
    private let queue = DispatchQueue(label: "verbena checkpoint")
    private let outcome = Outcome()
    /// Its memory is used again.
    private var image: [UInt8] = []

    init(path: String) { self.path = path }

    deinit { queue.sync {} }

    /// Returns when the values are copied.
    func write(metadata: [String: String], tensors: [(name: String, values: Parameter)]) {
        queue.sync {}
        if let broken = tensors.first(where: { !Self.isFinite($0.values) }) {
            outcome.end(
                CheckpointError(
                    .notFinite, path: path, expected: "numbers in \(broken.name)", found: "infinity or NaN",
                    remedy: "lower the learning rate; the checkpoint before is as it was"))
            return
        }
        Safetensors.encode(metadata: metadata, tensors: tensors, into: &image)
        queue.async { [path, image, outcome] in
            do throws(CheckpointError) {
                try CheckpointFile.replace(path, with: image)
                outcome.end(nil)
            } catch { outcome.end(error) }
        }
    }

    /// A failure that was not taken yet. Does not wait.
    func takeFailure() -> CheckpointError? { outcome.takeUntold() }

    /// Waits until the last checkpoint is on the disk.
    /// - Returns: why it is not.
    func finish() -> CheckpointError? {
        queue.sync {}
        return outcome.last
    }

    private static func isFinite(_ parameter: Parameter) -> Bool {
        // SAFETY: the parameter holds its values.
        unsafe Elements.chosen.sumOfSquares(parameter.values).isFinite
    }
}
