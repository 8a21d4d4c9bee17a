internal import CPlatform
internal import Foundation
internal import Glibc

/// The ranks that a launcher has started. It waits for these and no other: the host program may have children of its own.
struct ChildProcesses: ~Copyable {
    private struct Child {
        var process: pid_t
        var rank: Int
        /// Readable when it has ended; negative where the system grants none.
        var descriptor: Int32
    }

    /// How often to look at children without a descriptor.
    private static let lookMilliseconds = 20
    private var children: [Child] = []

    var isEmpty: Bool { children.isEmpty }
    /// Those that have not ended.
    var ranks: [Int] { children.map(\.rank).sorted() }

    mutating func add(_ process: pid_t, rank: Int) {
        children.append(Child(process: process, rank: rank, descriptor: platform_process_descriptor(process)))
    }

    /// Waits for one of them to end, and reaps it.
    /// - Parameter milliseconds: nil for as long as it takes.
    /// - Returns: its rank and its wait status, nil where somebody else has reaped it; nil when the time has passed.
    mutating func next(withinMilliseconds milliseconds: Int?) -> (rank: Int, status: Int32?)? {
        let deadline = milliseconds.map { platform_now() + UInt64(max(0, $0)) * 1_000_000 }
        while true {
            if let ended = reap() { return ended }
            let now = platform_now()
            if let deadline, now >= deadline { return nil }
            sleep(atMostMilliseconds: deadline.map { Int(($0 - now) / 1_000_000) + 1 })
        }
    }

    private mutating func reap() -> (rank: Int, status: Int32?)? {
        for (index, child) in children.enumerated() {
            var status: Int32 = 0
            // SAFETY: the pointer to the local is used during the call only.
            let answer = unsafe waitpid(child.process, &status, WNOHANG)
            if answer == 0 || (answer < 0 && errno == EINTR) { continue }
            children.remove(at: index)
            if child.descriptor >= 0 { close(child.descriptor) }
            return (child.rank, answer < 0 ? nil : status)
        }
        return nil
    }

    private func sleep(atMostMilliseconds limit: Int?) {
        var entries = children.filter { $0.descriptor >= 0 }.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        let hasAll = entries.count == children.count
        let milliseconds = hasAll ? limit ?? -1 : min(limit ?? .max, Self.lookMilliseconds)
        // SAFETY: the array outlives the call. A signal that ends it early does no harm.
        _ = unsafe poll(&entries, nfds_t(entries.count), Int32(clamping: milliseconds))
    }

    /// Ends all that are left, and reaps them.
    mutating func kill() {
        for child in children {
            // Of one that somebody else has reaped the number may be another process's by now.
            if waitpid(child.process, nil, WNOHANG) == 0 {
                Glibc.kill(child.process, SIGKILL)
                _ = waitpid(child.process, nil, 0)
            }
            if child.descriptor >= 0 { close(child.descriptor) }
        }
        children = []
    }
}
