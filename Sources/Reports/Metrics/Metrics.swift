public import Gradients

/// What a rank tells a monitoring system of its run. A value: `text` is all that it serves.
public struct Metrics: Sendable {
    /// Upper bounds of the histogram of steps, in seconds: 1, 2 and 5 in each power of ten.
    static let stepBounds: [Double] = [
        0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50,
    ]

    public let rank: Int
    /// Labels of `verbena_job_info`: what the run is.
    public let facts: [(label: String, value: String)]
    public private(set) var totals = RunTotals()
    private var last: StepReport?
    /// Steps up to each bound, and not up to the one before.
    private var counts = Array(repeating: 0, count: stepBounds.count)
    private var epochs = 0
    private var epoch: EpochFigures?

    /// - Parameter facts: labels are words of letters, digits and `_`.
    public init(rank: Int, facts: [(label: String, value: String)]) {
        self.rank = rank
        self.facts = facts
    }

    public mutating func add(_ report: StepReport) {
        totals.add(report)
        last = report
        last?.buckets = []
        if let index = Self.stepBounds.firstIndex(where: { report.stepSeconds <= $0 }) { counts[index] += 1 }
    }

    public mutating func add(_ figures: EpochFigures) {
        epochs += 1
        epoch = figures
    }

    /// In Prometheus' text format, version 0.0.4. Counters begin at 0 with the run; times are of this rank.
    public var text: String {
        var text = Exposition(rank: rank)
        text.family("verbena_job_info", .gauge, "What this run is, in its labels; always 1.", [(facts, 1)])
        text.family("verbena_steps_total", .counter, "Training steps.", [([], Double(totals.sums.steps))])
        text.histogram(
            "verbena_step_seconds", "Wall time of training steps.", bounds: Self.stepBounds, counts: counts, sum: totals.sums.stepSeconds,
            count: totals.sums.steps)
        text.family(
            "verbena_compute_seconds_total", .counter, "Time of steps that was the trainer's own.", [([], totals.sums.computeSeconds)])
        text.family(
            "verbena_exposed_seconds_total", .counter, "Time of steps for which the trainer waited for gradients, by cause.",
            ExposedCause.allCases.map { ([("cause", $0.label)], totals.sums.exposed[$0]) })
        text.family(
            "verbena_communication_seconds_total", .counter, "Time of steps in which at least one bucket was under way.",
            [([], totals.sums.communicationSeconds)])
        text.family(
            "verbena_hidden_seconds_total", .counter, "Time of communication that the trainer did not wait for.",
            [([], totals.sums.hiddenSeconds)])
        text.family(
            "verbena_named_seconds_total", .counter, "Time of steps that was none of training, such as evaluation.",
            totals.sums.named.map { ([("name", $0.name)], $0.seconds) })
        text.family("verbena_buckets_total", .counter, "Operations of buckets of gradients.", [([], Double(totals.buckets))])
        text.family("verbena_gradient_bytes_total", .counter, "Bytes of gradients in these.", [([], Double(totals.byteCount))])
        text.family(
            "verbena_late_steps_total", .counter, "Steps in which this rank waited for another one, which came last.",
            totals.late.map { ([("peer", "\($0.rank)")], Double($0.steps)) })
        text.family(
            "verbena_late_seconds_total", .counter, "How long this rank waited for the one that came last.",
            totals.late.map { ([("peer", "\($0.rank)")], $0.seconds) })
        if let last {
            text.family("verbena_last_step_seconds", .gauge, "Wall time of the last step.", [([], last.stepSeconds)])
            text.family("verbena_last_exposed_seconds", .gauge, "For how long of it the trainer waited.", [([], last.exposed.total)])
            text.family(
                "verbena_last_late_rank", .gauge, "Who came last in it; -1 where nobody was waited for.",
                [([], Double(last.late?.rank ?? -1))])
        }
        text.family("verbena_epochs_total", .counter, "Epochs that have ended.", [([], Double(epochs))])
        if let epoch {
            text.family("verbena_loss", .gauge, "Mean loss of the last epoch, in nats.", [([], epoch.loss)])
            text.family("verbena_accuracy_ratio", .gauge, "Accuracy on held-out samples after it, 0 to 1.", [([], epoch.accuracy)])
            text.family("verbena_samples_per_second", .gauge, "Samples a second of all ranks in it.", [([], epoch.samplesPerSecond)])
        }
        return text.text
    }
}
