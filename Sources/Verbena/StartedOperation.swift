internal import Engine
internal import Synchronization

/// A started operation and how it ended. A part of the object that holds it, so that starting one allocates no more than that.
struct StartedOperation: ~Copyable, Sendable {
    // Not private: the compiler would not find it from the files of those that hold one.
    enum Outcome {
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
