internal import Foundation
internal import Gradients

extension RunReport {
    /// Events of a trace, at most: about 40 MB. Fewer steps are shown where they would be more.
    static let traceEventLimit = 200_000

    /// All ranks in one trace in Chrome's JSON format, for ui.perfetto.dev or chrome://tracing: a process is a rank, its first thread the trainer,
    /// its others lanes of buckets. Times are rank 0's, from the first event on.
    public func trace() throws -> String {
        let perStep = ranks.reduce(0) { $0 + ($1.steps.map { 1 + 6 * $0.buckets.count }.max() ?? 0) }
        let chosen = stepNumbers(limit: max(1, min(Self.traceStepLimit, Self.traceEventLimit / max(1, perStep))))
        let shown = ranks.map { recording in recording.steps.filter { chosen.contains($0.step) } }
        let zero = zip(ranks, shown).flatMap { recording, steps in steps.map { recording.aligned($0.firstNanoseconds) } }.min() ?? 0
        var events: [TraceEvent] = []
        for (rank, recording) in ranks.enumerated() {
            events += TraceEvent.names(ofRank: rank)
            events += TraceEvent.events(ofRank: rank, shown[rank]) { Double(recording.aligned($0) - zero) / 1e3 }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let about = Dictionary(facts.map { ($0.name, $0.value) }) { first, _ in first }.merging(["title": title]) { _, title in title }
        return String(decoding: try encoder.encode(TraceFile(traceEvents: events, otherData: about)), as: UTF8.self)
    }
}

extension RankRecording {
    /// A time of this rank's clock in rank 0's.
    func aligned(_ nanoseconds: UInt64) -> Int { Int(nanoseconds) + Int(clockOffsetNanoseconds) }
}

extension StepReport {
    /// A bucket may have been ready in the step before.
    fileprivate var firstNanoseconds: UInt64 { buckets.map(\.ready).min().map { min($0, startNanoseconds) } ?? startNanoseconds }
}

private struct TraceFile: Encodable {
    var displayTimeUnit = "ms"
    var traceEvents: [TraceEvent]
    var otherData: [String: String]
}

/// One event of the format. Times in microseconds.
private struct TraceEvent: Encodable {
    var name: String
    /// X has a duration, M is about a process or thread.
    var ph: String
    var pid: Int
    var tid: Int
    var ts: Double?
    var dur: Double?
    var args: [String: Argument]?

    enum Argument: Encodable {
        case number(Double)
        case text(String)

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .text(let text): try container.encode(text)
            }
        }
    }

    private static func metadata(_ name: String, _ rank: Int, _ thread: Int, _ args: [String: Argument]) -> TraceEvent {
        TraceEvent(name: name, ph: "M", pid: rank, tid: thread, args: args)
    }

    static func names(ofRank rank: Int) -> [TraceEvent] {
        [
            metadata("process_name", rank, 0, ["name": .text("rank \(rank)")]),
            metadata("process_sort_index", rank, 0, ["sort_index": .number(Double(rank))]),
            metadata("thread_name", rank, 0, ["name": .text("trainer")]),
            metadata("thread_sort_index", rank, 0, ["sort_index": .number(0)]),
        ]
    }

    /// - Parameter at: microseconds of the trace.
    static func events(ofRank rank: Int, _ steps: [StepReport], _ at: (UInt64) -> Double) -> [TraceEvent] {
        func event(_ name: String, _ thread: Int, from start: UInt64, to end: UInt64, _ args: [String: Argument]? = nil) -> TraceEvent? {
            end < start ? nil : TraceEvent(name: name, ph: "X", pid: rank, tid: thread, ts: at(start), dur: at(end) - at(start), args: args)
        }
        var events: [TraceEvent?] = []
        for step in steps {
            events.append(event("step \(step.step)", 0, from: step.startNanoseconds, to: step.endNanoseconds, arguments(of: step)))
            // Events of a thread lie inside or beside each other, or viewers draw nonsense.
            var free = step.startNanoseconds
            for bucket in step.buckets.filter({ $0.waitedTo > $0.waitedFrom }).sorted(by: { $0.waitedFrom < $1.waitedFrom }) {
                let end = min(bucket.waitedTo, step.endNanoseconds)
                let cause = bucket.exposed.largest.map { ": \($0.name)" } ?? ""
                let args = causes(bucket.exposed).merging(["bucket": .number(Double(bucket.index))]) { _, index in index }
                events.append(event("wait\(cause)", 0, from: max(free, bucket.waitedFrom), to: end, args))
                free = max(free, end)
            }
        }
        let buckets = steps.flatMap { step in step.buckets.map { (step: step.step, bucket: $0) } }
        let lanes = Lanes.pack(buckets.map { (Int($0.bucket.ready), Int($0.bucket.ended)) })
        for lane in 0..<(lanes.max() ?? -1) + 1 {
            events.append(metadata("thread_name", rank, lane + 1, ["name": .text("buckets, lane \(lane)")]))
            events.append(metadata("thread_sort_index", rank, lane + 1, ["sort_index": .number(Double(lane + 1))]))
        }
        for ((step, bucket), lane) in zip(buckets, lanes) {
            let stages = [
                ("its turn", bucket.ready, bucket.started), ("first message", bucket.started, bucket.firstArrival),
                ("messages", bucket.firstArrival, bucket.lastArrival), ("own work", bucket.lastArrival, bucket.ended),
            ]
            events.append(event("bucket \(bucket.index)", lane + 1, from: bucket.ready, to: bucket.ended, arguments(of: bucket, in: step)))
            for (name, start, end) in stages where end > start { events.append(event(name, lane + 1, from: start, to: end)) }
        }
        return events.compactMap(\.self)
    }

    private static func causes(_ exposed: ExposedTime) -> [String: Argument] {
        let pairs = ExposedCause.allCases.filter { exposed[$0] > 0 }.map { ("\($0.name), us", Argument.number(exposed[$0] * 1e6)) }
        return Dictionary(uniqueKeysWithValues: pairs)
    }

    private static func arguments(of step: StepReport) -> [String: Argument] {
        var args = causes(step.exposed)
        args["computing, us"] = .number(step.computeSeconds * 1e6)
        args["hidden, us"] = .number(step.hiddenSeconds * 1e6)
        for time in step.named { args["named: \(time.name), us"] = .number(time.seconds * 1e6) }
        if let late = step.late { args["late"] = .text("rank \(late.rank), by \(Int(late.seconds * 1e6)) us") }
        return args
    }

    private static func arguments(of bucket: BucketReport, in step: Int) -> [String: Argument] {
        var args = causes(bucket.exposed)
        args["step"] = .number(Double(step))
        args["bytes"] = .number(Double(bucket.byteCount))
        args["parameters"] = .text("\(bucket.parameters.lowerBound) to \(bucket.parameters.upperBound - 1)")
        args["kind"] = .text(bucket.phase.rawValue + (bucket.isUrgent ? ", urgent" : ""))
        args["wire"] = .text("\(bucket.wire)")
        return args
    }
}
