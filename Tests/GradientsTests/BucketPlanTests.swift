import Gradients
import Testing

@Suite struct BucketPlanTests {
    static let layouts = [GradientLayoutTests.model, GradientLayoutTests.mixture].flatMap { model in
        [false, true].map { GradientLayout(parameters: model, tracksUse: $0) }
    }

    /// What must be true of every plan.
    static func check(_ plan: BucketPlan, _ layout: GradientLayout) {
        for section in layout.sections.indices {
            let ranges = plan.buckets.filter { $0.section == section }.map(\.elements).sorted { $0.lowerBound < $1.lowerBound }
            let cover = [0] + ranges.map(\.upperBound)
            #expect(ranges.map(\.lowerBound) + [layout.sections[section].elementCount] == cover, "every element is in one bucket")
            #expect(ranges.allSatisfy { $0.lowerBound % GradientLayout.granule == 0 })
        }
        for (index, bucket) in plan.buckets.enumerated() {
            let overlapping = layout.parameters.indices.filter {
                layout.places[$0].section == bucket.section && layout.places[$0].elements.overlaps(bucket.elements)
            }
            #expect(bucket.parameters == overlapping.reversed())
            for parameter in bucket.parameters { #expect(plan.bucketsOfParameter[parameter].contains(index)) }
        }
        // A bucket of which all is ready never waits for one that is not.
        let last = plan.buckets.map { $0.parameters.last == layout.useIndex ? -1 : $0.parameters.last! }
        #expect(last == last.sorted(by: >))
        let first = plan.forwardOrder.map { plan.buckets[$0].parameters.min()! }
        #expect(first == first.sorted() && Set(plan.forwardOrder) == Set(plan.buckets.indices))
    }

    @Test(arguments: layouts, [1, 64, 1024, 4096, 20_000, 1 << 30])
    func fixedSizes(layout: GradientLayout, bucketBytes: Int) {
        for schedule in GradientSettings.Schedule.allCases {
            let plan = BucketPlan(layout, bucketBytes: bucketBytes, schedule: schedule)
            Self.check(plan, layout)
            #expect(plan.schedule == schedule)
            for bucket in plan.buckets.indices {
                #expect(plan.byteCount(of: bucket, in: layout) <= max(bucketBytes, GradientLayout.granule * 8))
            }
        }
    }

    @Test func onlyGranulesAreCut() {
        let layout = Self.layouts[0]
        let plan = BucketPlan(layout, cuts: [[-256, 0, 100, 256, 512, 512, 1 << 20]])
        Self.check(plan, layout)
        #expect(plan.buckets.map(\.elements.lowerBound) == [0, 256, 512])
        #expect(plan.buckets[0].parameters == [5, 4] && plan.buckets[1].parameters == [4], "a bucket inside a parameter")
    }

    @Test func parametersOfTheFirstLayersAreUrgent() {
        let layout = Self.layouts[0]
        let plan = BucketPlan(layout, cuts: [[256, 5120]], urgentBelow: 1)
        #expect(plan.buckets.map(\.isUrgent) == plan.buckets.map { $0.parameters.contains(0) })
        #expect(plan.buckets.contains { $0.isUrgent } && plan.buckets.contains { !$0.isUrgent })
    }

    /// A parameter of exactly the limit closes its bucket, as in `compute_bucket_assignment_by_size`.
    @Test func theRuleOfDDP() {
        let mebi = 1 << 18
        let model = [10 * mebi, 20 * mebi, 5 * mebi, mebi, 1000].map { ParameterLayout(name: "p", elementCount: $0) }
        let layout = GradientLayout(parameters: model)
        let plan = BucketPlan(ddpRuleFor: layout)
        Self.check(plan, layout)
        // The first has 1000 elements and a MiB; the second 5 and 20 MiB; the rest is left, with the end of a granule.
        #expect(plan.buckets.map { $0.parameters.first! } == [4, 3, 1])
        #expect(plan.buckets.count == 3)
    }

    @Test func modelWithoutParametersHasNoBuckets() {
        let plan = BucketPlan(GradientLayout(parameters: []), bucketBytes: 1024)
        #expect(plan.buckets.isEmpty)
    }
}
