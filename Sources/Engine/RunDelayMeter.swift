internal import CPlatform
import Glibc

/// How long a thread was ready to run and had no core, as the kernel counts it. Any thread may read it.
///
/// The kernel adds a stretch of waiting when it is over. One read is a system call of about a microsecond, so only a caller that has waited long
/// can afford it.
package final class RunDelayMeter: Sendable {
    private let descriptor: Int32
    private let thread: UInt

    /// Of the calling thread; nil where the kernel does not count.
    package init?() {
        thread = UInt(pthread_self())
        descriptor = platform_open_run_delay()
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Whether it is the calling thread's.
    package var isOwn: Bool { thread == UInt(pthread_self()) }

    /// Since the thread began; 0 once it has ended.
    package var nanoseconds: UInt64 { platform_run_delay(descriptor) }

    /// Since the meter said `earlier`; 0 where the thread has ended since.
    package func nanoseconds(since earlier: UInt64) -> UInt64 {
        let now = nanoseconds
        return now - min(now, earlier)
    }
}
