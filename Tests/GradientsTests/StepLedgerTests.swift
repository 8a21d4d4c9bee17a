import Collectives
import Gradients
import Testing

/// Times of these tests are microseconds, which are handed to the ledger as nanoseconds.
private struct Book {
    var ledger = StepLedger(start: 0)

    mutating func bucket(
        _ index: Int = 0, submitted: UInt64, started: UInt64, first: UInt64, last: UInt64, ended: UInt64, work: UInt64 = 0,
        phase: BucketPhase = .allReduce
    ) -> Int {
        let number = ledger.begin(
            BucketReport(
                index: index, parameters: 0..<1, byteCount: 64, phase: phase, ready: submitted * 1000, submitted: submitted * 1000))
        var record = OperationRecord(submitted: submitted * 1000)
        (record.started, record.firstArrival, record.lastArrival) = (started * 1000, first * 1000, last * 1000)
        (record.ended, record.workNanoseconds) = (ended * 1000, work * 1000)
        ledger.end(number, record)
        return number
    }

    mutating func wait(_ number: Int, _ from: UInt64, _ to: UInt64, runDelay: UInt64 = 0) {
        ledger.wait(for: number, from: from * 1000, to: to * 1000, runDelay: runDelay * 1000)
    }

    mutating func end(_ time: UInt64) -> StepReport { ledger.endStep(at: time * 1000) }
}

/// In microseconds, rounded.
private func parts(_ time: ExposedTime) -> [ExposedCause: Int] {
    Dictionary(uniqueKeysWithValues: ExposedCause.allCases.map { ($0, Int((time[$0] * 1e6).rounded())) }).filter { $0.value != 0 }
}

private func microseconds(_ seconds: Double) -> Int { Int((seconds * 1e6).rounded()) }

@Suite struct StepLedgerTests {
    @Test func everyCauseByItself() {
        var book = Book()
        let number = book.bucket(submitted: 200, started: 250, first: 500, last: 700, ended: 800, work: 150)
        book.ledger.learn(bucket: 0, of: 3, submitted: 400_000)
        book.ledger.learn(bucket: 0, of: 2, submitted: 390_000)
        book.wait(number, 100, 850)
        let report = book.end(1000)
        // Of the 150 of work, all fell into the 400 after the peer came.
        #expect(parts(report.exposed) == [.ownGradient: 100, .latePeer: 200, .reduction: 150, .wire: 250, .release: 50])
        #expect(report.late?.rank == 3 && microseconds(report.late?.seconds ?? 0) == 200)
        #expect(microseconds(report.computeSeconds) == 250 && microseconds(report.communicationSeconds) == 600)
        #expect(report.hiddenSeconds == 0)
        #expect(report.buckets.count == 1 && report.buckets[0].exposed == report.exposed)
        #expect(report.buckets[0].waitedFrom == 100_000 && report.buckets[0].waitedTo == 850_000)
    }

    /// The driver did not start what it was asked for, or was ready to run and had no core.
    @Test func coreIsWhatTheDriverLacked() {
        var book = Book()
        let first = book.bucket(submitted: 0, started: 300, first: 400, last: 500, ended: 600)
        book.wait(first, 100, 600)
        #expect(parts(book.end(1000).exposed) == [.core: 200, .wire: 300])
        let second = book.bucket(submitted: 1000, started: 1000, first: 1100, last: 1900, ended: 2000, work: 300)
        book.wait(second, 1000, 2000, runDelay: 800)
        #expect(parts(book.end(2000).exposed) == [.core: 800, .reduction: 200])
        let third = book.bucket(submitted: 2000, started: 2000, first: 2100, last: 2900, ended: 3000)
        book.ledger.learn(bucket: 0, of: 1, submitted: 2_700_000)
        book.wait(third, 2000, 3000, runDelay: 5000)
        #expect(parts(book.end(3000).exposed) == [.latePeer: 700, .core: 300], "never more than the engine had to do")
    }

    /// What the trainer's thread lacked while it computed; what it lacked while it waited is known otherwise.
    @Test func computingWithoutACoreIsTold() {
        var book = Book()
        let number = book.bucket(submitted: 0, started: 0, first: 100, last: 600, ended: 700)
        book.wait(number, 300, 750, runDelay: 100)
        let report = book.ledger.endStep(at: 1_000_000, runDelay: 350_000)
        #expect(parts(report.exposed) == [.core: 100, .wire: 300, .release: 50] && microseconds(report.withoutCoreSeconds) == 200)
        #expect(microseconds(book.ledger.endStep(at: 2_000_000, runDelay: 9_000_000).withoutCoreSeconds) == 1000)
    }

    /// What had to stand behind an earlier bucket waited for the wire, and not for a core.
    @Test func standingBehindAnEarlierBucketIsNoLackOfACore() {
        var book = Book()
        _ = book.bucket(0, submitted: 0, started: 0, first: 10, last: 480, ended: 500)
        let second = book.bucket(1, submitted: 0, started: 600, first: 700, last: 800, ended: 900)
        book.wait(second, 400, 900)
        #expect(parts(book.end(1000).exposed) == [.wire: 400, .core: 100])
    }

    @Test func aClockThatIsWrongHidesNothing() {
        var book = Book()
        let number = book.bucket(submitted: 0, started: 0, first: 100, last: 200, ended: 300)
        book.ledger.learn(bucket: 0, of: 1, submitted: 5_000_000)
        book.wait(number, 0, 400)
        #expect(parts(book.end(400).exposed) == [.latePeer: 200, .wire: 100, .release: 100])
    }

