internal import CPlatform
internal import Glibc

/// What the kernel does with children that end. Where the process ignores SIGCHLD it reaps them itself, and nobody learns how they ended.
struct ChildSignal {
    private var previous: sigaction
    private let isChanged: Bool

    /// Until `restore`, ended children stay to be waited for. A handler that the process has for SIGCHLD is left alone.
    static func keepingEnds() -> ChildSignal {
        var previous = sigaction()
        // SAFETY: the structure outlives the call, which writes it.
        let isChanged = unsafe platform_keep_ended_children(&previous) == 1
        return ChildSignal(previous: previous, isChanged: isChanged)
    }

    func restore() {
        guard isChanged else { return }
        var previous = previous
        // SAFETY: the structure outlives the call, which reads it.
        unsafe platform_restore_child_signal(&previous)
    }
}
