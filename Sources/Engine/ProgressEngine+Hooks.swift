internal import Collectives
internal import Fabric
internal import Synchronization

/// Hooks: threads that call the engine carry out what they have started, at the calls that they make anyway (`look`, `wait`). For ranks without a core
/// to spare: there a progress thread takes the core from a thread that computes.
///
/// The progress thread only watches then, in naps of `takeOverMilliseconds`, and of up to `longestNapMilliseconds` where threads have looked in every one of
/// the last:
/// 1. Where nobody has looked during its last nap, it does what there is to do: so no peer waits longer than two naps for a rank that computes.
/// 2. Where a thread or a task sleeps until an operation ends, or the engine is closing, it drives as without hooks: nobody else may come. Who is about
///    to sleep says so and then wakes it.
/// 3. Where nothing is under way and nobody looks, it sleeps as without hooks. Who leaves work behind then wakes it (`needsThread`): `isWatched`
///    belongs to the owner, so the owner that leaves work sees whether the thread naps, or the thread sees the work.
extension ProgressEngine where F: ~Copyable {
    /// Of two such naps a peer may wait for each answer of a rank that computes and does not call the engine. A nap costs the core some microseconds.
    static var takeOverMilliseconds: UInt64 { 2 }
    /// The longest nap. A trainer's long pause after regular looks may keep a peer waiting for two; naps of 2 ms alone took 0.7 % of each core.
    static var longestNapMilliseconds: UInt64 { 16 }
    /// How often a hook asks for events, at most: the caller came for something else.
    static var hookLooks: Int { 8 }

    package func look() {
        guard usesHooks else { return }
        guard tryOwn() else {
            if hasMail.load(ordering: .sequentiallyConsistent) { notify() }
            return
        }
        // SAFETY: this thread owns it until `disown`.
        let needsThread = unsafe lookOwned(&owned.pointee)
        disown(hasWork: needsThread)
    }

    private func lookOwned(_ owned: inout Owned) -> Bool {
        var (looks, goesOn) = (0, true)
        while looks < Self.hookLooks, goesOn {
            if hasMail.load(ordering: .acquiring) { readMail(&owned) }
            let progressed = owned.executor.progress()
            report(&owned)
            goesOn = progressed || hasMail.load(ordering: .acquiring)
            looks += 1
        }
        owned.looks &+= 1
        return needsThread(&owned)
    }

    /// Drives the engine until the operation has ended. Returns early where another thread owns the executor, or the engine stops.
    func drive(until number: Int, deadline: UInt64) {
        while !slots.hasEnded(number), deadline == .max || host.now() < deadline, tryOwn() {
            // SAFETY: this thread owns it until `disown`.
            let (needsThread, isStopping) = unsafe driveOwned(&owned.pointee, until: number, deadline: deadline)
            disown(hasWork: needsThread)
            if isStopping { return }
        }
    }

    private func driveOwned(_ owned: inout Owned, until number: Int, deadline: UInt64) -> (needsThread: Bool, isStopping: Bool) {
        owned.waitedFor = number
        var looks = 0
        while !slots.hasEnded(number) {
            if hasMail.load(ordering: .acquiring) { readMail(&owned) }
            // The progress thread ends everything.
            if owned.stopOrderly != nil { break }
            if isOver(deadline, afterLook: &looks, &owned) { break }
        }
        owned.waitedFor = nil
        owned.looks &+= 1
        return (needsThread(&owned), owned.stopOrderly != nil)
    }

    /// Whether an owner that leaves has to wake the progress thread: there is work that it neither drives nor watches, or the engine is closing.
    @inline(__always)
    func needsThread(_ owned: inout Owned) -> Bool {
        if owned.isClosing { return true }
        guard owned.executor.hasWork else { return false }
        guard usesHooks else { return true }
        defer { owned.isWatched = true }
        return !owned.isWatched
    }

    /// What the progress thread does after a nap.
    /// - Returns: how long it may sleep now.
    func watchOwned(_ owned: inout Owned) -> UInt64 {
        let isDriven = owned.looks != owned.seenLooks
        owned.seenLooks = owned.looks
        let isLeft = !isDriven && !isMutated(.missedTakeOver)
        if isLeft || isNeeded(owned) || hasMail.load(ordering: .acquiring) { driveOwned(&owned) }
        owned.isWatched = isDriven || owned.executor.hasWork
        owned.napMilliseconds = isDriven ? min(2 * owned.napMilliseconds, Self.longestNapMilliseconds) : Self.takeOverMilliseconds
        return owned.isWatched ? owned.napMilliseconds : Self.idleMilliseconds
    }

    /// Whether the progress thread has to drive what is under way, and not only to look at it now and then.
    func isNeeded(_ owned: borrowing Owned) -> Bool { !usesHooks || owned.isClosing || slots.isAnyAwaited }
}
