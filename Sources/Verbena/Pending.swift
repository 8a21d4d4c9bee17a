internal import Synchronization

/// An operation that was started.
///
/// Wait for it before the buffers are touched again. One that is dropped without waiting is waited for then. Any thread may ask and wait; the
/// communicator stays as long as its operations, and `close` completes them.
public final class Pending: Sendable {
    private let operation: StartedOperation
    /// Not used: kept.
    private let communicator: Communicator

    init(_ operation: StartedOperation, of communicator: Communicator) {
        self.operation = operation
        self.communicator = communicator
    }

    deinit { try? operation.wait() }

    /// Whether the operation has ended: `wait` would return at once, but for the copy of a staged buffer.
    public var isDone: Bool { operation.isDone }

    /// Returns when the operation has ended on this rank; a second time at once, with the same outcome.
    /// - Throws: the verdict, when a rank is lost; `.closed`, where the communicator was left or aborted before the operation's end, or
    ///   closed when its other end was not begun.
    public func wait() throws(VerbenaError) { try operation.wait() }
}

/// A started operation and how it ended: held by the caller's `Pending`, and by the communicator where `close` has something left to do for it.
final class StartedOperation: Sendable {
    private enum Outcome {
        case open, done
        case failed(VerbenaError)
    }

    private let core: CommunicatorCore
    private let ticket: Int
    /// Where the result has to be copied to the caller's memory.
    private let stagedOutput: (any StagedOutput)?
    private let writtenRange: Range<Int>
    /// Held by the thread that waits; others wait for that.
    private let outcome = Mutex(Outcome.open)
    /// Whether there is an outcome. Set before the ticket is given back.
    private let isSettled = Atomic(false)

    init(_ core: CommunicatorCore, _ ticket: Int, copiesTo stagedOutput: (any StagedOutput)?, _ writtenRange: Range<Int>) {
        self.core = core
        self.ticket = ticket
        self.stagedOutput = stagedOutput
        self.writtenRange = writtenRange
        if stagedOutput != nil { core.adopt(self) }
    }

    var isDone: Bool {
        if isSettled.load(ordering: .acquiring) || core.engine.hasEnded(ticket) { return true }
        // Between the two the ticket may have been given back, and be another operation's.
        return isSettled.load(ordering: .acquiring)
    }

    func wait() throws(VerbenaError) {
        try outcome.withLock { (outcome) throws(VerbenaError) in
            switch outcome {
            case .done: return
            case .failed(let error): throw error
            case .open: break
            }
            defer {
                isSettled.store(true, ordering: .releasing)
                core.engine.release(ticket)
                if stagedOutput != nil { core.forget(self) }
            }
            do throws(VerbenaError) {
                _ = try core.engine.wait(ticket)
                try stagedOutput?.stageOut(writtenRange)
                outcome = .done
            } catch {
                outcome = .failed(error)
                throw error
            }
        }
    }
}
