public import Gradients

/// Sums over all steps of one rank.
public struct RunTotals: Sendable, Equatable, Codable {
    public private(set) var sums = StepTotals()
    /// Without what has a name of its own.
    public private(set) var slowestSeconds = 0.0
    /// Operations of buckets, and the bytes of gradients that they carried.
    public private(set) var buckets = 0
    public private(set) var byteCount = 0
    /// Whom this rank waited for; in the order of first mention.
    public private(set) var late: [LateTotal] = []

    public init() {}

    public mutating func add(_ report: StepReport) {
        sums.add(report)
        slowestSeconds = max(slowestSeconds, report.trainingSeconds)
        buckets += report.buckets.count
        for bucket in report.buckets { byteCount += bucket.byteCount }
        guard let rank = report.late else { return }
        let index = late.firstIndex { $0.rank == rank.rank } ?? late.count
        if index == late.count { late.append(LateTotal(rank: rank.rank)) }
        late[index].steps += 1
        late[index].seconds += rank.seconds
        late[index].longestSeconds = max(late[index].longestSeconds, rank.seconds)
    }
}

/// A rank that came last in some steps, and how long it was waited for.
public struct LateTotal: Sendable, Equatable, Codable {
    public var rank: Int
    public var steps = 0
    public var seconds = 0.0
    public var longestSeconds = 0.0
}

extension StepReport {
    /// Without what has a name of its own: an evaluation does not make a step slow.
    var trainingSeconds: Double { stepSeconds - namedSeconds }
}
