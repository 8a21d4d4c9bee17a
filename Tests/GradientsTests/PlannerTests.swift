import Collectives
import Gradients
import Testing

@Suite struct PlannerTests {
    /// Eight layers of a MiB each, whose gradients come every 10 ms, the last layer's first; the forward pass takes 5 ms a layer.
    static let layout = GradientLayout(parameters: (0..<8).map { ParameterLayout(name: "p\($0)", elementCount: 1 << 18) })
    static let profile = ArrivalProfile(
        ready: (0..<8).map { Double(7 - $0) * 0.01 }, needed: (0..<8).map { Double($0) * 0.005 }, backwardSeconds: 0.07,
        forwardSeconds: 0.05)
    static let mebi = Double(1 << 20)

    static func costs(secondsPerMebi: Double, latencySeconds: Double = 0) -> LinkCosts {
        LinkCosts(whole: LinkCosts.Line(latencySeconds: latencySeconds, secondsPerByte: secondsPerMebi / mebi))
    }

    static func near(_ left: Double, _ right: Double) -> Bool { abs(left - right) < 1e-4 }

    // MARK: the model of a step

    @Test func oneBucketTravelsWhenAllIsReady() {
        let plan = BucketPlan(Self.layout, bucketBytes: 8 << 20)
        let prediction = plan.predict(Self.layout, Self.profile, Self.costs(secondsPerMebi: 0.005, latencySeconds: 0.001))
        #expect(Self.near(prediction.exposedSeconds, 0.041) && Self.near(prediction.stepSeconds, 0.161))
        #expect(Self.near(prediction.ready[0], 0.07) && Self.near(prediction.returned[0], 0.111) && Self.near(prediction.linkSeconds, 0.04))
    }

    @Test func aBucketALayerHidesButTheLast() {
        let plan = BucketPlan(Self.layout, bucketBytes: 1 << 20)
        let prediction = plan.predict(Self.layout, Self.profile, Self.costs(secondsPerMebi: 0.005))
        #expect(Self.near(prediction.exposedSeconds, 0.005), "the first layer's, which is ready last and needed first")
    }

    /// A link that takes longer than backprop: an urgent bucket goes before those that wait, and the others are hidden by the forward pass.
    @Test func urgentBucketsOvertake() {
        let costs = Self.costs(secondsPerMebi: 0.0125)
        func exposed(_ urgentBelow: Int) -> Double {
            BucketPlan(Self.layout, cuts: [(1..<8).map { $0 << 18 }], urgentBelow: urgentBelow).predict(Self.layout, Self.profile, costs)
                .exposedSeconds
        }
        // All eight in a row end at 100 ms, 30 ms after backprop; the forward pass wants the first layer's at once.
        #expect(Self.near(exposed(0), 0.03))
        // The first layer's takes the link for 12.5 ms at 70 ms; the second's is the last of all at 100 ms, and wanted at 87.5 ms.
        #expect(Self.near(exposed(1), 0.0125 + 0.0125))
    }

    @Test func halvesHideInTheForwardPass() {
        let costs = Self.costs(secondsPerMebi: 0.015)
        func exposed(_ schedule: GradientSettings.Schedule) -> Double {
            BucketPlan(Self.layout, bucketBytes: 1 << 20, schedule: schedule).predict(Self.layout, Self.profile, costs).exposedSeconds
        }
        // 120 ms of link: the allreduces end 50 ms after backprop, in the wrong order.
        #expect(Self.near(exposed(.allReduce), 0.05))
        // Reduced 7.5 ms after backprop; the first gather ends 7.5 ms later, and the others come every 7.5 ms for a layer every 5.
        #expect(exposed(.split) < 0.035)
    }

    // MARK: the choice

    static func best(secondsPerMebi: Double, schedule: GradientSettings.Schedule? = nil) -> (plan: BucketPlan, exposed: Double) {
        let costs = costs(secondsPerMebi: secondsPerMebi, latencySeconds: 20e-6)
        let plan = Planner(layout, costs, schedule: schedule).plan(for: profile)
        BucketPlanTests.check(plan, layout)
        return (plan, plan.predict(layout, profile, costs).exposedSeconds)
    }