    @Test func namedTimeIsNoneOfComputing() {
        var book = Book()
        let number = book.bucket(submitted: 0, started: 0, first: 100, last: 200, ended: 300)
        book.wait(number, 250, 300)
        book.ledger.name("input", from: 350_000, to: 400_000)
        book.ledger.name("evaluation", from: 200_000, to: 600_000)
        book.ledger.name("input", from: 700_000, to: 710_000)
        let report = book.end(1000)
        // Of the evaluation, 50 were waited and 50 were input.
        #expect(report.named.map(\.name) == ["input", "evaluation"])
        #expect(report.named.map { microseconds($0.seconds) } == [60, 300])
        #expect(microseconds(report.exposed.total) == 50 && microseconds(report.computeSeconds) == 590)
        let next = book.end(1500)
        #expect(next.named.isEmpty && next.step == 1 && microseconds(next.computeSeconds) == 500)
    }

    /// The trainer's own work for the engine.
    @Test func drivingIsReduction() {
        var book = Book()
        book.ledger.drive(from: 100_000, to: 150_000)
        let report = book.end(200)
        #expect(parts(report.exposed) == [.reduction: 50] && microseconds(report.computeSeconds) == 150)
        book.ledger.drive(from: 300_000, to: 350_000, runDelay: 20_000)
        book.ledger.drive(from: 360_000, to: 370_000, runDelay: 20_000)
        #expect(parts(book.end(400).exposed) == [.core: 30, .reduction: 30])
    }

    /// An operation belongs to the step in which it ends; communication to both.
    @Test func operationsMayOutliveAStep() {
        var book = Book()
        let gather = book.ledger.begin(
            BucketReport(index: 0, parameters: 0..<1, byteCount: 64, phase: .gather, ready: 50_000, submitted: 50_000))
        let first = book.end(100)
        #expect(first.buckets.isEmpty && microseconds(first.communicationSeconds) == 50)
        let other = book.bucket(1, submitted: 120, started: 120, first: 130, last: 140, ended: 150)
        book.wait(other, 140, 150)
        var record = OperationRecord(submitted: 50_000)
        (record.started, record.firstArrival, record.lastArrival, record.ended) = (60_000, 70_000, 180_000, 190_000)
        book.ledger.end(gather, record)
        book.wait(gather, 170, 190)
        let second = book.end(200)
        #expect(second.buckets.map(\.phase) == [.gather, .allReduce] && microseconds(second.communicationSeconds) == 90)
        #expect(microseconds(second.exposed.total) == 30)
    }

    /// Whatever comes in, also overlapping waits and times that make no sense, the parts sum to the step.
    @Test(arguments: 0..<200 as Range<UInt64>) func partsSumToTheStep(seed: UInt64) {
        var random = Numbers(state: seed)
        var book = Book()
        var start: UInt64 = 0
        var total = StepTotals()
        for _ in 0..<5 {
            let end = start + 1 + random.next(below: 2000)
            var numbers: [Int] = []
            for index in 0..<Int(random.next(below: 6)) {
                let times = (0..<5).map { _ in start + random.next(below: 2500) }.sorted()
                numbers.append(
                    book.bucket(
                        index, submitted: times[0], started: times[1], first: times[2], last: times[3], ended: times[4],
                        work: random.next(below: 3000)))
                for rank in 1..<4 { book.ledger.learn(bucket: index, of: rank, submitted: (start + random.next(below: 3000)) * 1000) }
            }
            for number in numbers + numbers where random.next(below: 2) == 0 {
                let from = start + random.next(below: 2000)
                book.wait(number, from, from + random.next(below: 800), runDelay: random.next(below: 900))
            }
            for name in ["input", "evaluation", "input"] where random.next(below: 3) == 0 {
                let from = start + random.next(below: 2000)
                book.ledger.name(name, from: min(from, end) * 1000, to: min(from + random.next(below: 300), end) * 1000)
            }
            let report = book.end(end)
            let sum = report.computeSeconds + report.exposed.total + report.namedSeconds
            #expect(abs(sum - report.stepSeconds) < 1e-9, "seed \(seed): \(report)")
            #expect(ExposedCause.allCases.allSatisfy { report.exposed[$0] >= 0 } && report.named.allSatisfy { $0.seconds >= 0 })
            let buckets = report.buckets.reduce(ExposedTime()) { $0 + $1.exposed }
            #expect(abs(buckets.total - report.exposed.total) < 1e-9)
            #expect(report.late.map { $0.seconds > 0 && $0.seconds < report.exposed.latePeer + 1e-12 } ?? (report.exposed.latePeer == 0))
            total.add(report)
            start = end
        }
        #expect(total == book.ledger.history.totals && total.steps == 5)
        #expect(abs(total.computeSeconds + total.exposed.total - total.trainingSeconds) < 1e-9)
    }

    @Test func historyKeepsTheLastSteps() {
        var book = Book()
        let steps = StepHistory.capacity + 10
        for step in 1...steps { _ = book.end(UInt64(step) * 10) }
        #expect(book.ledger.history.recent.map(\.step) == Array(10..<steps))
        #expect(book.ledger.history.totals.steps == steps)
        #expect(microseconds(book.ledger.history.totals.stepSeconds) == 10 * steps)
    }

    @Test func largestCauseIsNamed() {
        #expect(ExposedTime().largest == nil)
        #expect(ExposedTime(wire: 1, core: 2).largest == .core)
        var totals = StepTotals()
        for (rank, seconds) in [(2, 1.0), (1, 0.4), (3, 0.5), (1, 0.4)] {
            totals.add(StepReport(late: LateRank(rank: rank, seconds: seconds)))
        }
        #expect(totals.late.map(\.rank) == [1, 2, 3] && totals.latest?.rank == 2)
    }
}

/// SplitMix64: the same numbers for a seed everywhere.
private struct Numbers {
    var state: UInt64

    mutating func next(below bound: UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return (mixed ^ mixed >> 31) % bound
    }
}
