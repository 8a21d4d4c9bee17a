internal import CPlatform
import Glibc

/// What the engine takes from below it: time, threads, and sleep on a word of memory. Production has `SystemHost`; the simulation hands in one in
/// which a seed decides which thread runs, and in which time is virtual.
package protocol EngineHost: Sendable {
    /// In nanoseconds of a monotonic clock.
    func now() -> UInt64
    /// Sleeps while `word` holds `value`, at most so long. May return early for no reason.
    func sleep(on word: UnsafePointer<UInt32>, while value: UInt32, nanoseconds: UInt64)
    /// Wakes every thread that sleeps on `word`.
    func wake(_ word: UnsafePointer<UInt32>)
    /// Of the calling thread; nil where nothing says it.
    func runDelayMeter() -> RunDelayMeter?
    func startThread(named name: String, _ body: @escaping @Sendable () -> Void)
    /// Another thread may run here: between two steps whose order relative to other threads' steps matters.
    func point()
    /// Whether the engine is to make a mistake here. Asked in debug builds only.
    func isMutated(_ mutation: EngineMutation) -> Bool
}

/// The real machine.
package struct SystemHost: EngineHost {
    package init() {}

    @inline(__always)
    package func now() -> UInt64 { platform_now() }

    package func sleep(on word: UnsafePointer<UInt32>, while value: UInt32, nanoseconds: UInt64) {
        // SAFETY: the caller keeps the word until this returns.
        _ = unsafe platform_futex_wait(word, value, nanoseconds)
    }

    // SAFETY: the kernel only looks at the address.
    package func wake(_ word: UnsafePointer<UInt32>) { unsafe platform_futex_wake(word) }

    package func runDelayMeter() -> RunDelayMeter? { RunDelayMeter() }

    package func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
        let work = ThreadWork {
            // SAFETY: the text lives for the call.
            unsafe platform_name_thread(name)
            body()
        }
        var thread = pthread_t()
        // SAFETY: the thread takes the work over, and lets it go when it is done.
        let error = unsafe pthread_create(
            &thread, nil,
            { context in
                unsafe Unmanaged<ThreadWork>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(work).toOpaque())
        // SwiftNIO's threads come before this one, and end the process in the same case.
        precondition(error == 0, "the kernel refuses a thread, errno \(error): raise the limit of processes (ulimit -u, pids.max)")
        pthread_detach(thread)
    }

    @inline(__always)
    package func point() {}

    @inline(__always)
    package func isMutated(_: EngineMutation) -> Bool { false }
}

private final class ThreadWork: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
