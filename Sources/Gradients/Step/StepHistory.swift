/// The reports of the last steps, and the sums over all of them.
public struct StepHistory: Sendable {
    /// Reports that are kept.
    public static let capacity = 128

    public private(set) var totals = StepTotals()
    /// A ring: the oldest is at `next` when it is full.
    private var reports: [StepReport] = []
    private var next = 0

    public init() {}

    public mutating func append(_ report: StepReport) {
        totals.add(report)
        if reports.count < Self.capacity {
            reports.append(report)
        } else {
            reports[next] = report
            next = (next + 1) % Self.capacity
        }
    }

    /// A report to fill for the next step, in the memory of the one whose place it takes, where nobody else holds that.
    mutating func takeBlank() -> StepReport {
        var report = StepReport()
        guard reports.count == Self.capacity else { return report }
        swap(&report.named, &reports[next].named)
        swap(&report.buckets, &reports[next].buckets)
        report.named.removeAll(keepingCapacity: true)
        report.buckets.removeAll(keepingCapacity: true)
        return report
    }

    /// The last steps, oldest first.
    public var recent: [StepReport] { Array(reports[next...] + reports[..<next]) }
}

/// The sums over several steps; what each is, says `StepReport`.
public struct StepTotals: Sendable, Equatable, Codable {
    public var steps = 0
    public var stepSeconds = 0.0
    public var computeSeconds = 0.0
    public var withoutCoreSeconds = 0.0
    public var exposed = ExposedTime()
    public var communicationSeconds = 0.0
    public var hiddenSeconds = 0.0
    public var named: [NamedTime] = []
    /// Every rank that a step named as the one it waited for longest, by rank.
    public var late: [LateRank] = []

    public init() {}

    public mutating func add(_ report: StepReport) {
        steps += 1
        stepSeconds += report.stepSeconds
        computeSeconds += report.computeSeconds
        withoutCoreSeconds += report.withoutCoreSeconds
        exposed += report.exposed
        communicationSeconds += report.communicationSeconds
        hiddenSeconds += report.hiddenSeconds
        for time in report.named {
            if let index = named.firstIndex(where: { $0.name == time.name }) {
                named[index].seconds += time.seconds
            } else {
                named.append(time)
            }
        }
        guard let rank = report.late else { return }
        if let index = late.firstIndex(where: { $0.rank >= rank.rank }), late[index].rank == rank.rank {
            late[index].seconds += rank.seconds
        } else {
            late.insert(rank, at: late.firstIndex { $0.rank > rank.rank } ?? late.count)
        }
    }

    /// Of training: without what has a name of its own.
    public var trainingSeconds: Double { stepSeconds - named.reduce(0) { $0 + $1.seconds } }
    /// The part of training that was spent waiting for gradients, 0...1.
    public var exposedShare: Double { trainingSeconds > 0 ? exposed.total / trainingSeconds : 0 }
    /// The rank that this one waited for longest; nil where it waited for none.
    public var latest: LateRank? { late.max { $0.seconds < $1.seconds } }
}
