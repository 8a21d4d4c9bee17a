public import Reduction

/// Chooses the wire format of a job's gradients, fp32 or bf16, where the user leaves that to the planner. Pure: ranks that give it the same figures choose the
/// same.
///
/// A prediction of the gain is not enough, because what encoding costs a step depends on who has a core then. So steps decide:
/// 1. While a better plan is found for the format in use, that comes first: both formats are compared by plans that are known to be good.
/// 2. bf16 is tried where the planner expects a step shorter by `leastGain`.
/// 3. At the next check, `trialSteps` later, it stays if steps have become shorter. Else fp32 comes back, and bf16 is not tried again before four times as many
///    steps.
/// So no step is longer for it but those of a trial.
public struct WireSelection: Sendable {
    /// The part of a step that bf16 has to save, as the planner expects it: predictions are not exact, and roundings are not free.
    public static let leastGain = 0.05
    /// Steps of a trial, at the end of which the planner is asked.
    public static let trialSteps = 10

    private let plain: Planner
    private let encoded: Planner
    private let size: GradientSettings.BucketSize
    /// What a byte of each format was measured to take.
    private var plainSecondsPerByte = 0.0
    private var encodedSecondsPerByte = 0.0
    /// The trial under way: what a step of fp32 took before it.
    private var trial: Double?
    private var nextTrial = 0
    /// In words, why the format is what it is.
    public private(set) var reason = "the planner has not looked yet"

    /// - Parameters:
    ///   - plain: of fp32; its plan is that of the first steps.
    ///   - encoded: of another format without residuals.
    public init(_ plain: Planner, _ encoded: Planner, _ size: GradientSettings.BucketSize) {
        (self.plain, self.encoded, self.size) = (plain, encoded, size)
    }

    public func planner(of wire: WireFormat) -> Planner { wire == .plain ? plain : encoded }

    /// Whether a trial is under way: the next check comes after `trialSteps`.
    public var isTrying: Bool { trial != nil }

    /// The plan to change to, if any.
    /// - Parameters:
    ///   - profile: of steps by `plan`.
    ///   - step: steps so far.
    ///   - wasPlanned: whether the planner has made `plan`.
    public mutating func change(from plan: BucketPlan, wasPlanned: Bool = true, for profile: ArrivalProfile, step: Int) -> BucketPlan? {
        if profile.secondsPerByte > 0 {
            if plan.wire == .plain { plainSecondsPerByte = profile.secondsPerByte } else { encodedSecondsPerByte = profile.secondsPerByte }
        }
        if plan.wire != .plain, let before = trial, let back = endTrial(before, for: profile, step: step) { return back }
        if size == .planned, let better = planner(of: plan.wire).change(from: plan, wasPlanned: wasPlanned, for: profile) { return better }
        return plan.wire == .plain ? tryEncoded(plan, profile, step) : leaveEncoded(plan, profile)
    }

    // MARK: the trial

    private mutating func tryEncoded(_ plan: BucketPlan, _ profile: ArrivalProfile, _ step: Int) -> BucketPlan? {
        guard step >= nextTrial else { return nil }
        let now = plain.prediction(of: plan, for: profile).stepSeconds
        let rival = best(of: encoded, profile)
        let gains = rival.seconds < now * (1 - Self.leastGain)
        reason = "a step of \(Self.text(now)) by fp32 should take \(Self.text(rival.seconds)) by \(encoded.wire)"
        reason += gains ? ", which is being tried" : "; \(encoded.wire) has to save \(Int(Self.leastGain * 100)) %"
        guard gains else { return nil }
        trial = profile.stepSeconds
        return rival.plan
    }

    private mutating func endTrial(_ before: Double, for profile: ArrivalProfile, step: Int) -> BucketPlan? {
        trial = nil
        let figures = "steps took \(Self.text(before)) by fp32, and \(Self.text(profile.stepSeconds)) by \(encoded.wire)"
        reason = figures
        guard profile.stepSeconds >= before else { return nil }
        nextTrial = 4 * step
        reason += " when that was tried"
        return best(of: plain, profile).plan
    }

    /// The profile may have changed since.
    private mutating func leaveEncoded(_ plan: BucketPlan, _ profile: ArrivalProfile) -> BucketPlan? {
        let now = encoded.prediction(of: plan, for: profile).stepSeconds
        let rival = best(of: plain, profile)
        guard rival.seconds < now * (1 - Planner.leastGainOfChange) else { return nil }
        reason = "a step of \(Self.text(now)) by \(encoded.wire) should take \(Self.text(rival.seconds)) by fp32"
        return rival.plan
    }

    // MARK: predictions

    /// What a byte of a format took when it was in use; if it never was, what the model says, corrected as that of fp32 had to be. 0 where nothing is known.
    public func secondsPerByte(of wire: WireFormat) -> Double {
        if wire == .plain { return plainSecondsPerByte }
        if encodedSecondsPerByte > 0 || plain.costs.whole.secondsPerByte == 0 { return encodedSecondsPerByte }
        return plainSecondsPerByte * encoded.costs.whole.secondsPerByte / plain.costs.whole.secondsPerByte
    }

    /// The best plan of a format that is not in use.
    private func best(of planner: Planner, _ profile: ArrivalProfile) -> (plan: BucketPlan, seconds: Double) {
        var profile = profile
        profile.secondsPerByte = secondsPerByte(of: planner.wire)
        let plan = size == .planned ? planner.plan(for: profile) : planner.firstPlan(size)
        return (plan, planner.prediction(of: plan, for: profile).stepSeconds)
    }

    private static func text(_ seconds: Double) -> String {
        let microseconds = Int((seconds * 1e6).rounded())
        return "\(microseconds / 1000).\(String(1000 + microseconds % 1000).dropFirst()) ms"
    }
}
