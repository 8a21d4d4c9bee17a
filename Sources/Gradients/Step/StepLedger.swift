/// Where the time of one training step went, in seconds. `computeSeconds + exposedSeconds == stepSeconds`.
public struct StepReport: Sendable, Equatable {
    /// From the end of the last `synchronize` to the end of this one.
    public var stepSeconds: Double
    /// The trainer's own time, which communication ran beside.
    public var computeSeconds: Double
    /// How long `synchronize` kept the trainer waiting: what communication really cost.
    public var exposedSeconds: Double
    /// How long at least one bucket was under way.
    public var communicationSeconds: Double
    /// Buckets exchanged.
    public var buckets: Int

    /// Communication that the trainer did not notice.
    public var hiddenSeconds: Double { max(0, communicationSeconds - exposedSeconds) }

    public init(
        stepSeconds: Double = 0, computeSeconds: Double = 0, exposedSeconds: Double = 0, communicationSeconds: Double = 0, buckets: Int = 0
    ) {
        self.stepSeconds = stepSeconds
        self.computeSeconds = computeSeconds
        self.exposedSeconds = exposedSeconds
        self.communicationSeconds = communicationSeconds
        self.buckets = buckets
    }
}

/// Keeps the times of one step; all in nanoseconds of one monotonic clock, given by the caller.
public struct StepLedger: Sendable {
    private var stepStart: UInt64
    /// Beginning and end of each bucket of this step, in order of beginning.
    private var intervals: [(start: UInt64, end: UInt64)] = []
    /// Waiting inside `gradientReady`, of this step.
    private var earlyWait: UInt64 = 0

    public init(start: UInt64) { stepStart = start }

    /// The trainer was kept waiting before it called `synchronize`.
    public mutating func recordWait(from start: UInt64, to end: UInt64) { earlyWait += end - start }

    public mutating func record(bucketFrom start: UInt64, to end: UInt64) { intervals.append((start, end)) }

    /// Closes the step in which the trainer waited from `waitStart` to `waitEnd`, and begins the next at `waitEnd`.
    public mutating func endStep(waitStart: UInt64, waitEnd: UInt64) -> StepReport {
        var communication: UInt64 = 0
        var covered: UInt64 = 0
        for interval in intervals where interval.end > covered {
            communication += interval.end - max(interval.start, covered)
            covered = interval.end
        }
        let report = StepReport(
            stepSeconds: seconds(waitEnd - stepStart), computeSeconds: seconds(waitStart - stepStart - earlyWait),
            exposedSeconds: seconds(waitEnd - waitStart + earlyWait), communicationSeconds: seconds(communication), buckets: intervals.count
        )
        intervals.removeAll(keepingCapacity: true)
        earlyWait = 0
        stepStart = waitEnd
        return report
    }

    private func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }
}
