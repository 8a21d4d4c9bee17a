internal import CPlatform
internal import Synchronization

/// The word by which the owner of a control segment says that it sleeps, and on which it sleeps: on the word itself (a futex), or on a
/// pipe where it sleeps together with another fabric.
///
/// Nobody touches it for a message: while the owner is awake, the peers only read it, so its line stays in all their caches.
///
/// No wake-up is lost. A sender does: publish the arrival, fence, read the word. The owner does: set `asleep`, fence, look at all rings,
/// sleep if the word is still `asleep` (or the pipe still empty). Of two sides that each write, fence and then read what the other wrote, one at least sees the
/// other's write (the fences are ordered, and the reads of the later one see what precedes the earlier). So either the owner sees the
/// arrival and does not sleep, or the sender sees `asleep`, takes it back and wakes; and the kernel compares the word
/// under its own lock, so a word taken back before the sleep begins ends the sleep at once. A byte in a pipe stays till it is read.
// SAFETY (whole file): the word lies in a mapping which the holder of this value keeps, and is touched as an atomic only.
@safe
struct Bell {
    private let word: UnsafeMutablePointer<Atomic<UInt32>>
    /// -1 for a futex.
    private let pipe: Int32

    private static let awake: UInt32 = 0
    private static let asleep: UInt32 = 1
    /// Rung by a waker; stays until the owner has seen it.
    private static let rung: UInt32 = 2

    init(at address: UnsafeMutableRawPointer, pipe: Int32) {
        unsafe word = address.assumingMemoryBound(to: Atomic<UInt32>.self)
        self.pipe = pipe
    }

    // MARK: any thread or process

    /// Wakes the owner if it sleeps. A sender calls it after a fence.
    @inline(__always)
    func wakeIfAsleep() {
        if unsafe word.pointee.load(ordering: .relaxed) == Self.asleep { wake() }
    }

    /// The same where the owner has a time at which it wakes by itself: only if `time` is before that.
    ///
    /// No arrival is slept through. A sender that reads `awake` has published before the owner's next look, as above. One that reads an older
    /// time than the owner sleeps with has published before the owner's look, too: the owner writes the time before its fence, and looks after it.
    func wakeIfAsleep(past time: UInt64) {
        guard unsafe word.pointee.load(ordering: .acquiring) == Self.asleep else { return }
        if unsafe until.pointee.load(ordering: .relaxed) > time { wake() }
    }

    @inline(never)
    private func wake() {
        // One of several senders gets to wake.
        let result = unsafe word.pointee.compareExchange(expected: Self.asleep, desired: Self.awake, ordering: .relaxed)
        if result.exchanged { rouse() }
    }

    private func rouse() {
        if pipe >= 0 { return platform_pipe_wake(pipe) }
        unsafe platform_futex_wake(UnsafePointer<UInt32>(OpaquePointer(word)))
    }

    /// Ends the owner's sleep, or keeps it from the next one.
    func ring() {
        if unsafe word.pointee.exchange(Self.rung, ordering: .sequentiallyConsistent) == Self.asleep { rouse() }
    }

    // MARK: the owner

    /// When the owner wakes by itself, in nanoseconds of CLOCK_MONOTONIC; beside the word. Only owners on an emulated link have one.
    private var until: UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe UnsafeMutableRawPointer(word).advanced(by: 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Says when the owner will wake by itself; before `prepareToSleep`.
    func willSleep(until time: UInt64) { unsafe until.pointee.store(time, ordering: .relaxed) }

    /// Whether a waker rang; said once.
    @inline(__always)
    func takeRing() -> Bool {
        guard unsafe word.pointee.load(ordering: .relaxed) == Self.rung else { return false }
        unsafe word.pointee.store(Self.awake, ordering: .sequentiallyConsistent)
        return true
    }

    /// Says that the owner sleeps; false where a waker rang. The owner looks at its rings after it, and then calls `sleep` or `rise`.
    func prepareToSleep() -> Bool {
        let result = unsafe word.pointee.compareExchange(
            expected: Self.awake, desired: Self.asleep, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        return result.exchanged || !takeRing()
    }

    func sleep(nanoseconds: UInt64) {
        if pipe >= 0 {
            platform_wait_readable(pipe, nanoseconds)
        } else {
            _ = unsafe platform_futex_wait(UnsafePointer<UInt32>(OpaquePointer(word)), Self.asleep, nanoseconds)
        }
    }

    /// Without the kernel's timer slack of 50 us; not on a pipe.
    func sleepPrecisely(nanoseconds: UInt64) {
        _ = unsafe platform_futex_wait_precisely(UnsafePointer<UInt32>(OpaquePointer(word)), Self.asleep, nanoseconds)
    }

    func rise() {
        _ = unsafe word.pointee.exchange(Self.awake, ordering: .sequentiallyConsistent)
        // A sender that is about to write its byte ends the next sleep for nothing.
        if pipe >= 0 { platform_pipe_drain(pipe) }
    }
}
