/// The time of each iteration, as nccl-tests tell it with -I 1, and what `--percentiles` shows of it; microseconds.
struct IterationTimes: Equatable, Encodable {
    /// Of each rank, in order; nil for one rank, whose times are `times`.
    var ofRanks: [[Double]]?
    /// Of the slowest rank in each iteration.
    var times: [Double]
    /// How many of them, the first ones, the figures below leave out.
    var skipped: Int
    var minimum: Double
    var maximum: Double
    var average: Double
    var p50: Double
    var p95: Double
    /// Nearest rank: the most of fewer than 100 times.
    var p99: Double
    var deviation: Double
    /// The deviation in hundredths of the average.
    var variation: Double

    private enum CodingKeys: String, CodingKey {
        case ofRanks = "perProcessMaxTimesUs"
        case times = "timesUs"
        case skipped = "skippedIterations"
        case minimum = "minUs"
        case maximum = "maxUs"
        case average = "avgUs"
        case p50 = "p50Us"
        case p95 = "p95Us"
        case p99 = "p99Us"
        case deviation = "stdevUs"
        case variation = "cvPct"
    }

    /// - Parameter ofRanks: as many times from every rank.
    /// - Returns: nil without times.
    init?(_ ofRanks: [[Double]], skipping skipped: Int) {
        let count = ofRanks.map(\.count).min() ?? 0
        guard count > skipped else { return nil }
        self.ofRanks = ofRanks.count > 1 ? ofRanks : nil
        self.skipped = skipped
        times = (0..<count).map { iteration in ofRanks.map { $0[iteration] }.max() ?? 0 }
        let sorted = times.dropFirst(skipped).sorted()
        func at(_ hundredths: Int) -> Double { sorted[(hundredths * sorted.count + 99) / 100 - 1] }
        (minimum, maximum) = (sorted[0], sorted[sorted.count - 1])
        (p50, p95, p99) = (sorted[sorted.count / 2], at(95), at(99))
        let mean = sorted.reduce(0, +) / Double(sorted.count)
        average = mean
        deviation = (sorted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(sorted.count)).squareRoot()
        variation = mean > 0 ? 100 * deviation / mean : 0
    }
}

/// Who keeps the others waiting; times are averages over the timed calls, in microseconds.
///
/// In most collectives all ranks end together, so the time of a call tells little of who was slow: the others wait inside it. Hence every
/// call is preceded by the same work on every rank, rewriting the input, and by a barrier. Who waits least in the barrier came last.
/// The differences in the calls behind the barrier then are the collective's own, such as a root that is ready early.
///
/// So it finds a rank that is slow at its own work: its processor, its memory, what else runs there. A slow link or a pause inside a call
/// delays all ranks alike and shows in their percentiles, not here.
struct Stragglers: Codable, Equatable {
    /// What one rank has measured of itself.
    struct Phases: Codable, Equatable {
        var work: Double
        var wait: Double
        var call: Double
    }

    /// The rank that comes last to the barrier.
    var lastRank: Int
    /// How long the others wait for it, on average.
    var lateMicroseconds: Double
    /// Its work, and the average of the others'.
    var lastWorkMicroseconds: Double
    var otherWorkMicroseconds: Double
    /// The rank whose calls take longest, and by how much longer than the average of the others'.
    var slowestRank: Int
    var slowerMicroseconds: Double

    /// - Parameter phases: of each rank, in order.
    /// - Returns: nil for fewer than two ranks, among which there is no comparison.
    init?(_ phases: [Phases]) {
        guard phases.count > 1 else { return nil }
        func others(of rank: Int, _ value: (Phases) -> Double) -> Double {
            phases.indices.reduce(0) { $1 == rank ? $0 : $0 + value(phases[$1]) } / Double(phases.count - 1)
        }
        lastRank = phases.indices.min { phases[$0].wait < phases[$1].wait } ?? 0
        lateMicroseconds = others(of: lastRank) { $0.wait } - phases[lastRank].wait
        lastWorkMicroseconds = phases[lastRank].work
        otherWorkMicroseconds = others(of: lastRank) { $0.work }
        slowestRank = phases.indices.max { phases[$0].call < phases[$1].call } ?? 0
        slowerMicroseconds = phases[slowestRank].call - others(of: slowestRank) { $0.call }
    }
}

/// How much of an asynchronous operation hides behind computation: the columns of OSU's non-blocking tests, in microseconds.
struct Overlap: Codable, Equatable {
    /// Starting the operation, computing, and waiting for it.
    var overall: Double
    /// The same computation alone.
    var compute: Double
    /// Starting the operation and waiting for it at once.
    var pureCommunication: Double
    /// The share of the operation's time that did not make the whole longer, in hundredths.
    var overlapPercent: Double

    init(overall: Double, compute: Double, pureCommunication: Double) {
        self.overall = overall
        self.compute = compute
        self.pureCommunication = pureCommunication
        let exposed = pureCommunication > 0 ? (overall - compute) / pureCommunication : 1
        overlapPercent = 100 * min(1, max(0, 1 - exposed))
    }
}

/// How many small writes a rank makes: what is left of the engine's speed when there is next to nothing to carry.
struct MessageRate: Codable, Equatable {
    /// One-shot allreduces of 8 bytes, by each rank.
    var operationsPerSecond: Double
    /// Each of them is a write of 8 bytes to every other rank.
    var writesPerSecond: Double
    /// The same for each second of processor time, of all threads, that a rank used.
    var writesPerCoreSecond: Double
    /// Operations that were under way together.
    var window: Int

    /// - Parameters:
    ///   - operations: of each rank.
    ///   - seconds: the time that they took.
    ///   - coreSeconds: the processor time that a rank used for them.
    init(operations: Int, worldSize: Int, window: Int, seconds: Double, coreSeconds: Double) {
        self.window = window
        operationsPerSecond = seconds > 0 ? Double(operations) / seconds : 0
        let writes = Double(operations * (worldSize - 1))
        writesPerSecond = seconds > 0 ? writes / seconds : 0
        writesPerCoreSecond = coreSeconds > 0 ? writes / coreSeconds : 0
    }
}