    @Test(arguments: [0.002, 0.015]) func noRuleIsBetter(secondsPerMebi: Double) {
        let costs = Self.costs(secondsPerMebi: secondsPerMebi, latencySeconds: 20e-6)
        let best = Self.best(secondsPerMebi: secondsPerMebi)
        for schedule in GradientSettings.Schedule.allCases {
            let rules = [
                BucketPlan(ddpRuleFor: Self.layout, schedule: schedule), BucketPlan(Self.layout, bucketBytes: 1 << 20, schedule: schedule),
            ]
            for rule in rules {
                #expect(best.exposed <= rule.predict(Self.layout, Self.profile, costs).exposedSeconds + 0.12 * 0.005)
            }
        }
    }

    @Test(arguments: GradientSettings.Schedule.allCases) func aScheduleThatIsAskedForIsTaken(schedule: GradientSettings.Schedule) {
        #expect(Self.best(secondsPerMebi: 0.007, schedule: schedule).plan.schedule == schedule)
    }

    /// Where everything but the last gradient hides, its bucket is small; where the link is the bottleneck, halves win.
    @Test func whatIsChosen() {
        let fast = Self.best(secondsPerMebi: 0.007)
        #expect(fast.exposed < 0.0075, "no more than the last gradient, which nothing can hide")
        let slow = Self.best(secondsPerMebi: 0.015)
        #expect(slow.plan.schedule == .split)
        let free = Self.best(secondsPerMebi: 1e-9)
        #expect(free.plan.buckets.count == 1, "the simplest, where nothing is gained")
    }

    @Test func aPlanIsKeptForALittleGain() throws {
        let costs = Self.costs(secondsPerMebi: 0.007, latencySeconds: 20e-6)
        let planner = Planner(Self.layout, costs)
        let best = planner.plan(for: Self.profile)
        #expect(planner.change(from: best, for: Self.profile) == nil)
        let change = try #require(planner.change(from: BucketPlan(Self.layout, bucketBytes: 8 << 20), for: Self.profile))
        #expect(change == best)
        // A bucket of the last gradient and of a piece before it: 1 % of a step longer.
        let little = BucketPlan(Self.layout, cuts: [(1..<7).map { $0 << 18 } + [(7 << 18) - 47_104]])
        #expect(planner.change(from: little, for: Self.profile) == nil)
        #expect(planner.change(from: little, wasPlanned: false, for: Self.profile) == best, "what was planned of nothing is worth nothing")
        // The measured cost of a byte counts, not the model's.
        var measured = Self.profile
        measured.secondsPerByte = 1e-15
        #expect(planner.plan(for: measured).buckets.count == 1)
    }

    /// What operations cost the trainer's own thread is in the prediction, twice for two halves, and makes buckets fewer.
    @Test func aThreadThatDrivesTheEngineWantsFewBuckets() {
        let costs = Self.costs(secondsPerMebi: 0.005)
        var driving = Self.profile
        driving.operationSeconds = 0.003
        for (schedule, operations) in [(GradientSettings.Schedule.allReduce, 8.0), (.split, 16.0)] {
            let plan = BucketPlan(Self.layout, bucketBytes: 1 << 20, schedule: schedule)
            let (other, own) = (plan.predict(Self.layout, Self.profile, costs), plan.predict(Self.layout, driving, costs))
            #expect(Self.near(own.exposedSeconds - other.exposedSeconds, operations * 0.003))
            #expect(Self.near(own.stepSeconds - other.stepSeconds, operations * 0.003))
        }
        let planner = Planner(Self.layout, costs)
        let (many, few) = (planner.plan(for: Self.profile).buckets.count, planner.plan(for: driving).buckets.count)
        #expect(1 < few && few < many, "\(many), then \(few)")
    }

