/// When an operation came to each of its stages, in nanoseconds of the fabric's clock. No time is earlier than the one above it.
public struct OperationRecord: Sendable, Equatable, BitwiseCopyable {
    /// The caller asked for it.
    public var submitted: UInt64
    /// It began: before that it waited for a free lane, and in an engine for its driver.
    public var started: UInt64
    /// It took the first message of a peer, and the last one; `started` where it needs none. Messages are taken in the order in which the operation
    /// needs them: so until the first it waited for a peer to come so far, and from the last on it had only work of its own.
    public var firstArrival: UInt64
    public var lastArrival: UInt64
    /// The executor said that it has ended.
    public var ended: UInt64
    /// How long the thread that drove the executor added and copied elements since `started`, for this operation and for others under way with it.
    public var workNanoseconds: UInt64

    /// All later times are unknown; `end` makes up for those of stages that never came.
    package init(submitted: UInt64) {
        self.submitted = submitted
        (started, firstArrival, lastArrival, ended, workNanoseconds) = (submitted, .max, submitted, submitted, 0)
    }

    /// - Parameter worked: how long the executor has worked so far in all; kept until `end` makes the operation's share of it.
    init(submitted: UInt64, startedAt time: UInt64, worked: UInt64) {
        self.init(submitted: submitted)
        (started, lastArrival, workNanoseconds) = (time, time, worked)
    }

    mutating func takeArrival(at time: UInt64) { (firstArrival, lastArrival) = (min(firstArrival, time), time) }

    @usableFromInline
    mutating func end(at time: UInt64, worked: UInt64) {
        (firstArrival, ended, workNanoseconds) = (min(firstArrival, lastArrival), time, worked &- workNanoseconds)
    }
}
