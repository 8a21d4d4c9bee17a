import Gradients
import Reduction
import Testing

/// When bf16 is tried, kept and given up. A link on which a step of fp32 is 160 ms long and one of bf16 120, by the planner's model; what steps take is said here.
@Suite struct WireSelectionTests {
    static let layout = PlannerTests.layout
    static let plain = Planner(layout, PlannerTests.costs(secondsPerMebi: 0.02), schedule: .allReduce)
    static let encoded = Planner(layout, PlannerTests.costs(secondsPerMebi: 0.011), schedule: .allReduce, wire: .bfloat16)

    static func profile(stepSeconds: Double, secondsPerMebi: Double = 0) -> ArrivalProfile {
        var profile = PlannerTests.profile
        (profile.stepSeconds, profile.secondsPerByte) = (stepSeconds, secondsPerMebi / PlannerTests.mebi)
        return profile
    }

    /// A selection that has tried bf16 at step 20.
    static func trying(_ size: GradientSettings.BucketSize = .planned) throws -> (selection: WireSelection, plan: BucketPlan) {
        var selection = WireSelection(plain, encoded, size)
        var plan = plain.firstPlan(size)
        if size == .planned {
            // A better plan of the same format comes first.
            let change1 = selection.change(from: plan, for: profile(stepSeconds: 0.17), step: 10)
            plan = try #require(change1)
            #expect(plan.wire == .plain && !selection.isTrying)
        }
        let change2 = selection.change(from: plan, for: profile(stepSeconds: 0.16), step: 20)
        plan = try #require(change2)
        #expect(plan.wire == .bfloat16 && selection.isTrying && selection.reason.contains("being tried"))
        return (selection, plan)
    }

    @Test(arguments: [GradientSettings.BucketSize.planned, .fixed(1 << 20), .ddp])
    func whatMakesStepsShorterStays(size: GradientSettings.BucketSize) throws {
        var (selection, plan) = try Self.trying(size)
        for step in [30, 60, 120] {
            if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.12, secondsPerMebi: 0.011), step: step) {
                plan = change
            }
            #expect(plan.wire == .bfloat16 && !selection.isTrying)
            #expect(selection.reason == "steps took 160.000 ms by fp32, and 120.000 ms by bf16")
        }
    }

    /// Whatever the model says: bf16 that makes steps hardly shorter is given up, and tried again only much later.
    @Test(arguments: [0.158, 0.16, 0.2]) func whatDoesNotGoes(stepSeconds: Double) throws {
        var (selection, plan) = try Self.trying()
        let change3 = selection.change(from: plan, for: Self.profile(stepSeconds: stepSeconds, secondsPerMebi: 0.011), step: 30)
        plan = try #require(change3)
        #expect(plan.wire == .plain && !selection.isTrying && selection.reason.contains("when that was tried"))
        for step in [60, 119] {
            if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.16, secondsPerMebi: 0.02), step: step) {
                #expect(change.wire == .plain)
                plan = change
            }
        }
        let change4 = selection.change(from: plan, for: Self.profile(stepSeconds: 0.16, secondsPerMebi: 0.02), step: 120)
        let again = try #require(change4)
        #expect(again.wire == .bfloat16 && selection.isTrying)
    }

    /// Where communication hides, or the format costs what it saves, nothing is tried; the reason has the figures.
    @Test(arguments: [(0.002, 0.001), (0.02, 0.0199), (0.02, 0.03)])
    func whatIsNotExpectedToPayIsNotTried(secondsPerMebi: Double, encodedSecondsPerMebi: Double) throws {
        let plain = Planner(Self.layout, PlannerTests.costs(secondsPerMebi: secondsPerMebi), schedule: .allReduce)
        let encoded = Planner(
            Self.layout, PlannerTests.costs(secondsPerMebi: encodedSecondsPerMebi), schedule: .allReduce, wire: .bfloat16)
        var selection = WireSelection(plain, encoded, .planned)
        var plan = plain.firstPlan(.planned)
        for step in [10, 20, 40, 80] {
            if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.2), step: step) { plan = change }
            #expect(plan.wire == .plain && !selection.isTrying)
        }
        #expect(selection.reason.contains("bf16 has to save 5 %"))
    }

    /// What a byte was measured to take counts for both formats: the other takes what the model says beside it, and what a trial has measured from then on.
    @Test func bytesOfBothFormatsFollowTheLink() throws {
        var selection = WireSelection(Self.plain, Self.encoded, .fixed(1 << 20))
        func mebi(_ wire: WireFormat) -> Double { selection.secondsPerByte(of: wire) * PlannerTests.mebi }
        #expect(mebi(.plain) == 0 && mebi(.bfloat16) == 0)
        var plan = Self.plain.firstPlan(.fixed(1 << 20))
        for (step, secondsPerMebi, plain, encoded) in [(10, 0.04, 0.04, 0.022), (20, 0.03, 0.04, 0.03), (40, 0.06, 0.08, 0.06)] {
            let profile = Self.profile(stepSeconds: 0.2 - Double(step) / 1000, secondsPerMebi: secondsPerMebi)
            if let change = selection.change(from: plan, for: profile, step: step) { plan = change }
            #expect(PlannerTests.near(mebi(.plain), plain) && PlannerTests.near(mebi(.bfloat16), encoded), "step \(step)")
            #expect(plan.wire == .bfloat16, "tried, kept, and the better of the two on a link that is slower")
        }
    }

    /// What a trial has measured is not undone by a prediction at once.
    @Test func stepsDecideATrial() throws {
        var (selection, plan) = try Self.trying()
        // By its bytes, bf16 is no better.
        if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.12, secondsPerMebi: 0.02), step: 30) { plan = change }
        #expect(plan.wire == .bfloat16 && !selection.isTrying)
    }

    /// A link that has become fast enough makes bf16 needless.
    @Test func whatHasStoppedToPayGoes() throws {
        var (selection, plan) = try Self.trying()
        for step in [30, 60] {
            if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.12, secondsPerMebi: 0.011), step: step) {
                plan = change
            }
        }
        #expect(plan.wire == .bfloat16)
        for step in [120, 240] where plan.wire == .bfloat16 {
            if let change = selection.change(from: plan, for: Self.profile(stepSeconds: 0.1, secondsPerMebi: 0.0005), step: step) {
                plan = change
            }
        }
        #expect(plan.wire == .plain && selection.reason.contains("should take"))
    }
}
