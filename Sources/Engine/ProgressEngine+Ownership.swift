internal import Synchronization

/// Ownership: the right to touch the executor and everything in `owned`.
///
/// An exchange takes it and a store gives it back; no thread waits for it. A thread that does not get it leaves its wish in the inbox, sets `hasMail`
/// and then looks at `isOwned`. Its proof:
/// 1. An owner reads the inbox as long as it works.
/// 2. An owner clears `isOwned` first and looks at `hasMail` then; both sides' stores and loads are sequentially consistent.
/// 3. So either the writer of a wish sees an owner, which has yet to look at `hasMail`, or the owner sees the mail and rings the progress thread.
/// 4. The writer rings the progress thread, too: a wish is read by the present owner or by the next.
extension ProgressEngine where F: ~Copyable {
    @inline(__always)
    func tryOwn() -> Bool {
        host.point()
        return !isOwned.exchange(true, ordering: .acquiring)
    }

    @inline(__always)
    func disown(hasWork: Bool) {
        host.point()
        isOwned.store(false, ordering: .sequentiallyConsistent)
        host.point()
        if hasWork || hasMail.load(ordering: .sequentiallyConsistent) && !isMutated(.unreadMail) { bell.ring() }
    }
}
