internal import Gradients

/// All that a page or a trace is made of.
public struct RunReport: Sendable {
    /// Steps in detail that a page shows at most, and a trace.
    public static let pageStepLimit = 32
    public static let traceStepLimit = 256

    public var title: String
    /// What the run was: a short name and what it stands for.
    public var facts: [(name: String, value: String)]
    /// What a reader must know first, such as that the run ended early.
    public var note: String?
    public var parameterNames: [String]
    public var epochs: [EpochFigures]
    /// By rank.
    public let ranks: [RankRecording]
    let slices: [RunSlice]
    let median: Int?

    /// - Parameters:
    ///   - recording: rank 0's own.
    ///   - ranks: what `Gathering` brought; empty for a report of rank 0 alone.
    public init(
        title: String, facts: [(name: String, value: String)], note: String? = nil, parameterNames: [String] = [],
        epochs: [EpochFigures] = [],
        recording: StepRecording, ranks: [RankRecording] = []
    ) {
        self.title = title
        self.facts = facts
        self.note = note
        self.parameterNames = parameterNames
        self.epochs = epochs
        slices = recording.slices
        median = recording.median?.step
        let alone = { RankRecording(totals: recording.totals, steps: recording.held) }
        self.ranks = ranks.isEmpty ? [alone()] : ranks
    }

    /// The numbers of the steps in detail, which are those of every rank.
    var stepNumbers: [Int] { ranks[0].steps.map(\.step) }

    /// Of the steps in detail.
    var slowest: Int? { ranks[0].steps.max { $0.trainingSeconds < $1.trainingSeconds }?.step }

    /// At most so many of the steps in detail, the median and the slowest first.
    func stepNumbers(limit: Int) -> Set<Int> {
        let all = stepNumbers
        let median = median.flatMap { all.contains($0) ? $0 : nil }
        return Set(StepChoice.fill([median, slowest].compactMap(\.self), from: all, limit: limit))
    }
}

/// The figures of one epoch as a page shows them.
public struct EpochFigures: Sendable, Equatable, Codable {
    /// In nats.
    public var loss: Double
    /// 0...1.
    public var accuracy: Double
    public var seconds: Double
    public var samplesPerSecond: Double
    public var exposedSeconds: Double

    public init(loss: Double, accuracy: Double, seconds: Double, samplesPerSecond: Double, exposedSeconds: Double) {
        self.loss = loss
        self.accuracy = accuracy
        self.seconds = seconds
        self.samplesPerSecond = samplesPerSecond
        self.exposedSeconds = exposedSeconds
    }
}
