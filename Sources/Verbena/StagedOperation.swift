internal import Collectives
internal import Engine

/// A started operation whose result has to be copied to the caller's memory: held by the caller's `Request`, and by the communicator, which waits for
/// it in `close`.
final class StagedOperation: Sendable {
    private let operation: StartedOperation
    private let core: CommunicatorCore
    private let output: RawBuffer
    private let writtenRange: Range<Int>

    init(_ core: CommunicatorCore, _ ticket: Int, copiesTo output: RawBuffer, _ writtenRange: Range<Int>) {
        operation = StartedOperation(core, ticket)
        self.core = core
        self.output = output
        self.writtenRange = writtenRange
        core.adopt(self)
    }

    var isDone: Bool { operation.isDone }
    var record: OperationRecord? { operation.record }

    func wait(until deadline: UInt64 = .max) throws(VerbenaError) -> Bool {
        // Also where it throws.
        var hasEnded = true
        defer { if hasEnded { core.forget(self) } }
        hasEnded = try operation.wait(until: deadline) { () throws(VerbenaError) in try output.stageOut(writtenRange) }
        return hasEnded
    }

    func watch(_ watcher: OperationWatcher) -> Bool { operation.watch(watcher) }

    func stopWatching(_ watcher: OperationWatcher) { operation.stopWatching(watcher) }
}
