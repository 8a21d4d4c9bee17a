public import Gradients

/// What is kept of one rank's run for a report, in bounded memory however long it lasts: sums of all steps, slices of the run,
/// and some steps with all of their buckets.
public struct StepRecording: Sendable {
    /// Steps in detail, and operations of buckets in these, at most: about 15 MB. Beyond it every second step is dropped.
    static let stepLimit = 4096
    static let bucketLimit = 1 << 16
    /// The slowest steps are kept beside these.
    static let slowestCount = 16
    /// Beyond it two neighbouring slices become one.
    static let sliceLimit = 256

    public private(set) var totals = RunTotals()
    /// In the order of steps; all steps are in one of them.
    private(set) var slices: [RunSlice] = []
    private var stepsPerSlice = 1
    /// Those whose number is a multiple of `stride`, a power of 2. All ranks thin out alike, because their steps have equally many buckets.
    private var even: [StepReport] = []
    private(set) var stride = 1
    private var evenBuckets = 0
    /// The slowest first.
    private(set) var slowest: [StepReport] = []

    public init() {}

    public mutating func add(_ report: StepReport) {
        totals.add(report)
        addToSlice(report)
        if report.step % stride == 0 {
            even.append(report)
            evenBuckets += report.buckets.count
            while even.count > 1, even.count > Self.stepLimit || evenBuckets > Self.bucketLimit { thinOut() }
        }
        if slowest.count < Self.slowestCount || report.trainingSeconds > slowest[slowest.count - 1].trainingSeconds {
            let index = slowest.firstIndex { $0.trainingSeconds < report.trainingSeconds } ?? slowest.count
            slowest.insert(report, at: index)
            if slowest.count > Self.slowestCount { slowest.removeLast() }
        }
    }

    private mutating func thinOut() {
        stride *= 2
        even.removeAll { $0.step % stride != 0 }
        evenBuckets = even.reduce(0) { $0 + $1.buckets.count }
    }

    private mutating func addToSlice(_ report: StepReport) {
        if let last = slices.indices.last, slices[last].steps < stepsPerSlice {
            slices[last].add(report)
            return
        }
        if slices.count == Self.sliceLimit {
            for index in 0..<Self.sliceLimit / 2 {
                slices[index] = slices[2 * index]
                slices[index].add(slices[2 * index + 1])
            }
            slices.removeLast(Self.sliceLimit / 2)
            stepsPerSlice *= 2
        }
        slices.append(RunSlice(report))
    }

    /// The steps that are held in detail, ascending, each once.
    var held: [StepReport] {
        let others = slowest.filter { $0.step % stride != 0 }
        return others.isEmpty ? even : (even + others).sorted { $0.step < $1.step }
    }

    /// Of the evenly kept steps the one that half of them are not slower than.
    var median: StepReport? {
        even.isEmpty ? nil : even.sorted { ($0.trainingSeconds, $0.step) < ($1.trainingSeconds, $1.step) }[(even.count - 1) / 2]
    }
}

/// A stretch of the run: sums over its steps, in seconds, without what has a name of its own.
struct RunSlice: Sendable, Equatable {
    var firstStep: Int
    var steps: Int
    var trainingSeconds: Double
    var slowestSeconds: Double
    var exposed: ExposedTime

    init(_ report: StepReport) {
        (firstStep, steps) = (report.step, 1)
        (trainingSeconds, slowestSeconds, exposed) = (report.trainingSeconds, report.trainingSeconds, report.exposed)
    }

    mutating func add(_ report: StepReport) { add(RunSlice(report)) }

    mutating func add(_ next: RunSlice) {
        steps += next.steps
        trainingSeconds += next.trainingSeconds
        slowestSeconds = max(slowestSeconds, next.slowestSeconds)
        exposed += next.exposed
    }
}
