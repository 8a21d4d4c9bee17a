/// Where the time of one training step went on this rank.
///
/// Times are in seconds unless the name says nanoseconds; those are of the rank's monotonic clock.
/// `computeSeconds + exposed.total` and the named times sum to `stepSeconds`.
public struct StepReport: Sendable, Equatable, Codable {
    /// Counted from 0.
    public var step: Int
    /// From the end of one step (every gradient waited for) to the end of this one.
    public var startNanoseconds: UInt64
    public var endNanoseconds: UInt64
    public var stepSeconds: Double
    /// The trainer's own time, which communication ran beside.
    public var computeSeconds: Double
    /// Of that, at least so long the trainer's thread was ready to run and had no core.
    public var withoutCoreSeconds: Double
    /// How long the trainer waited for gradients, by cause: what communication really cost.
    public var exposed: ExposedTime
    /// How long at least one bucket was under way.
    public var communicationSeconds: Double
    /// Communication that the trainer did not notice.
    public var hiddenSeconds: Double
    /// What is none of the step's computing, as the trainer named it; in the order of their first mention.
    public var named: [NamedTime]
    /// The rank that this one waited for longest; nil where it waited for none.
    public var late: LateRank?
    /// In the order in which their operations were asked for; those that ended in this step.
    public var buckets: [BucketReport]

    public init(
        step: Int = 0, startNanoseconds: UInt64 = 0, endNanoseconds: UInt64 = 0, stepSeconds: Double = 0, computeSeconds: Double = 0,
        exposed: ExposedTime = ExposedTime(), communicationSeconds: Double = 0, hiddenSeconds: Double = 0, named: [NamedTime] = [],
        late: LateRank? = nil, buckets: [BucketReport] = [], withoutCoreSeconds: Double = 0
    ) {
        self.step = step
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
        self.stepSeconds = stepSeconds
        self.computeSeconds = computeSeconds
        self.withoutCoreSeconds = withoutCoreSeconds
        self.exposed = exposed
        self.communicationSeconds = communicationSeconds
        self.hiddenSeconds = hiddenSeconds
        self.named = named
        self.late = late
        self.buckets = buckets
    }

    /// All of `exposed`.
    public var exposedSeconds: Double { exposed.total }
    public var namedSeconds: Double { named.reduce(0) { $0 + $1.seconds } }
}

/// Time between or inside steps that is none of computing: evaluation, input, checkpoint.
public struct NamedTime: Sendable, Equatable, Codable {
    public var name: String
    public var seconds: Double

    public init(name: String, seconds: Double) {
        self.name = name
        self.seconds = seconds
    }
}

/// A rank whose gradients were the last to be ready while this one waited.
public struct LateRank: Sendable, Equatable, Codable {
    public var rank: Int
    /// How long this rank waited for its gradients.
    public var seconds: Double

    public init(rank: Int, seconds: Double) {
        self.rank = rank
        self.seconds = seconds
    }
}
