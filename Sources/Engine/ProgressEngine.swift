package import Collectives
package import Fabric
internal import Synchronization

/// Owns the executor, and lets one thread at a time drive it: a caller that waits for its own operation anyway, or the progress thread for
/// what was submitted to go on beside the caller's work.
///
/// Files: `+Ownership` is the right to touch the executor, `+Mailbox` carries the wishes of threads that do not have it, `+Driving` is what its
/// owner does, `+Hooks` is who drives where there is no core to spare, `+BufferRegistration` adds memory, `+Agreement` is how everything ends.
// Sendable without the compiler's proof: what the owner touches is guarded by `isOwned`; everything else is a Mutex, an atomic or constant.
@safe
package final class ProgressEngine<F: Fabric & ~Copyable, Host: EngineHost>: EngineControl, @unchecked Sendable {
    typealias Call = @Sendable (inout Executor<F>) -> Void

    /// How long the progress thread sleeps when there is nothing to do: bounds how late a peer's end is noticed between operations.
    static var idleMilliseconds: UInt64 { 200 }
    /// How long an owner sleeps with work in flight: bounds how late a stall is noticed.
    static var busyMilliseconds: UInt64 { 100 }
    /// What counts of the time between two looks for a stall: of a pause of the whole process (Ctrl-Z, docker pause) no more.
    static var longestGapMilliseconds: UInt64 { 1_000 }
    /// How often a long wait is told, if it is at least half as old then.
    static var longWaitMilliseconds: UInt64 { 10_000 }
    /// How long taking leave of the peers may take.
    static var closeMilliseconds: UInt64 { 2_000 }

    package let fabricName: String
    package let deviceName: String
    let slots: OperationSlots
    let inbox = Mutex(Inbox())
    let hasMail = Atomic<Bool>(false)
    let isOwned = Atomic<Bool>(false)
    let waker: Waker
    let group: any ControlPlane
    let published: Mutex<ExecutorSettings>
    /// What every operation ends with, once something has failed.
    let verdict = Mutex<VerbenaError?>(nil)
    /// Collectives; each changed by one thread at a time, as those of a stream are called.
    let begun = Atomic<UInt64>(0)
    let begunUrgent = Atomic<UInt64>(0)
    let ended: Semaphore
    /// Signalled whenever the engine is closing and nothing is under way, and at its end.
    let drained: Semaphore
    let bell: ProgressBell
    /// Of the progress thread, from its beginning on.
    let progressMeter = Mutex<RunDelayMeter?>(nil)
    /// See `WaitPolicy.callerLooks`.
    let callerLooks: Int
    /// See `+Hooks`.
    package let usesHooks: Bool
    /// Whether the progress thread's sleep may outlast an event, unless somebody waits; and how many threads wait for operations then.
    let gathersEvents: Bool
    let waiters = Atomic<Int>(0)

    /// What the owner alone touches. At a fixed place, so that touching it needs no check by the runtime.
    let owned: UnsafeMutablePointer<Owned>
    let host: Host

    struct Owned: ~Copyable {
        var executor: Executor<F>
        /// What was taken from the inbox; kept for its capacity.
        var mail = Inbox()
        var stopOrderly: Bool?
        /// Nothing more is begun: as of the inbox, or because the engine stops.
        var isClosing = false
        /// How the operation ends that its caller runs itself.
        var ownEnd = OwnEnd.none
        /// When a long wait for a peer was last told to the others.
        var toldAt: UInt64 = 0
        /// The started operation that its waiter drives.
        var waitedFor: Int?
        /// With hooks, how often threads other than the progress thread have looked; how much of it that one has seen; and whether it naps.
        var looks: UInt64 = 0
        var seenLooks: UInt64 = 0
        var isWatched = false
        var napMilliseconds = ProgressEngine<F, Host>.takeOverMilliseconds
    }

    /// What the executor calls the operation that its caller runs itself; all others have the number of their slot.
    static var ownNumber: Int { OperationSlots.count }

    enum OwnEnd { case none, awaited, done, failed }

    /// - Parameter usesHooks: see `+Hooks`; else the progress thread drives what was started.
    package init(executor: consuming Executor<F>, group: any ControlPlane, waits: WaitPolicy, usesHooks: Bool, host: Host) {
        fabricName = executor.fabricName
        deviceName = executor.deviceName
        published = Mutex(executor.settings)
        waker = executor.waker()
        gathersEvents = executor.gathersEvents
        self.group = group
        self.host = host
        slots = OperationSlots(spins: waits.callerLooks, host: host)
        bell = ProgressBell(host)
        ended = Semaphore(host)
        drained = Semaphore(host)
        callerLooks = waits.callerLooks
        self.usesHooks = usesHooks
        // SAFETY: initialised here, deinitialised by the progress thread at its end, which takes ownership for good.
        unsafe owned = .allocate(capacity: 1)
        unsafe owned.initialize(to: Owned(executor: executor))
    }

    /// Starts the progress thread; called once.
    package func start() {
        host.startThread(named: group.name.isEmpty ? "verbena" : "verbena \(group.name)") { [self] in progressThread() }
    }

    package var runDelayMeter: RunDelayMeter? { usesHooks ? nil : progressMeter.withLock { $0 } }
    package var settings: ExecutorSettings { published.withLock { $0 } }
    package var collectivesBegun: [UInt64] { [begun.load(ordering: .relaxed), begunUrgent.load(ordering: .relaxed)] }
}
