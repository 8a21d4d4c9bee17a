import Gradients
import Testing

@Suite struct BucketPlanTests {
    static let model = [("a", 1000), ("b", 10), ("c", 0), ("d", 17), ("e", 5000), ("f", 1)].map {
        ParameterLayout(name: $0.0, elementCount: $0.1)
    }

    @Test(arguments: [0, 1, 64, 4096, 20_000, 1 << 30])
    func gradientsAreDisjointAlignedAndInReverseOrder(bucketBytes: Int) {
        let plan = BucketPlan(parameters: Self.model, bucketBytes: bucketBytes)
        var end = 0
        for index in Self.model.indices.reversed() {
            #expect(plan.offsets[index] >= end && plan.offsets[index] % BucketPlan.alignment == 0)
            end = plan.offsets[index] + Self.model[index].elementCount
            let bucket = plan.buckets[plan.bucketOfParameter[index]]
            #expect(bucket.parameters.contains(index))
            #expect(bucket.range.lowerBound <= plan.offsets[index] && end <= bucket.range.upperBound)
        }
        #expect(plan.buckets.flatMap(\.parameters) == Self.model.indices.reversed())
        #expect(zip(plan.buckets, plan.buckets.dropFirst()).allSatisfy { $0.range.upperBound == $1.range.lowerBound })
        for bucket in plan.buckets where bucket.parameters.count > 1 { #expect(bucket.range.count * 4 <= bucketBytes) }
    }

    @Test func modelWithoutParametersHasNoBuckets() {
        let plan = BucketPlan(parameters: [], bucketBytes: 1024)
        #expect(plan.buckets.isEmpty && plan.elementCount == 0)
    }

    @Test func differenceNamesRankAndParameter() throws {
        var other = Self.model
        other[3].elementCount = 18
        let manifests = [Self.model, Self.model, other].map { BucketPlan(parameters: $0, bucketBytes: 4096).manifest }
        let difference = try #require(BucketPlan.difference(manifests))
        #expect(difference.rank == 2)
        #expect(difference.detail.contains("'d' of 17") && difference.detail.contains("'d' of 18"))
        let shorter = BucketPlan(parameters: Array(Self.model.dropLast()), bucketBytes: 4096).manifest
        #expect(try #require(BucketPlan.difference([manifests[0], shorter])).detail.contains("bucket"))
        #expect(BucketPlan.difference([manifests[0], manifests[1]]) == nil)
    }
}

@Suite struct ReadinessTests {
    static let plan = BucketPlan(
        parameters: (0..<6).map { ParameterLayout(name: "p\($0)", elementCount: 16) }, bucketBytes: 128)  // [5,4] [3,2] [1,0]

    @Test func bucketsStartInOrderOnceFull() throws {
        var readiness = Readiness(plan: Self.plan)
        func started(_ parameter: Int) throws -> [Int] {
            try readiness.announce(parameter)
            var buckets: [Int] = []
            while let bucket = readiness.next {
                buckets.append(bucket)
                readiness.didStart()
            }
            return buckets
        }
        #expect(try started(5).isEmpty)
        #expect(try started(3).isEmpty)
        #expect(try started(2).isEmpty, "bucket 1 is full, but bucket 0 is not: it waits")
        #expect(try started(4) == [0, 1])
        #expect(try started(0).isEmpty)
        #expect(try started(1) == [2])
        try readiness.endStep()
        #expect(try started(4).isEmpty, "the next step begins anew")
    }

    @Test func aBucketThatCannotStartKeepsItsTurn() throws {
        var readiness = Readiness(plan: Self.plan)
        for parameter in [5, 3, 2, 4] { try readiness.announce(parameter) }
        #expect(readiness.next == 0)
        try readiness.announce(4)
        #expect(readiness.next == 0, "announced once more, for another try")
        readiness.didStart()
        try readiness.announce(1)
        #expect(readiness.next == 1)
        readiness.didStart()
        #expect(readiness.next == nil)
        #expect(throws: GradientError.announcedTwice(name: "p4")) { try readiness.announce(4) }
        try readiness.announce(0)
        #expect(readiness.next == 2)
    }

    @Test func mistakesAreNamed() throws {
        var readiness = Readiness(plan: Self.plan)
        try readiness.announce(5)
        #expect(throws: GradientError.announcedTwice(name: "p5")) { try readiness.announce(5) }
        #expect(throws: GradientError.unknownParameter(index: 6, count: 6)) { try readiness.announce(6) }
        #expect(throws: GradientError.notAnnounced(names: ["p0", "p1", "p2", "p3", "p4"])) { try readiness.checkComplete() }
    }
}
