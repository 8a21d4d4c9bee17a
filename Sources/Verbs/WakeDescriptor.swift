internal import CVerbs
import Glibc

/// A descriptor that any thread can make readable, to end somebody's wait. Sendable: eventfd(2) is safe from any thread.
public final class WakeDescriptor: Sendable {
    public let descriptor: Int32

    public init() throws(VerbsError) {
        descriptor = try minusOne("eventfd", "creating the waker") { cverbs_eventfd() }
    }

    deinit { _ = Glibc.close(descriptor) }

    /// Makes the descriptor readable; it stays so until `drain`. Never blocks.
    public func wake() {
        var one: UInt64 = 1
        // SAFETY: the local is read during the call only. A full counter (EAGAIN) is readable already.
        _ = unsafe write(descriptor, &one, 8)
    }

    /// Makes the descriptor unreadable again.
    public func drain() {
        var count: UInt64 = 0
        // SAFETY: the local is written during the call only.
        _ = unsafe read(descriptor, &count, 8)
    }
}

/// Sleeps until one of the descriptors is readable or in error, a signal came, or the time is over.
/// - Parameter nanoseconds: the bound of the sleep.
/// - Returns: one flag per descriptor, in order. All false when the time was over or a signal came.
public func waitUntilReadable<let count: Int>(
    _ descriptors: [count of Int32], nanoseconds: UInt64
) -> [count of Bool] {
    var entries = [count of pollfd] { pollfd(fd: descriptors[$0], events: Int16(POLLIN), revents: 0) }
    // Rounded up: rounding down would turn the last millisecond into a spin.
    let milliseconds = Int32(clamping: nanoseconds / 1_000_000 + 1)
    var span = entries.mutableSpan
    // SAFETY: the entries are locals that outlive the call; the count is the span's own.
    let ready = unsafe span.withUnsafeMutableBufferPointer { buffer in
        unsafe poll(buffer.baseAddress, nfds_t(buffer.count), milliseconds)
    }
    return [count of Bool] { ready > 0 && entries[$0].revents != 0 }
}

/// Lets whoever else can run have the core.
public func yieldCore() { _ = sched_yield() }
