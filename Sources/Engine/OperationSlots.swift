internal import CPlatform
import Synchronization

/// Where a trainer's thread waits for an operation that the progress thread carries out: one word an operation, reused.
///
/// A word is `free`, then `pending` from submission on, then `done` or `failed`; whoever submitted puts it back to `free`. Whoever waits spins
/// briefly, then sleeps on the word as a futex.
// Sendable without the compiler's proof: the arrays never move, each word is an atomic, and an end time is written before its word is released.
// SAFETY (whole file): both arrays live as long as this object, which everyone who touches them holds.
@safe
final class OperationSlots: @unchecked Sendable {
    /// Operations submitted and not yet waited for, at most.
    static let count = 512

    enum State: UInt32 {
        case free = 0
        case pending = 1
        /// As `pending`, and somebody sleeps.
        case awaited = 2
        case done = 3
        case failed = 4
    }

    private let words: UnsafeMutablePointer<Atomic<UInt32>>
    /// When each operation ended, in nanoseconds of the monotonic clock.
    private let endTimes: UnsafeMutablePointer<UInt64>
    private let spins: Int

    init(spins: Int) {
        self.spins = spins
        unsafe words = .allocate(capacity: Self.count)
        unsafe endTimes = .allocate(capacity: Self.count)
        for slot in 0..<Self.count {
            unsafe (words + slot).initialize(to: Atomic(0))
            unsafe (endTimes + slot).initialize(to: 0)
        }
    }

    deinit {
        unsafe words.deallocate()
        unsafe endTimes.deallocate()
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

    /// Progress thread: the operation has ended.
    func end(_ slot: Int, failed: Bool, at time: UInt64) {
        unsafe endTimes[slot] = time
        let state = failed ? State.failed : State.done
        if unsafe words[slot].exchange(state.rawValue, ordering: .acquiringAndReleasing) == State.awaited.rawValue {
            unsafe platform_futex_wake(UnsafePointer<UInt32>(OpaquePointer(words + slot)))
        }
    }

    func hasEnded(_ slot: Int) -> Bool { unsafe words[slot].load(ordering: .acquiring) >= State.done.rawValue }

    /// Whether somebody sleeps until the operation ends.
    func isAwaited(_ slot: Int) -> Bool { unsafe words[slot].load(ordering: .relaxed) == State.awaited.rawValue }

    /// Waits for the operation's end; any number of threads may. The executor's stall limit bounds the wait.
    func wait(_ slot: Int) -> (failed: Bool, endTime: UInt64) {
        var looks = 0
        while looks < spins, !hasEnded(slot) {
            looks += 1
            platform_pause()
        }
        while !hasEnded(slot) { sleep(on: slot) }
        return unsafe (words[slot].load(ordering: .acquiring) == State.failed.rawValue, endTimes[slot])
    }

    /// Puts a slot back, once for each operation, by whoever submitted it, when it has ended.
    func free(_ slot: Int) { unsafe words[slot].store(State.free.rawValue, ordering: .releasing) }

    /// Sleeps until the operation ends, or a second has passed.
    private func sleep(on slot: Int) {
        // From here on the progress thread must wake us; it may have been quicker.
        _ = unsafe words[slot].compareExchange(
            expected: State.pending.rawValue, desired: State.awaited.rawValue, ordering: .acquiringAndReleasing)
        _ = unsafe platform_futex_wait(UnsafePointer<UInt32>(OpaquePointer(words + slot)), State.awaited.rawValue, 1_000_000_000)
    }
}