    /// Where that thread carries the bytes, too, nothing goes on beside it: one bucket, and all bytes are exposed.
    @Test func aThreadThatCarriesTheBytesHidesNothing() {
        let costs = Self.costs(secondsPerMebi: 0.005)
        var carrying = Self.profile
        (carrying.operationSeconds, carrying.ownSecondsPerByte) = (0.001, 0.005 / Double(1 << 20))
        let planner = Planner(Self.layout, costs)
        #expect(planner.plan(for: Self.profile).buckets.count > 1)
        let plan = planner.plan(for: carrying)
        #expect(plan.buckets.count == 1 && plan.schedule == .allReduce)
        let own = Double(Self.layout.byteCount) * carrying.ownSecondsPerByte
        #expect(Self.near(plan.predict(Self.layout, carrying, costs).exposedSeconds, 0.001 + own))
        // Ranks agree on the least.
        var other = carrying
        other.ownSecondsPerByte *= 2
        let agreed = ArrivalProfile(agreed: zip(carrying.agreeable, other.agreeable).map(max))
        #expect(agreed.ownSecondsPerByte == carrying.ownSecondsPerByte)
    }

    @Test func allTypesAndNoParameters() {
        for layout in BucketPlanTests.layouts + [GradientLayout(parameters: [])] {
            let zeros = Array(repeating: 0.0, count: layout.parameters.count)
            let profile = ArrivalProfile(ready: zeros, needed: zeros, backwardSeconds: 0, forwardSeconds: 0)
            let planner = Planner(layout, Self.costs(secondsPerMebi: 1))
            BucketPlanTests.check(planner.plan(for: profile), layout)
            BucketPlanTests.check(planner.firstPlan(.planned), layout)
        }
    }

    // MARK: what is known

    @Test func profilesAgree() throws {
        #expect(ArrivalProfile(agreed: Self.profile.agreeable) == Self.profile)
        #expect(Self.profile.agreeable.count == ArrivalProfile.agreeableCount(parameters: 8))
        let some = [1.0, 5, 2].map {
            ArrivalProfile(ready: [$0], needed: [0], backwardSeconds: 7 - $0, forwardSeconds: 0, secondsPerByte: $0)
        }
        let median = try #require(ArrivalProfile.median(of: some))
        #expect(median.ready == [2] && median.backwardSeconds == 5 && median.secondsPerByte == 2)
        #expect(ArrivalProfile.median(of: []) == nil)
    }

    @Test func theCostOfAByteIsThatOfTheBusyLink() {
        func bucket(_ first: UInt64, _ ended: UInt64, _ phase: BucketPhase) -> BucketReport {
            var bucket = BucketReport(index: 0, parameters: 0..<1, byteCount: 1 << 20, phase: phase, ready: 0, submitted: 0)
            // Started long before: the peer was late.
            (bucket.started, bucket.firstArrival, bucket.lastArrival, bucket.ended) = (first / 2, first, ended, ended)
            return bucket
        }
        // 3 ms, and 2 ms after a pause, of which 1 ms is latency each; two MiB in all.
        let buckets = [
            bucket(1_000_000, 3_000_000, .reduce), bucket(2_000_000, 4_000_000, .gather), bucket(9_000_000, 11_000_000, .allReduce),
        ]
        #expect(abs(measuredSecondsPerByte(buckets, latencySeconds: 0.001) * 2 * Self.mebi - 0.003) < 1e-9)
        #expect(measuredSecondsPerByte([], latencySeconds: 0) == 0)
    }

    @Test func theEnginesCostsMakeALine() {
        let settings = ExecutorSettings(topology: .apart(worldSize: 4), costs: .typical)
        let costs = LinkCosts(settings)
        let predicted = settings.choice(for: .allReduce, byteCount: 1 << 20, type: .float32).predictions[0].microseconds / 1e6
        let line = costs.whole.latencySeconds + Self.mebi * costs.whole.secondsPerByte
        #expect(abs(line / predicted - 1) < 0.1)
    }
}
