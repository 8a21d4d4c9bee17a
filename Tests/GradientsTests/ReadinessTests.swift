import Gradients
import Testing

@Suite struct ReadinessTests {
    static let layout = GradientLayout(parameters: (0..<6).map { ParameterLayout(name: "p\($0)", elementCount: 256) })
    static let cuts = [[512, 1024]]  // [5, 4] [3, 2] [1, 0]

    static func readiness(_ schedule: GradientSettings.Schedule = .allReduce, urgentBelow: Int = 0) -> Readiness {
        Readiness(layout, plan: BucketPlan(layout, cuts: cuts, schedule: schedule, urgentBelow: urgentBelow))
    }

    /// Announces, and starts what may start.
    static func started(_ readiness: inout Readiness, _ parameter: Int) throws -> [Int] {
        try readiness.announce(parameter)
        var buckets: [Int] = []
        while let bucket = readiness.next {
            buckets.append(bucket)
            readiness.didStart(bucket)
        }
        return buckets
    }

    @Test func bucketsStartInOrderOnceFull() throws {
        var readiness = Self.readiness()
        #expect(try Self.started(&readiness, 5).isEmpty)
        #expect(try Self.started(&readiness, 3).isEmpty)
        #expect(try Self.started(&readiness, 2).isEmpty, "bucket 1 is full, but bucket 0 is not: it waits")
        #expect(try Self.started(&readiness, 4) == [0, 1])
        #expect(readiness.hasStarted(1) && !readiness.hasStarted(2) && !readiness.haveAllStarted)
        #expect(try Self.started(&readiness, 0).isEmpty)
        #expect(try Self.started(&readiness, 1) == [2])
        #expect(readiness.haveAllStarted && [true, false].allSatisfy { readiness.pendingGather(isUrgent: $0) == nil })
        readiness.endStep()
        #expect(try Self.started(&readiness, 4).isEmpty, "the next step begins anew")
    }

    @Test func streamsDoNotWaitForEachOther() throws {
        var readiness = Self.readiness(urgentBelow: 2)
        #expect(try Self.started(&readiness, 0).isEmpty)
        #expect(try Self.started(&readiness, 1) == [2], "bucket 2 alone is urgent")
        #expect(try Self.started(&readiness, 3).isEmpty)
        #expect(try Self.started(&readiness, 2).isEmpty)
        #expect(try Self.started(&readiness, 5).isEmpty)
        #expect(try Self.started(&readiness, 4) == [0, 1])
    }

    @Test func aParameterInTwoBucketsHoldsUpBoth() throws {
        var readiness = Readiness(Self.layout, plan: BucketPlan(Self.layout, cuts: [[256, 512, 768]]))
        let wide = GradientLayout(parameters: [
            ParameterLayout(name: "a", elementCount: 600), ParameterLayout(name: "b", elementCount: 300),
        ])
        readiness = Readiness(wide, plan: BucketPlan(wide, cuts: [[256, 512]]))  // [b] [b, a] [a]
        #expect(try Self.started(&readiness, 1) == [0])
        #expect(try Self.started(&readiness, 0) == [1, 2])
    }

    @Test func gathersWaitForAllAndGoInForwardOrder() throws {
        var readiness = Self.readiness(.split)
        for parameter in [5, 4, 3] { _ = try Self.started(&readiness, parameter) }
        readiness.didReduce(0)
        #expect(readiness.nextGather == nil, "not all have started")
        for parameter in [2, 1, 0] { _ = try Self.started(&readiness, parameter) }
        #expect(readiness.nextGather == nil, "bucket 0 is reduced, but bucket 2 is needed first")
        #expect(readiness.pendingGather(isUrgent: false) == 2)
        readiness.didReduce(2)
        #expect(readiness.nextGather == 2)
        readiness.didStartGather(2)
        #expect(readiness.nextGather == nil)
        readiness.didReduce(1)
        #expect(readiness.nextGather == 1)
        readiness.didStartGather(1)
        #expect(readiness.nextGather == 0)
        readiness.didStartGather(0)
        readiness.endStep()
        #expect(readiness.nextGather == nil && readiness.announcedCount == 0)
    }

    @Test func aBucketThatCannotStartKeepsItsTurn() throws {
        var readiness = Self.readiness()
        for parameter in [5, 3, 2, 4] { try readiness.announce(parameter) }
        #expect(readiness.next == 0)
        #expect(try !readiness.announce(4))
        #expect(readiness.next == 0, "announced once more, for another try")
        readiness.didStart(0)
        try readiness.announce(1)
        #expect(readiness.next == 1)
        readiness.didStart(1)
        #expect(readiness.next == nil)
        #expect(throws: GradientError.announcedTwice(name: "p4")) { try readiness.announce(4) }
        try readiness.announce(0)
        #expect(readiness.next == 2)
    }

    @Test func mistakesAreNamed() throws {
        var readiness = Self.readiness()
        try readiness.announce(5)
        #expect(throws: GradientError.announcedTwice(name: "p5")) { try readiness.announce(5) }
        #expect(throws: GradientError.unknownParameter(index: 6, count: 6)) { try readiness.announce(6) }
        #expect(readiness.unannounced == [0, 1, 2, 3, 4])
    }
}
