public import Collectives

/// Keeps the times of a training run, step by step, and divides what the trainer waited for by cause.
///
/// Pure: all times are handed in, in nanoseconds of one monotonic clock. A step begins where the one before it ended. Belongs to one thread at a time.
/// Memory is bounded: by the operations of a step, and by `StepHistory`.
public struct StepLedger: Sendable {
    /// An operation of a bucket, from `begin` on.
    struct Entry: Sendable {
        var report: BucketReport
        /// Has a record.
        var hasEnded = false
        /// Is part of a step's report.
        var isReported = false
        /// How long the engine's thread added and copied while the operation was under way.
        var work: UInt64 = 0
        /// The rank, other than this one, that asked for the operation last, and when.
        var lastPeer: (rank: Int, submitted: UInt64)?
    }

    /// The trainer did not compute.
    struct Wait: Sendable {
        /// The number of the operation waited for; nil where the trainer's thread itself worked for the engine.
        var number: Int?
        var from: UInt64
        var to: UInt64
        /// How long in this time the thread that drives the engine was ready to run and had no core.
        var runDelay: UInt64
    }

    struct Interval: Sendable {
        var from: UInt64
        var to: UInt64
    }

    /// Named intervals of a step that are kept to be told apart; beyond that, the oldest are forgotten, and one that encloses them counts them twice.
    static let maxIntervals = 256

    /// What has become of the steps so far.
    public private(set) var history = StepHistory()
    private(set) var stepStart: UInt64
    private var step = 0
    /// From number `firstNumber` on, in order of submission.
    var entries: [Entry] = []
    private var firstNumber = 0
    /// The index of the entry that was learnt of last.
    private var learnt = -1
    private var waits: [Wait] = []
    private var named: [NamedTime] = []
    private var namedIntervals: [Interval] = []
    /// While a step is closed: whom it waited for.
    private var late: [LateRank] = []

    public init(start: UInt64) { stepStart = start }

    // MARK: what happens in a step

    /// A bucket's operation is asked for.
    /// - Returns: the number by which it is named until its end.
    public mutating func begin(_ bucket: BucketReport) -> Int {
        entries.append(Entry(report: bucket))
        return firstNumber + entries.count - 1
    }

    /// The operation has ended.
    public mutating func end(_ number: Int, _ record: OperationRecord) {
        guard number >= firstNumber else { return }
        let index = number - firstNumber
        entries[index].hasEnded = true
        entries[index].work = record.workNanoseconds
        entries[index].report.submitted = record.submitted
        entries[index].report.started = record.started
        entries[index].report.firstArrival = record.firstArrival
        entries[index].report.lastArrival = record.lastArrival
        entries[index].report.ended = record.ended
    }

    /// The trainer waited for an operation. Of waits that overlap, as of several threads, the time counts once, for the one that began first.
    /// - Parameter runDelay: how long in this time the thread that drives the engine was ready to run and had no core; 0 where that is not known.
    public mutating func wait(for number: Int, from: UInt64, to: UInt64, runDelay: UInt64 = 0) {
        guard number >= firstNumber else { return }
        waits.append(Wait(number: number, from: from, to: to, runDelay: runDelay))
    }

    /// The trainer's thread drove the engine beside its own work, without waiting for anything: this counts as reduction, but for the time that it had no core.
    /// - Parameter runDelay: as in `wait`.
    public mutating func drive(from: UInt64, to: UInt64, runDelay: UInt64 = 0) {
        waits.append(Wait(number: nil, from: from, to: to, runDelay: runDelay))
    }

    /// Another rank asked for the bucket's operation of this step at that time, which is translated to this rank's clock.
    /// - Parameter bucket: its index in the plan. Without an operation, in this step, that reduces it, the call does nothing.
    public mutating func learn(bucket: Int, of rank: Int, submitted: UInt64) {
        func isMeant(_ index: Int) -> Bool {
            entries[index].report.index == bucket && entries[index].report.phase != .gather && !entries[index].isReported
        }
        // As a rule it is the next after the one that was asked for last.
        if !(learnt + 1 < entries.count && isMeant(learnt + 1)) {
            guard let found = entries.indices.first(where: isMeant) else { return }
            learnt = found - 1
        }
        learnt += 1
        let index = learnt
        if submitted > entries[index].lastPeer?.submitted ?? 0 { entries[index].lastPeer = (rank, submitted) }
    }

