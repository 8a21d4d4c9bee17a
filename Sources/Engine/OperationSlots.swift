internal import CPlatform
internal import Collectives
import Synchronization

/// Where threads and tasks wait for operations that the progress thread carries out: one word for each operation, reused.
///
/// A word is `free`, then `pending` from submission on, then `done` or `failed`; the submitter puts it back to `free`. A thread that waits spins
/// briefly, then sleeps on the word as a futex. A task that waits leaves a watcher instead, and so does a thread that waits for several operations.
// Sendable without the compiler's proof: the arrays never move, each word is an atomic, and a record is written before its word is released.
// SAFETY (whole file): both arrays live as long as this object, which everyone who touches them holds.
@safe
final class OperationSlots: @unchecked Sendable {
    /// Operations submitted and not yet waited for, at most.
    static let count = 512

    enum State: UInt32 {
        case free = 0
        case pending = 1
        /// As `pending`, and a thread sleeps or a watcher is there.
        case awaited = 2
        case done = 3
        case failed = 4
    }

    private let words: UnsafeMutablePointer<Atomic<UInt32>>
    /// Of each operation that has ended well.
    private let records: UnsafeMutablePointer<OperationRecord>
    /// By slot, of slots that are awaited.
    private let watchers = Mutex<[Int: [OperationWatcher]]>([:])
    private let spins: Int
    private let host: any EngineHost

    init(spins: Int, host: any EngineHost) {
        self.spins = spins
        self.host = host
        unsafe words = .allocate(capacity: Self.count)
        unsafe records = .allocate(capacity: Self.count)
        for slot in 0..<Self.count {
            unsafe (words + slot).initialize(to: Atomic(0))
            unsafe (records + slot).initialize(to: OperationRecord(submitted: 0))
        }
    }

    deinit {
        unsafe words.deallocate()
        unsafe records.deallocate()
    }

    /// Takes the first free slot from `first` on, in turn; nil where no operation of them all has been waited for.
    func take(from first: Int) -> Int? {
        for step in 0..<Self.count where take((first + step) % Self.count) { return (first + step) % Self.count }
        return nil
    }

    private func take(_ slot: Int) -> Bool {
        unsafe words[slot].compareExchange(
            expected: State.free.rawValue, desired: State.pending.rawValue, ordering: .acquiring
        ).exchanged
    }

    /// The owner: the operation has ended. One without a record leaves that of an earlier one, which nobody reads.
    func end(_ slot: Int, failed: Bool, _ record: OperationRecord?) {
        if let record { unsafe records[slot] = record }
        let state = failed ? State.failed : State.done
        guard unsafe words[slot].exchange(state.rawValue, ordering: .acquiringAndReleasing) == State.awaited.rawValue else { return }
        #if DEBUG
            if host.isMutated(.unwokenWaiter) { return }
        #endif
        wake(slot)
        for watcher in watchers.withLock({ $0.removeValue(forKey: slot) }) ?? [] { watcher.ended() }
    }

    func hasEnded(_ slot: Int) -> Bool { unsafe words[slot].load(ordering: .acquiring) >= State.done.rawValue }

    /// Whether a thread or a task waits until the operation ends.
    func isAwaited(_ slot: Int) -> Bool { unsafe words[slot].load(ordering: .relaxed) == State.awaited.rawValue }

    /// Whether that is so of any operation under way.
    var isAnyAwaited: Bool { (0..<Self.count).contains(where: isAwaited) }

    /// Waits for the operation's end; any number of threads may. The executor's stall limit bounds the wait.
    /// - Parameter deadline: in nanoseconds of the monotonic clock.
    /// - Returns: nil where the operation has not ended by then.
    func wait(_ slot: Int, until deadline: UInt64 = .max) -> (failed: Bool, record: OperationRecord)? {
        var looks = 0
        while looks < spins, !hasEnded(slot) {
            looks += 1
            platform_pause()
        }
        while !hasEnded(slot) {
            let now = deadline == .max ? 0 : host.now()
            guard now < deadline else {
                stopAwaiting(slot)
                return nil
            }
            sleep(on: slot, nanoseconds: min(1_000_000_000, deadline - now))
        }
        return unsafe (words[slot].load(ordering: .acquiring) == State.failed.rawValue, records[slot])
    }

    /// Has `watcher` called once, when the operation has ended.
    /// - Returns: false where it has ended already: then nobody calls it.
    func watch(_ slot: Int, _ watcher: OperationWatcher) -> Bool {
        watchers.withLock { watchers in
            markAwaited(slot)
            guard !hasEnded(slot) else { return false }
            watchers[slot, default: []].append(watcher)
            return true
        }
    }

    /// Forgets the watcher, and that a thread sleeps. Threads that still do wake up and say so again: an operation that nobody waits for must not be
    /// told to the other ranks as one that is waited for.
    func stopAwaiting(_ slot: Int, _ watcher: OperationWatcher? = nil) {
        watchers.withLock { watchers in
            let others = watchers[slot]?.filter { $0 !== watcher } ?? []
            watchers[slot] = others.isEmpty ? nil : others
            guard others.isEmpty else { return }
            let (wasAwaited, _) = unsafe words[slot].compareExchange(
                expected: State.awaited.rawValue, desired: State.pending.rawValue, ordering: .acquiringAndReleasing)
            if wasAwaited { wake(slot) }
        }
    }

    /// How many have not been put back.
    var underWay: Int { (0..<Self.count).count { unsafe words[$0].load(ordering: .relaxed) != State.free.rawValue } }

    /// Puts a slot back, once for each operation, when it has ended; the submitter does so.
    func free(_ slot: Int) { unsafe words[slot].store(State.free.rawValue, ordering: .releasing) }

    /// Sleeps until the operation may have ended, or the time has passed.
    private func sleep(on slot: Int, nanoseconds: UInt64) {
        markAwaited(slot)
        unsafe host.sleep(on: UnsafePointer<UInt32>(OpaquePointer(words + slot)), while: State.awaited.rawValue, nanoseconds: nanoseconds)
    }

    /// From here on the progress thread must wake who waits; the operation may have ended before.
    /// - Returns: whether nobody had said so, and it has not ended.
    @discardableResult
    func markAwaited(_ slot: Int) -> Bool {
        unsafe words[slot].compareExchange(
            expected: State.pending.rawValue, desired: State.awaited.rawValue, ordering: .acquiringAndReleasing
        ).exchanged
    }

    private func wake(_ slot: Int) { unsafe host.wake(UnsafePointer<UInt32>(OpaquePointer(words + slot))) }
}
