import Testing

@testable import rdma_allreduce

/// On canned numbers: what the reports make of what was measured.
@Suite struct StatisticsTests {
    @Test("of each iteration the slowest rank's time; the first ones count only in the list")
    func iterations() throws {
        let times = try #require(IterationTimes([[90, 1, 2, 3, 4], [80, 4, 3, 2, 1], [70, 1, 1, 1, 8]], skipping: 1))
        #expect(times.times == [90, 4, 3, 3, 8] && times.skipped == 1)
        #expect([times.minimum, times.maximum, times.average, times.p50, times.p95, times.p99] == [3, 8, 4.5, 4, 8, 8])
        #expect(abs(times.deviation - 2.0615528) < 1e-6 && abs(times.variation - 45.812285) < 1e-5)
        let hundred = try #require(IterationTimes([(1...100).map(Double.init)], skipping: 0))
        #expect([hundred.p50, hundred.p95, hundred.p99, hundred.maximum] == [51, 95, 99, 100])
        #expect(IterationTimes([[1], [2]], skipping: 1) == nil && IterationTimes([], skipping: 0) == nil)
    }

    @Test func whoseTimeIsTold() {
        let times = [3.0, 1, 8]
        #expect(TimeOf.allCases.map { $0.combine(times) } == [3, 4, 1, 8])
        #expect(TimeOf.allCases.map(\.rawValue) == [0, 1, 2, 3])
    }

    @Test("who waits least in the barrier came last, and the others waited for it")
    func stragglers() throws {
        let phases: [Stragglers.Phases] = [
            .init(work: 10, wait: 21, call: 5), .init(work: 30, wait: 1, call: 5), .init(work: 10, wait: 21, call: 8),
        ]
        let found = try #require(Stragglers(phases))
        #expect(found.lastRank == 1 && found.lateMicroseconds == 20)
        #expect(found.lastWorkMicroseconds == 30 && found.otherWorkMicroseconds == 10)
        #expect(found.slowestRank == 2 && found.slowerMicroseconds == 3)
        #expect(Stragglers([phases[0]]) == nil && Stragglers([]) == nil)
    }

    @Test("overlap is the share of the operation that did not make the whole longer")
    func overlap() {
        #expect(Overlap(overall: 100, compute: 100, pureCommunication: 100).overlapPercent == 100)
        #expect(Overlap(overall: 125, compute: 100, pureCommunication: 100).overlapPercent == 75)
        #expect(Overlap(overall: 250, compute: 100, pureCommunication: 100).overlapPercent == 0)
        #expect(Overlap(overall: 90, compute: 100, pureCommunication: 100).overlapPercent == 100)
        #expect(Overlap(overall: 0, compute: 0, pureCommunication: 0).overlapPercent == 0)
    }

    @Test func messageRates() {
        let rate = MessageRate(operations: 1000, worldSize: 4, window: 16, seconds: 0.5, coreSeconds: 0.75)
        #expect(rate.operationsPerSecond == 2000 && rate.writesPerSecond == 6000 && rate.writesPerCoreSecond == 4000)
        let alone = MessageRate(operations: 1000, worldSize: 1, window: 16, seconds: 0, coreSeconds: 0)
        #expect(alone.operationsPerSecond == 0 && alone.writesPerSecond == 0 && alone.writesPerCoreSecond == 0)
    }

    @Test func computationTakesAsLongAsItIsLong() {
        var computation = Computation()
        let units = computation.units(lasting: .microseconds(500))
        #expect(units >= 1 && computation.units(lasting: .zero) == 1 && computation.value.isFinite)
    }
}
