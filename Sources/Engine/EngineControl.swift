package import Collectives
package import Fabric
package import Membership

/// What the public face asks of the engine, whatever its fabric.
package protocol EngineControl: AnyObject, Sendable {
    var fabricName: String { get }
    var deviceName: String { get }
    /// Of the executor; the costs may be adopted later.
    var settings: ExecutorSettings { get }
    /// Whether callers carry out what they have started, as they call; see `ProgressEngine+Hooks`.
    var usesHooks: Bool { get }
    /// Collective: makes memory of this rank a buffer, with what the other ranks bring to the same call; it stays mapped until `detach` or the engine's
    /// end. `exchange` swaps descriptors; an empty one says that a rank cannot.
    /// - Returns: nil where some rank's peers could not reach its memory.
    func attach(_ memory: LentMemory, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]) throws(VerbenaError) -> SharedBuffer?
    /// Makes memory of this rank a buffer for private operations, which peers cannot reach; as `attach`, but nothing is exchanged. All ranks do so at the same
    /// place of the order.
    /// - Returns: nil on all ranks, where there are no private operations: these need ranks of one node, and a fabric that is shared memory.
    func attachPrivate(_ memory: LentMemory) throws(VerbenaError) -> SharedBuffer?
    /// Whether an operation on the buffer is under way.
    func isInUse(_ buffer: SharedBuffer) throws(VerbenaError) -> Bool
    /// Takes the buffer back on this rank. No operation on it may be under way, and none may follow.
    func detach(_ buffer: SharedBuffer) throws(VerbenaError)
    /// How many collectives were begun, by stream; transfers do not count. For the thread that begins them.
    var collectivesBegun: [UInt64] { get }
    /// Queues an operation for the progress thread, or with hooks for the next `look`; `release` must be called once for each, when it has ended.
    /// - Returns: its number; nil, and nothing is queued, where as many are under way as may be.
    func submitWhereRoom(_ operation: Operation) throws(VerbenaError) -> Int?
    /// With hooks, does on this thread what there is to do now, and waits for nothing; else nothing. It calls watchers, so the caller must hold no lock
    /// that they take.
    func look()
    /// Whether `wait` would return at once.
    func hasEnded(_ number: Int) -> Bool
    /// Waits for the operation's end.
    /// - Parameter deadline: in nanoseconds of the monotonic clock.
    /// - Returns: when it came to its stages, by the same clock; nil where it has not ended by the deadline.
    func wait(_ number: Int, until deadline: UInt64) throws(VerbenaError) -> OperationRecord?
    /// Of the progress thread; nil where nothing counts it, or where that does not drive.
    var runDelayMeter: RunDelayMeter? { get }
    /// Has `watcher` called when the operation has ended; false where it has already.
    func watch(_ number: Int, _ watcher: OperationWatcher) -> Bool
    func stopWatching(_ number: Int, _ watcher: OperationWatcher)
    /// Gives the number back: from here on another operation may have it.
    func release(_ number: Int)
    /// Collective: from here on nothing is begun, on whatever thread; whoever tries is told as after a `stop`. Waits until everything that was begun
    /// has ended. Transfers whose other end no rank has begun end as after a `stop`. `exchange` swaps what the ranks have begun.
    /// - Throws: where ranks have run different numbers of collectives, and so would wait for each other; the verdict, where there is one.
    func finishAll(_ exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]]) throws(VerbenaError)
    /// Makes the costs those that algorithms are chosen by; all ranks do so at the same place of the order.
    func adopt(_ costs: Costs) throws(VerbenaError)
    /// The job is over: everything in flight ends with this verdict. Any thread.
    func deliver(_ verdict: Verdict)
    /// Ends the progress thread and the fabric; in order where `orderly`, else as a crash looks to the peers. Waits for it. What is under way
    /// ends with the verdict, if `reason` is one, else with `.closed`.
    func stop(orderly: Bool, because reason: VerbenaError?)
}

extension EngineControl {
    package func stop(orderly: Bool) { stop(orderly: orderly, because: nil) }

    /// Waits for the operation's end.
    package func wait(_ number: Int) throws(VerbenaError) -> OperationRecord {
        guard let record = try wait(number, until: .max) else {
            fatalError("broken invariant: a wait without a deadline ends with the operation")
        }
        return record
    }

    /// As `submitWhereRoom` and `look`, for a caller that cannot make room.
    package func submit(_ operation: Operation) throws(VerbenaError) -> Int {
        guard let number = try submitWhereRoom(operation) else { throw .tooManyUnderWay }
        look()
        return number
    }
}
