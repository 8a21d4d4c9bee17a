import Gradients
import Testing

@testable import Reports

@Suite("What is kept of a run")
struct RecordingTests {
    @Test("a short run is kept whole")
    func short() {
        let recording = Runs.recording(steps: 40, slow: [7])
        #expect(recording.held.map(\.step) == Array(0..<40))
        #expect(recording.slices.map(\.firstStep) == Array(0..<40) && recording.slices.allSatisfy { $0.steps == 1 })
        #expect(recording.slowest.first?.step == 7)
        #expect(recording.totals.sums.steps == 40 && recording.totals.buckets == 80 && recording.totals.byteCount == 80 * 1024)
    }

    @Test("of a long one some steps, evenly, and the slowest; its sums are of all steps", arguments: [5000, 20_000])
    func long(steps: Int) {
        let recording = Runs.recording(steps: steps, slow: [steps / 2 + 1, 3])
        let held = recording.held
        #expect(held.count <= StepRecording.stepLimit + StepRecording.slowestCount)
        #expect(held.count > StepRecording.stepLimit / 2)
        #expect(held.map(\.step) == held.map(\.step).sorted() && Set(held.map(\.step)).count == held.count)
        #expect(Set(recording.slowest.prefix(2).map(\.step)) == [steps / 2 + 1, 3])
        #expect(recording.slices.count <= StepRecording.sliceLimit && recording.slices.map(\.steps).reduce(0, +) == steps)
        var next = 0
        for slice in recording.slices {
            #expect(slice.firstStep == next)
            next += slice.steps
        }
        let seconds = recording.slices.map(\.trainingSeconds).reduce(0, +)
        #expect(abs(seconds - recording.totals.sums.trainingSeconds) < 1e-6 * seconds)
    }

    @Test("many buckets a step: fewer steps")
    func manyBuckets() {
        let recording = Runs.recording(steps: 400, buckets: 1000)
        #expect(recording.held.reduce(0) { $0 + $1.buckets.count } <= StepRecording.bucketLimit + StepRecording.slowestCount * 1000)
        #expect(recording.held.count >= StepRecording.bucketLimit / 2000)
    }

    @Test("a step larger than the bound is kept alone")
    func oneLargeStep() {
        let recording = Runs.recording(steps: 2, buckets: StepRecording.bucketLimit + 1)
        #expect(recording.held.count <= 2 && recording.stride == 2)
    }

    @Test("an evaluation does not make a step slow")
    func namedTime() {
        var recording = Runs.recording(steps: 30, slow: [11])
        var evaluation = Runs.step(30, slowBy: 1_000_000_000)
        evaluation.named = [NamedTime(name: "evaluation", seconds: 1)]
        recording.add(evaluation)
        #expect(recording.slowest.first?.step == 11)
    }

    @Test("late ranks are counted")
    func late() {
        var totals = RunTotals()
        totals.add(Runs.step(0, late: LateRank(rank: 3, seconds: 0.5)))
        totals.add(Runs.step(1))
        totals.add(Runs.step(2, late: LateRank(rank: 3, seconds: 0.25)))
        #expect(totals.late == [LateTotal(rank: 3, steps: 2, seconds: 0.75, longestSeconds: 0.5)])
    }
}

@Suite("Which steps are shown")
struct StepChoiceTests {
    @Test("median, slowest and others evenly, ascending", arguments: [1, 2, 8, 32, 256], [1, 10, 5000])
    func choice(limit: Int, steps: Int) throws {
        let recording = Runs.recording(steps: steps, slow: [steps / 2])
        let chosen = StepChoice.steps(from: [Runs.offer(recording)], limit: limit)
        #expect(chosen.count == min(limit, steps) && chosen == chosen.sorted() && Set(chosen).count == chosen.count)
        let median = try #require(recording.median?.step)
        #expect(chosen.contains(median))
        if limit >= 2 { #expect(chosen.contains(steps / 2)) }
        if limit >= 32 && steps == 5000 {
            let widest = zip(chosen, chosen.dropFirst()).map { $1 - $0 }.max() ?? 0
            #expect(widest <= 2 * steps / (limit / 2))
        }
    }

    @Test("only what every rank holds")
    func common() {
        let first = StepOffer(stride: 1, lastStep: 100, slowest: [51, 7], median: 3, stepBytes: 1)
        let second = StepOffer(stride: 4, lastStep: 96, slowest: [51], median: 8, stepBytes: 1)
        let chosen = StepChoice.steps(from: [first, second], limit: 8)
        #expect(chosen.contains(51) && !chosen.contains(7) && !chosen.contains(3))
        #expect(chosen.allSatisfy { first.holds($0) && second.holds($0) })
        #expect(StepChoice.steps(from: [second, first], limit: 8) == StepChoice.steps(from: [second, first], limit: 8))
    }

    @Test("nothing from a rank that has nothing")
    func nothing() {
        #expect(StepChoice.steps(from: [Runs.offer(Runs.recording(steps: 9)), Runs.offer(StepRecording())], limit: 4).isEmpty)
        #expect(
            StepChoice.steps(from: [], limit: 4).isEmpty && StepChoice.steps(from: [Runs.offer(Runs.recording(steps: 9))], limit: 0).isEmpty
        )
    }
}

@Suite("How recordings come to rank 0")
struct GatheringTests {
    @Test("the same steps of every rank", arguments: [1, 2, 5])
    func steps(ranks: Int) throws {
        let recordings = (0..<ranks).map { Runs.recording(steps: 300, slow: [99], rank: $0) }
        var calls: [[Int]] = []
        let parts = try Runs.gathered(recordings, stepLimit: 20, calls: &calls)
        #expect(parts.count == ranks && Set(parts.map { $0.steps.map(\.step) }).count == 1)
        #expect(parts[0].steps.count == 20 && parts[0].steps.contains { $0.step == 99 })
        for (part, recording) in zip(parts, recordings) {
            #expect(part.totals == recording.totals)
            #expect(part.steps.allSatisfy { step in recording.held.contains(step) })
        }
    }

    @Test("in pieces of bounded size")
    func pieces() throws {
        var calls: [[Int]] = []
        let recordings = (0..<2).map { Runs.recording(steps: 60, buckets: 400, rank: $0) }
        let parts = try Runs.gathered(recordings, stepLimit: 256, calls: &calls)
        #expect(calls.count > 3 && calls.allSatisfy { $0.allSatisfy { $0 <= Gathering.pieceByteLimit } })
        let bytes = calls.map { $0.max() ?? 0 }.reduce(0, +)
        #expect(bytes < Gathering.rankByteLimit + Gathering.pieceByteLimit)
        #expect(!parts[0].steps.isEmpty && parts[0].steps.count < 60 && parts[1].steps.count == parts[0].steps.count)
    }

    @Test("an error of the gather ends it")
    func failure() {
        struct Verdict: Error {}
        #expect(throws: Verdict.self) {
            _ = try Gathering.gather(Runs.recording(steps: 3), rank: 0, stepLimit: 2) { bytes, label in
                if label == "report: sizes" { throw Verdict() }
                return [bytes]
            }
        }
    }
}
