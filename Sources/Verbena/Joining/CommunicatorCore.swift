internal import Engine
internal import Membership
internal import Synchronization

/// What of a communicator has to be ended, apart from the handle that its user has: the engine, its children, its place in the job.
///
/// *Who keeps whom.* A child's handle keeps its parent's handle, and a parent keeps the cores of its children: so a parent lives as long as
/// somebody uses a child, and a child whose handle is dropped stays open until the parent closes. Nothing here keeps a handle, but
/// operations that are under way on memory of its own.
final class CommunicatorCore: Sendable {
    let group: RankGroup
    let engine: any EngineControl
    /// None in those that `split` made.
    private let membership: JobMembership?
    private let closed = Atomic(false)
    /// What `split` made; those that are closed are dropped at the next.
    private let children = Mutex<[CommunicatorCore]>([])
    /// Started operations whose results have to be copied to the callers' memory before the engine's goes.
    private let started = Mutex<[ObjectIdentifier: StagedOperation]>([:])

    init(group: RankGroup, membership: JobMembership?, engine: any EngineControl) {
        self.group = group
        self.membership = membership
        self.engine = engine
    }

    var isClosed: Bool { closed.load(ordering: .acquiring) }

    /// Where another thread has ended the communicator in the meantime, and may have looked already: ends the child, too.
    func adopt(_ child: CommunicatorCore) {
        children.withLock { children in
            children.removeAll { $0.isClosed }
            children.append(child)
        }
        if isClosed { child.shutDown(orderly: false) }
    }

    func adopt(_ operation: StagedOperation) { started.withLock { $0[ObjectIdentifier(operation)] = operation } }

    func forget(_ operation: StagedOperation) { started.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(operation)) } }

    /// See `Communicator.allGather`.
    func allGather(_ payload: [UInt8], label: String) throws(VerbenaError) -> [[UInt8]] {
        guard !isClosed else { throw .communicatorClosed }
        return try wrapping { () throws(RendezvousError) in
            try group.allGather(
                payload, label: label, timeoutSeconds: Communicator.gatherTimeoutSeconds, collectivesBegun: engine.collectivesBegun)
        }
    }

    /// See `Communicator.close`.
    func close() throws(VerbenaError) {
        guard !isClosed else { return }
        do throws(VerbenaError) {
            // A rank is in one child of a split at most, and splits have the same order on all: ranks that end their communicators by the same
            // calls do not wait in a circle. Those that do not, one by `leave` of a child, say, or in another order, may: until a gather's time is over.
            for child in children.withLock({ $0 }) { try child.close() }
            try finishStarted()
            // Whoever has left is taken for lost by those who still have something to do with it.
            _ = try allGather([], label: "close, when all is done")
        } catch {
            shutDown(orderly: false, because: error)
            throw error
        }
        shutDown(orderly: true)
    }

    /// Waits until what was started has ended and has its results where the caller wants them. Bounded by the stall limit, as every operation is;
    /// but for what ranks cannot end, since they have come here: that is over at once.
    private func finishStarted() throws(VerbenaError) {
        try engine.finishAll { (submitted) throws(VerbenaError) in try allGather(submitted, label: "close") }
        // One that failed was not joined by its other end: its caller is told.
        for operation in started.withLock({ Array($0.values) }) { _ = try? operation.wait() }
    }

    /// Ends the engine and everything that hangs on it; in order where all ranks have come to `close`.
    /// - Parameter reason: why not, where it is known: what is under way ends with it, if it is a verdict.
    func shutDown(orderly: Bool, because reason: VerbenaError? = nil) {
        guard !closed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        endEngines(orderly: orderly, because: reason)
        membership?.client.leave()
        membership?.coordinator?.stop(waitingAtMostSeconds: Communicator.leaveTimeoutSeconds)
    }

    /// As a process ends: nobody is told, and the peers see it. For a handle that was dropped without `close`.
    func drop() {
        guard !closed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        endEngines(orderly: false, because: nil)
    }

    private func endEngines(orderly: Bool, because reason: VerbenaError?) {
        let open = children.withLock { children in
            defer { children = [] }
            return children
        }
        for child in open { child.shutDown(orderly: false, because: reason) }
        engine.stop(orderly: orderly, because: reason)
        membership?.pool.close()
    }
}