    /// The time was none of computing. What the trainer waited for gradients in it counts as waiting, and what has a name already keeps it.
    public mutating func name(_ name: String, from: UInt64, to: UInt64) {
        let start = max(from, stepStart)
        guard to > start else { return }
        let taken = waits.lazy.map { Interval(from: $0.from, to: $0.to) }
        let free = to - start - min(to - start, Self.overlap(start, to, taken) + Self.overlap(start, to, namedIntervals))
        if let index = named.firstIndex(where: { $0.name == name }) {
            named[index].seconds += seconds(free)
        } else {
            named.append(NamedTime(name: name, seconds: seconds(free)))
        }
        namedIntervals.removeAll { start <= $0.from && $0.to <= to }
        if namedIntervals.count == Self.maxIntervals { namedIntervals.removeFirst() }
        namedIntervals.append(Interval(from: start, to: to))
    }

    private static func overlap(_ from: UInt64, _ to: UInt64, _ intervals: some Sequence<Interval>) -> UInt64 {
        intervals.reduce(0) { sum, interval in
            let (start, end) = (max(from, interval.from), min(to, interval.to))
            return end > start ? sum + end - start : sum
        }
    }

    // MARK: the end of a step

    /// Closes the step, and begins the next one. Operations that are still under way belong to the step in which they end.
    /// - Parameter runDelay: how long in the step the trainer's thread was ready to run and had no core; 0 where that is not known.
    public mutating func endStep(at end: UInt64, runDelay: UInt64 = 0) -> StepReport {
        var report = history.takeBlank()
        (report.step, report.startNanoseconds, report.endNanoseconds) = (step, stepStart, end)
        report.stepSeconds = seconds(end - stepStart)
        (report.exposed, report.late) = divideWaits(until: end)
        report.communicationSeconds = seconds(communication(until: end))
        report.hiddenSeconds = max(0, report.communicationSeconds - report.exposed.total)
        report.named += named
        // Not below zero by a rounding.
        report.computeSeconds = max(0, report.stepSeconds - report.exposed.total - report.namedSeconds)
        // Where the trainer's thread drives the engine, its run delay was `core` while it waited; where it does not, too much is taken off.
        report.withoutCoreSeconds = min(
            report.computeSeconds, max(0, seconds(runDelay) - report.exposed.release - report.exposed.core - report.namedSeconds))
        report.buckets.reserveCapacity(entries.count)
        for index in entries.indices where entries[index].hasEnded && !entries[index].isReported {
            report.buckets.append(entries[index].report)
            entries[index].isReported = true
        }
        let done = entries.prefix(while: \.isReported).count
        entries.removeFirst(done)
        firstNumber += done
        learnt = -1
        waits.removeAll(keepingCapacity: true)
        named.removeAll(keepingCapacity: true)
        namedIntervals.removeAll(keepingCapacity: true)
        stepStart = end
        step += 1
        history.append(report)
        return report
    }

    private mutating func divideWaits(until end: UInt64) -> (ExposedTime, LateRank?) {
        if zip(waits, waits.dropFirst()).contains(where: { $0.from > $1.from }) { waits.sort { $0.from < $1.from } }
        var exposed = ExposedTime()
        late.removeAll(keepingCapacity: true)
        var covered = stepStart
        for wait in waits {
            let (from, to) = (max(wait.from, covered), min(wait.to, end))
            guard to > from else { continue }
            covered = to
            guard let number = wait.number else {
                let core = min(wait.runDelay, to - from)
                exposed.core += seconds(core)
                exposed.reduction += seconds(to - from - core)
                continue
            }
            let index = number - firstNumber
            let parts = division(of: Interval(from: from, to: to), for: index, runDelay: wait.runDelay)
            exposed += parts
            if entries[index].report.waitedTo == 0 { entries[index].report.waitedFrom = from }
            entries[index].report.waitedTo = to
            entries[index].report.exposed += parts
            guard parts.latePeer > 0, let rank = entries[index].lastPeer?.rank else { continue }
            if let known = late.firstIndex(where: { $0.rank == rank }) {
                late[known].seconds += parts.latePeer
            } else {
                late.append(LateRank(rank: rank, seconds: parts.latePeer))
            }
        }
        return (exposed, late.max { $0.seconds < $1.seconds })
    }

    /// How long at least one operation was under way.
    private func communication(until end: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        var covered = stepStart
        for index in entries.indices where !entries[index].isReported {
            let last = entries[index].hasEnded ? min(entries[index].report.ended, end) : end
            guard last > covered else { continue }
            sum += last - min(last, max(entries[index].report.submitted, covered))
            covered = last
        }
        return sum
    }

    func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
}
