internal import CPlatform
public import Collectives
internal import Dispatch
public import Engine

/// An operation that was started.
///
/// Wait for it before the buffers are touched again. The last reference waits for the operation when it goes. Any number of threads and tasks may ask
/// and wait, at once and again; all get the same outcome. The communicator stays as long as its operations, and `close` completes them.
public final class Request: Sendable {
    private let operation: StartedOperation
    /// The operation instead, where `close` may have to copy its result.
    private let staged: StagedOperation?
    /// Not used: kept.
    private let communicator: Communicator
    private let counts: BlockCounts?

    /// - Parameters:
    ///   - output: where the result has to be copied to the caller's memory.
    ///   - counts: the operation's, where it has some.
    init(
        _ ticket: Int, of communicator: Communicator, copiesTo output: RawBuffer?, _ writtenRange: Range<Int>,
        keeping counts: BlockCounts?
    ) {
        operation = StartedOperation(communicator.core, ticket)
        staged = output.map { StagedOperation(communicator.core, ticket, copiesTo: $0, writtenRange) }
        self.communicator = communicator
        self.counts = counts
    }

    deinit { try? wait() }

    /// Whether the operation has ended: `wait` would return at once, but for the copy of a staged buffer.
    public var isDone: Bool { staged?.isDone ?? operation.isDone }

    /// Returns when the operation has ended on this rank; a second time at once, with the same outcome.
    /// - Throws: the verdict, when a rank is lost; `.closed`, where the communicator was left or aborted before the operation's end, or closed and
    ///   the other end of a transfer was not begun.
    public func wait() throws(VerbenaError) { _ = try wait(until: .max) }

    /// Waits for the operation's end, but no longer than `timeout`. The operation goes on; to end it after a time, give the blocking call a `timeout`.
    /// - Returns: whether the operation has ended.
    /// - Throws: as `wait()`.
    public func wait(timeout: Duration) throws(VerbenaError) -> Bool { try wait(until: timeout.deadline) }

    /// Suspends the task until the operation has ended. No thread is blocked meanwhile. The end of the task does not end the operation.
    /// - Throws: as `wait()`.
    public func value() async throws(VerbenaError) {
        while !isDone {
            await withCheckedContinuation { continuation in
                if !watch(OperationWatcher { continuation.resume() }) { continuation.resume() }
            }
        }
        try wait()
    }

    /// When the operation came to each of its stages; nil until a wait for it has returned, and where it failed.
    public var record: OperationRecord? { staged?.record ?? operation.record }

    /// Waits until one of several operations has ended, whether well or not; on threads only, tasks have their own means.
    /// - Parameter timeout: how long at most; nil for as long as it takes.
    /// - Returns: the index of the first in the list that has ended; nil where none has by then, and for an empty list.
    public static func any(of requests: [Request], timeout: Duration? = nil) -> Int? {
        let deadline = timeout.map { DispatchTime(uptimeNanoseconds: $0.deadline) } ?? .distantFuture
        let end = DispatchSemaphore(value: 0)
        let watcher = OperationWatcher { end.signal() }
        while !requests.isEmpty {
            defer { for request in requests { request.stopWatching(watcher) } }
            let areOpen = requests.allSatisfy { $0.watch(watcher) }
            let isLate = areOpen && end.wait(timeout: deadline) == .timedOut
            let first = requests.firstIndex { $0.isDone }
            if first != nil || isLate { return first }
        }
        return nil
    }

    private func wait(until deadline: UInt64) throws(VerbenaError) -> Bool {
        if let staged { return try staged.wait(until: deadline) }
        return try operation.wait(until: deadline) {}
    }

    private func watch(_ watcher: OperationWatcher) -> Bool { staged?.watch(watcher) ?? operation.watch(watcher) }

    private func stopWatching(_ watcher: OperationWatcher) {
        if let staged { staged.stopWatching(watcher) } else { operation.stopWatching(watcher) }
    }
}

extension Duration {
    /// At least 0, rounded up, and no more than a billion seconds.
    var wholeMilliseconds: UInt64 {
        let seconds = UInt64(min(max(components.seconds, 0), 1_000_000_000))
        return seconds * 1_000 + UInt64((max(components.attoseconds, 0) + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    /// When it will have passed, in nanoseconds of the monotonic clock. A negative one passes at once, none later than in a billion seconds.
    var deadline: UInt64 {
        let seconds = UInt64(min(max(components.seconds, 0), 1_000_000_000))
        return platform_now() + seconds * 1_000_000_000 + UInt64(max(components.attoseconds, 0) / 1_000_000_000)
    }
}
