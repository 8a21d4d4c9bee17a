public import Reduction

/// What an operation does for its bucket.
public enum BucketPhase: String, Sendable, Equatable, Codable {
    /// All of it.
    case allReduce
    /// In two operations: the ranks reduce their own stripes, and hand them to all others later.
    case reduce
    case gather
}

/// One operation of a bucket of gradients. Its times are nanoseconds of the rank's monotonic clock, none earlier than the one above it.
public struct BucketReport: Sendable, Equatable, Codable {
    /// Of the bucket in the plan.
    public var index: Int
    /// The parameters that it holds, or parts of them.
    public var parameters: Range<Int>
    public var byteCount: Int
    /// Whether it overtook the others.
    public var isUrgent: Bool
    public var phase: BucketPhase
    /// How its elements travelled.
    public var wire: WireFormat
    /// This rank's last gradient of it was announced.
    public var ready: UInt64
    /// The operation was asked for: buckets start in one order on every rank.
    public var submitted: UInt64
    /// The rest is as in `OperationRecord`.
    public var started: UInt64
    public var firstArrival: UInt64
    public var lastArrival: UInt64
    public var ended: UInt64
    /// From the beginning of the trainer's first wait for it to the end of the last; equal where there was none.
    public var waitedFrom: UInt64
    public var waitedTo: UInt64
    /// The trainer's waits for it.
    public var exposed: ExposedTime

    /// A bucket that has ended the moment it was asked for, until the ledger knows more.
    public init(
        index: Int, parameters: Range<Int>, byteCount: Int, isUrgent: Bool = false, phase: BucketPhase = .allReduce,
        wire: WireFormat = .plain, ready: UInt64, submitted: UInt64
    ) {
        self.index = index
        self.parameters = parameters
        self.byteCount = byteCount
        self.isUrgent = isUrgent
        self.phase = phase
        self.wire = wire
        self.ready = ready
        self.submitted = submitted
        (started, firstArrival, lastArrival, ended) = (submitted, submitted, submitted, submitted)
        (waitedFrom, waitedTo) = (0, 0)
        exposed = ExposedTime()
    }
}
