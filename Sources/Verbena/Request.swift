public import Engine

/// An operation that was started.
///
/// Wait for it before the buffers are touched again. One that is dropped without waiting is waited for then. Any thread may ask and wait; the
/// communicator stays as long as its operations, and `close` completes them.
public final class Request: Sendable {
    private let operation: StartedOperation
    /// The operation instead, where `close` may have to copy its result.
    private let staged: StagedOperation?
    /// Not used: kept.
    private let communicator: Communicator

    /// - Parameter output: where the result has to be copied to the caller's memory.
    init(_ ticket: Int, of communicator: Communicator, copiesTo output: (any StagedOutput)?, _ writtenRange: Range<Int>) {
        operation = StartedOperation(communicator.core, ticket)
        staged = output.map { StagedOperation(communicator.core, ticket, copiesTo: $0, writtenRange) }
        self.communicator = communicator
    }

    deinit { try? wait() }

    /// Whether the operation has ended: `wait` would return at once, but for the copy of a staged buffer.
    public var isDone: Bool { staged?.isDone ?? operation.isDone }

    /// Returns when the operation has ended on this rank; a second time at once, with the same outcome.
    /// - Throws: the verdict, when a rank is lost; `.closed`, where the communicator was left or aborted before the operation's end, or closed and
    ///   the other end of a transfer was not begun.
    public func wait() throws(VerbenaError) {
        if let staged { try staged.wait() } else { try operation.wait {} }
    }
}
