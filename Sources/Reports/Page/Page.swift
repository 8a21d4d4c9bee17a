internal import Gradients
internal import Reduction

extension RunReport {
    /// One HTML file that needs no network and nothing beside it. At most about 4 MB: 32 steps in detail, and 20,000 bars.
    public func page(footer: String) throws -> String {
        try PageFrame(
            kind: "training report", title: title,
            body: PageFrame.text(PackageResources.report_html).replacing("{{lanes}}", with: "\(PageData.lanesInDetail)"),
            scripts: [PackageResources.timeline_js, PackageResources.charts_js, PackageResources.run_js, PackageResources.report_js]
        ).page(PageData(self, footer: footer))
    }
}

/// What the page's scripts read.
private struct PageData: Encodable {
    /// Bars of buckets in the whole page, at most, and in one step.
    static let barLimit = 20_000
    static let lanesInDetail = 16

    struct Totals: Encodable {
        var steps: Int
        var stepSeconds: Double
        var trainingSeconds: Double
        var computeSeconds: Double
        var exposed: [Double]
        var hiddenSeconds: Double
        var named: [Row]
        var late: [Row]
    }

    struct Step: Encodable {
        var step: Int
        var ranks: [Rank]
    }

    /// Times that are whole numbers are nanoseconds from the beginning of the step's first rank.
    struct Rank: Encodable {
        var rank: Int
        var start: Int
        var end: Int
        var compute: Double
        var exposed: [Double]
        var hidden: Double
        var named: [Row]
        var late: Row?
        /// Whether a lane is free again for another bucket while one that was ready waits for its turn: else each of those would take a lane.
        var isFolded: Bool
        var buckets: [Row]
    }

    var title: String
    var note: String?
    var facts: [[String]]
    var causes: [PageCause]
    /// By what a bucket has as its last figure.
    var wireFormats: [String]
    var epochs: [EpochFigures]
    var totals: [Totals]
    var slices: [Row]
    var median: Int?
    var slowest: Int?
    var steps: [Step]
    var parameters: [String]
    var footer: String

    init(_ report: RunReport, footer: String) {
        title = report.title
        note = report.note
        facts = report.facts.map { [$0.name, $0.value] }
        causes = ExposedCause.allCases.map(PageCause.init)
        wireFormats = WireFormat.allCases.map(\.description)
        epochs = report.epochs
        totals = report.ranks.map { Totals($0.totals) }
        slices = report.slices.map {
            Row([.whole($0.firstStep), .whole($0.steps), .time($0.trainingSeconds), .time($0.slowestSeconds)] + times($0.exposed))
        }
        median = report.median
        slowest = report.slowest
        parameters = report.parameterNames
        self.footer = footer

        let bars = max(1, report.ranks[0].steps.map(\.buckets.count).max() ?? 1)
        let rankCount = min(report.ranks.count, max(1, Self.barLimit / bars))
        let chosen = report.stepNumbers(limit: max(1, min(RunReport.pageStepLimit, Self.barLimit / (bars * rankCount))))
        steps = report.ranks[0].steps.indices.filter { chosen.contains(report.ranks[0].steps[$0].step) }.map { index in
            Step(report.ranks.prefix(rankCount), at: index)
        }
    }
}

extension PageData.Totals {
    init(_ totals: RunTotals) {
        let sums = totals.sums
        steps = sums.steps
        stepSeconds = sums.stepSeconds
        trainingSeconds = sums.trainingSeconds
        computeSeconds = sums.computeSeconds
        exposed = ExposedCause.allCases.map { sums.exposed[$0] }
        hiddenSeconds = sums.hiddenSeconds
        named = sums.named.map { Row([.text($0.name), .time($0.seconds)]) }
        late = totals.late.map { Row([.whole($0.rank), .whole($0.steps), .time($0.seconds), .time($0.longestSeconds)]) }
    }
}

extension PageData.Step {
    init(_ recordings: ArraySlice<RankRecording>, at index: Int) {
        let zero = recordings.map { $0.aligned($0.steps[index].startNanoseconds) }.min() ?? 0
        step = recordings[0].steps[index].step
        ranks = recordings.indices.map { rank in PageData.Rank(recordings[rank].steps[index], rank) { recordings[rank].aligned($0) - zero }
        }
    }
}

extension PageData.Rank {
    init(_ report: StepReport, _ rank: Int, _ at: (UInt64) -> Int) {
        self.rank = rank
        (start, end) = (at(report.startNanoseconds), at(report.endNanoseconds))
        compute = report.computeSeconds
        exposed = ExposedCause.allCases.map { report.exposed[$0] }
        hidden = report.hiddenSeconds
        named = report.named.map { Row([.text($0.name), .time($0.seconds)]) }
        late = report.late.map { Row([.whole($0.rank), .time($0.seconds)]) }
        var lanes = Lanes.pack(report.buckets.map { (at($0.ready), at($0.ended)) })
        isFolded = lanes.contains { $0 >= PageData.lanesInDetail }
        if isFolded {
            lanes = Lanes.pack(report.buckets.map { (at($0.started), at($0.ended)) })
        }
        buckets = zip(report.buckets, lanes).map { bucket, lane in
            let waits = bucket.waitedTo > bucket.waitedFrom
            return Row(
                [
                    .whole(bucket.index), .whole(bucket.parameters.lowerBound), .whole(bucket.parameters.upperBound - 1),
                    .whole(bucket.byteCount),
                    .whole(bucket.isUrgent ? 1 : 0), .whole(bucket.phase == .allReduce ? 0 : bucket.phase == .reduce ? 1 : 2), .whole(lane),
                    .whole(at(bucket.ready)), .whole(at(bucket.started)), .whole(at(bucket.firstArrival)), .whole(at(bucket.lastArrival)),
                    .whole(at(bucket.ended)), .whole(waits ? at(bucket.waitedFrom) : 0), .whole(waits ? at(bucket.waitedTo) : 0),
                ] + times(bucket.exposed) + [.whole(Int(bucket.wire.rawValue))])
        }
    }
}

private func times(_ exposed: ExposedTime) -> [Row.Cell] { ExposedCause.allCases.map { .time(exposed[$0]) } }

/// A row of a table as JSON: an array, which is a third of the size of an object with names.
private struct Row: Encodable {
    enum Cell {
        case whole(Int)
        /// Seconds, written to the nanosecond.
        case time(Double)
        case text(String)
    }

    var cells: [Cell]

    init(_ cells: [Cell]) { self.cells = cells }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        for cell in cells {
            switch cell {
            case .whole(let number): try container.encode(number)
            case .time(let seconds): try container.encode((seconds * 1e9).rounded() / 1e9)
            case .text(let text): try container.encode(text)
            }
        }
    }
}
