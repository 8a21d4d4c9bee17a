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
