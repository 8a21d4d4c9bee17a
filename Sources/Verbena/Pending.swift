internal import Synchronization

/// An operation that was started.
///
/// Wait for it before the buffers are touched again. One that is dropped without waiting is waited for then. Any thread may ask and wait; the
/// communicator stays as long as its operations, and `close` completes them.
public final class Pending: Sendable {
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

/// A started operation whose result has to be copied to the caller's memory: held by the caller's `Pending`, and by the communicator, which waits for
/// it in `close`.
final class StagedOperation: Sendable {
    private let operation: StartedOperation
    private let core: CommunicatorCore
    private let output: any StagedOutput
    private let writtenRange: Range<Int>

    init(_ core: CommunicatorCore, _ ticket: Int, copiesTo output: any StagedOutput, _ writtenRange: Range<Int>) {
        operation = StartedOperation(core, ticket)
        self.core = core
        self.output = output
        self.writtenRange = writtenRange
        core.adopt(self)
    }

    var isDone: Bool { operation.isDone }

    func wait() throws(VerbenaError) {
        defer { core.forget(self) }
        try operation.wait { () throws(VerbenaError) in try output.stageOut(writtenRange) }
    }
}

/// A started operation and how it ended. A part of the object that holds it, so that starting one allocates no more than that.
struct StartedOperation: ~Copyable, Sendable {
    private enum Outcome {
        case open, done
        case failed(VerbenaError)
    }

    private let core: CommunicatorCore
    private let ticket: Int
    /// Held by the thread that waits; others wait for that.
    private let outcome = Mutex(Outcome.open)
    /// Whether there is an outcome. Set before the ticket is given back.
    private let isSettled = Atomic(false)

    init(_ core: CommunicatorCore, _ ticket: Int) {
        self.core = core
        self.ticket = ticket
    }

    var isDone: Bool {
        if isSettled.load(ordering: .acquiring) || core.engine.hasEnded(ticket) { return true }
        // Between the two the ticket may have been given back, and be another operation's.
        return isSettled.load(ordering: .acquiring)
    }

    /// - Parameter copyOut: what is left to do when the operation has ended well; once.
    func wait(_ copyOut: () throws(VerbenaError) -> Void) throws(VerbenaError) {
        try outcome.withLock { (outcome) throws(VerbenaError) in
            switch outcome {
            case .done: return
            case .failed(let error): throw error
            case .open: break
            }
            defer {
                isSettled.store(true, ordering: .releasing)
                core.engine.release(ticket)
            }
            do throws(VerbenaError) {
                _ = try core.engine.wait(ticket)
                try copyOut()
                outcome = .done
            } catch {
                outcome = .failed(error)
                throw error
            }
        }
    }
}
