import Gradients

@testable import Reports

/// Runs as a ledger would report them.
enum Runs {
    /// A step of 10 ms from `step` * 40 ms on, `slowBy` nanoseconds longer, with buckets of 1 ms that begin every half millisecond.
    static func step(_ number: Int, buckets: Int = 2, slowBy: UInt64 = 0, rank: Int = 0, late: LateRank? = nil) -> StepReport {
        let start = UInt64(1_000_000_000 + number * 40_000_000 + rank * 1000)
        let end = start + 10_000_000 + slowBy
        var report = StepReport(step: number, startNanoseconds: start, endNanoseconds: end, late: late)
        report.stepSeconds = Double(end - start) / 1e9
        report.exposed = ExposedTime(latePeer: 0.0002, wire: 0.0008 + Double(slowBy) / 1e9)
        report.computeSeconds = 0.009
        report.communicationSeconds = 0.003
        report.hiddenSeconds = 0.002
        report.buckets = (0..<buckets).map { index in
            let ready = start + 5_000_000 + UInt64(index) * 500_000
            var bucket = BucketReport(
                index: index, parameters: 2 * index..<2 * index + 2, byteCount: 1024, isUrgent: index == 1,
                wire: index == 1 ? .bfloat16 : .plain, ready: ready, submitted: ready)
            bucket.started = ready + 100_000
            bucket.firstArrival = ready + 300_000
            bucket.lastArrival = ready + 900_000
            bucket.ended = ready + 1_000_000
            if index == buckets - 1 {
                (bucket.waitedFrom, bucket.waitedTo) = (start + 9_000_000, end)
                bucket.exposed = report.exposed
            }
            return bucket
        }
        return report
    }

    /// One step of one rank, whose buckets are all ready at once and go one after the other, two at a time.
    static func queue(buckets: Int) -> RunReport {
        var step = step(0, buckets: buckets)
        for index in step.buckets.indices { step.buckets[index].ready = step.startNanoseconds }
        var recording = StepRecording()
        recording.add(step)
        return RunReport(
            title: "a queue", facts: [], recording: recording, ranks: [RankRecording(totals: recording.totals, steps: recording.held)])
    }

    static func recording(steps: Int, buckets: Int = 2, slow: [Int] = [], rank: Int = 0) -> StepRecording {
        var recording = StepRecording()
        for number in 0..<steps {
            recording.add(
                step(number, buckets: buckets, slowBy: slow.contains(number) ? 20_000_000 : UInt64(number % 7) * 1000, rank: rank))
        }
        return recording
    }

    /// Gathers the recordings of several ranks, which run in turn: what each gives is known from a first look at it.
    static func gathered(_ recordings: [StepRecording], stepLimit: Int, calls: inout [[Int]]) throws -> [RankRecording] {
        var given: [[[UInt8]]] = []
        while true {
            // Each rank runs until it gives more than is known, so all of them come to the same call.
            var next: [[UInt8]] = []
            var result: [RankRecording] = []
            for (rank, recording) in recordings.enumerated() {
                var call = 0
                do {
                    let parts = try Gathering.gather(recording, rank: rank, stepLimit: stepLimit) { bytes, _ in
                        if call == given.count {
                            next.append(bytes)
                            throw Pause()
                        }
                        defer { call += 1 }
                        return given[call]
                    }
                    if rank == 0 { result = parts }
                } catch is Pause {}
            }
            if next.isEmpty { return result }
            given.append(next)
            calls.append(next.map(\.count))
        }
    }

    private struct Pause: Error {}

    static func offer(_ recording: StepRecording) -> StepOffer {
        StepOffer(
            stride: recording.stride, lastStep: recording.held.last?.step ?? -1, slowest: recording.slowest.map(\.step),
            median: recording.median?.step, stepBytes: 1)
    }

    static func report(ranks: Int, steps: Int, buckets: Int = 2, title: String = "a run", slow: [Int] = []) -> RunReport {
        let recordings = (0..<ranks).map { recording(steps: steps, buckets: buckets, slow: slow, rank: $0) }
        let chosen = Set(StepChoice.steps(from: recordings.map(offer), limit: RunReport.traceStepLimit))
        let parts = recordings.map { RankRecording(totals: $0.totals, steps: $0.held.filter { chosen.contains($0.step) }) }
        let epochs = (1...3).map {
            EpochFigures(loss: 1 / Double($0), accuracy: 1 - 0.2 / Double($0), seconds: 1, samplesPerSecond: 1000, exposedSeconds: 0.1)
        }
        return RunReport(
            title: title, facts: [("ranks", "\(ranks)"), ("fabric", "shm")], parameterNames: (0..<2 * buckets).map { "layer \($0)" },
            epochs: epochs, recording: recordings[0], ranks: parts)
    }
}
