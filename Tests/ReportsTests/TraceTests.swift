import Foundation
import Gradients
import Testing

@testable import Reports

@Suite("Trace of all ranks")
struct TraceTests {
    private struct Event {
        var name: String
        var phase: String
        var rank: Int
        var thread: Int
        var start: Double
        var end: Double
        var arguments: [String: Any]
    }

    private func events(_ report: RunReport) throws -> [Event] {
        let whole = try #require(try JSONSerialization.jsonObject(with: Data(report.trace().utf8)) as? [String: Any])
        let list = try #require(whole["traceEvents"] as? [[String: Any]])
        return try list.map { event in
            let start = event["ts"] as? Double ?? 0
            return Event(
                name: try #require(event["name"] as? String), phase: try #require(event["ph"] as? String),
                rank: try #require(event["pid"] as? Int), thread: try #require(event["tid"] as? Int), start: start,
                end: start + (event["dur"] as? Double ?? 0), arguments: event["args"] as? [String: Any] ?? [:])
        }
    }

    @Test("every rank is a process with a trainer and its buckets; on a thread, events lie inside or beside each other")
    func nesting() throws {
        let all = try events(Runs.report(ranks: 3, steps: 5, buckets: 4))
        #expect(Set(all.map(\.rank)) == [0, 1, 2])
        let names = all.filter { $0.name == "thread_name" }.compactMap { $0.arguments["name"] as? String }
        #expect(names.filter { $0 == "trainer" }.count == 3 && names.contains("buckets, lane 1"))
        for rank in 0..<3 {
            let own = all.filter { $0.rank == rank && $0.phase == "X" }
            #expect(own.filter { $0.name.hasPrefix("step ") }.count == 5 && own.filter { $0.name.hasPrefix("bucket ") }.count == 20)
            #expect(own.filter { $0.name == "wait: wire" && $0.thread == 0 }.count == 5)
            for thread in Set(own.map(\.thread)) {
                let events = own.filter { $0.thread == thread }
                for (index, one) in events.enumerated() {
                    for other in events[(index + 1)...] {
                        // Half a nanosecond: times are written in microseconds.
                        let apart = one.end <= other.start + 5e-4 || other.end <= one.start + 5e-4
                        let inside = one.start <= other.start + 5e-4 && other.end <= one.end + 5e-4
                        let around = other.start <= one.start + 5e-4 && one.end <= other.end + 5e-4
                        #expect(apart || inside || around, "\(one.name) and \(other.name) of rank \(rank)")
                    }
                }
            }
        }
    }

    @Test("times are those of the report, from the first event on, with the clocks put right")
    func clocks() throws {
        let recording = Runs.recording(steps: 1)
        let parts = [
            RankRecording(totals: recording.totals, steps: recording.held),
            // Its clock is an hour ahead, and its step began 1 us later.
            RankRecording(
                clockOffsetNanoseconds: -3_600_000_000_000, totals: recording.totals,
                steps: [shifted(Runs.step(0, rank: 1), by: 3_600_000_000_000)]),
        ]
        let report = RunReport(title: "", facts: [], recording: recording, ranks: parts)
        let steps = try events(report).filter { $0.name == "step 0" }
        #expect(steps.map(\.start) == [0, 1] && steps.map(\.end) == [10_000, 10_001])
        let bucket = try #require(try events(report).first { $0.name == "bucket 1" })
        #expect(bucket.start == 5500 && bucket.end == 6500)
        #expect(bucket.arguments["bytes"] as? Int == 1024 && bucket.arguments["kind"] as? String == "allReduce, urgent")
        #expect(bucket.arguments["wire"] as? String == "bf16")
    }

    private func shifted(_ report: StepReport, by nanoseconds: UInt64) -> StepReport {
        var report = report
        report.startNanoseconds += nanoseconds
        report.endNanoseconds += nanoseconds
        for index in report.buckets.indices {
            for path in [
                \BucketReport.ready, \.submitted, \.started, \.firstArrival, \.lastArrival, \.ended, \.waitedFrom, \.waitedTo,
            ] where report.buckets[index][keyPath: path] > 0 {
                report.buckets[index][keyPath: path] += nanoseconds
            }
        }
        return report
    }

    @Test("lanes: the lowest one that is free")
    func lanes() {
        #expect(Lanes.pack([(0, 10), (5, 15), (10, 20), (12, 13), (30, 30), (30, 31)]) == [0, 1, 0, 2, 0, 0])
        #expect(Lanes.pack([]).isEmpty)
        #expect(Lanes.pack([(5, 15), (0, 10)]) == [1, 0])
    }

    @Test("a long run and many buckets stay within the bound")
    func bound() throws {
        let report = Runs.report(ranks: 4, steps: 300, buckets: 300)
        #expect(try events(report).filter { $0.phase == "X" }.count <= RunReport.traceEventLimit)
    }
}
