internal import Glibc

/// Descriptors that are slept on together, made once so that sleeping allocates nothing. Threads: one at a time.
package struct SleepSet: Sendable {
    private var entries: [pollfd]

    /// - Parameter descriptors: the caller's own; they must stay open as long as this is used. -1 stands for none.
    package init(_ descriptors: [Int32]) { entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) } }

    /// Sleeps until one of the descriptors is readable or in error, a signal came, or so many nanoseconds are over.
    package mutating func wait(nanoseconds: UInt64) {
        // Rounded up: rounding down would turn the last millisecond into a spin.
        let milliseconds = Int32(clamping: nanoseconds / 1_000_000 + 1)
        // SAFETY: the array's own memory, for the call.
        let ready = unsafe entries.withUnsafeMutableBufferPointer { buffer in
            unsafe poll(buffer.baseAddress, nfds_t(buffer.count), milliseconds)
        }
        if ready <= 0 {
            for index in entries.indices { entries[index].revents = 0 }
        }
    }

    /// Whether one of these descriptors, by position, ended the last wait. Positions beyond the last have none.
    package func isReadable(_ positions: Range<Int>) -> Bool {
        for position in positions.clamped(to: entries.indices) where entries[position].revents != 0 { return true }
        return false
    }
}
