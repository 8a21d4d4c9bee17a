internal import Collectives
internal import Engine
internal import Synchronization

/// A started operation and how it ended. A part of the object that holds it, so that starting one allocates no more than that.
struct StartedOperation: ~Copyable, Sendable {
    // Not private: the compiler would not find them from the files of those that hold one.
    enum Outcome {
        case open, done
        case failed(VerbenaError)
    }

    struct State {
        var outcome = Outcome.open
        /// Of an operation that has ended well.
        var record: OperationRecord?
        /// Threads that wait in the engine: the number must not be another operation's before the last has come back.
        var waiters = 0
    }

    private let core: CommunicatorCore
    private let number: Int
    private let state = Mutex(State())
    /// Whether there is an outcome. Set before the number is given back.
    private let isSettled = Atomic(false)

    init(_ core: CommunicatorCore, _ number: Int) {
        self.core = core
        self.number = number
    }

    var isDone: Bool {
        if !isSettled.load(ordering: .acquiring) { core.engine.look() }
        if isSettled.load(ordering: .acquiring) || core.engine.hasEnded(number) { return true }
        // Between the two the number may have been given back, and be another operation's.
        return isSettled.load(ordering: .acquiring)
    }

    /// - Parameters:
    ///   - deadline: in nanoseconds of the monotonic clock.
    ///   - copyOut: what is left to do when the operation has ended well; once. Other waiters wait for it.
    /// - Returns: false where the operation has not ended by the deadline.
    func wait(until deadline: UInt64, _ copyOut: () throws(VerbenaError) -> Void) throws(VerbenaError) -> Bool {
        let isOpen = state.withLock { state in
            guard case .open = state.outcome else { return false }
            state.waiters += 1
            return true
        }
        var (record, failure) = (OperationRecord?.none, VerbenaError?.none)
        if isOpen {
            do throws(VerbenaError) { record = try core.engine.wait(number, until: deadline) } catch { failure = error }
        }
        return try state.withLock { (state) throws(VerbenaError) in
            if case .open = state.outcome, record != nil || failure != nil {
                if failure == nil { do throws(VerbenaError) { try copyOut() } catch { failure = error } }
                state.outcome = failure.map { .failed($0) } ?? .done
                state.record = failure == nil ? record : nil
                isSettled.store(true, ordering: .releasing)
            }
            if isOpen {
                state.waiters -= 1
                if state.waiters == 0, isSettled.load(ordering: .relaxed) { core.engine.release(number) }
            }
            if case .failed(let error) = state.outcome { throw error }
            return isSettled.load(ordering: .relaxed)
        }
    }

    /// See `Request.record`.
    var record: OperationRecord? { state.withLock { $0.record } }

    /// Has `watcher` called when the operation has ended; false where it has already.
    func watch(_ watcher: OperationWatcher) -> Bool {
        state.withLock { state in
            guard case .open = state.outcome else { return false }
            return core.engine.watch(number, watcher)
        }
    }

    func stopWatching(_ watcher: OperationWatcher) {
        state.withLock { state in
            if case .open = state.outcome { core.engine.stopWatching(number, watcher) }
        }
    }
}
