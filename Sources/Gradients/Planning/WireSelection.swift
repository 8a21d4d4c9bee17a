public import Reduction

/// Chooses the wire format of a job's gradients, fp32 or bf16, where the user leaves that to the planner. Pure: ranks that give it the same figures choose the
/// same.
///
/// A prediction of the gain is not enough, because what encoding costs a step depends on who has a core then. So steps decide:
/// 1. While a better plan is found for the format in use, that comes first: both formats are compared by plans that are known to be good.
/// 2. bf16 is tried where the planner expects a step shorter by `leastGain`.
/// 3. At the next check, `trialSteps` later, it stays if steps have become shorter by `Planner.leastGainOfChange`. Else fp32 comes back.
/// 4. It stays as long as the planner expects it to save so much; the link may have become faster.
/// Once given up, bf16 is not tried again before four times as many steps. So no step is longer for it but those of a trial, as far as the planner knows the link.
public struct WireSelection: Sendable {
    /// The part of a step that bf16 has to save, as the planner expects it: predictions are not exact, and roundings are not free.
    public static let leastGain = 0.05
    /// Steps of a trial, at the end of which the planner is asked.
    public static let trialSteps = 10

    private let plain: Planner
    private let encoded: Planner
    private let size: GradientSettings.BucketSize
    /// What a byte of fp32 takes by what was measured last, of whichever format.
    private var plainSecondsPerByte = 0.0
    /// What a byte of the gradients takes in the other format beside one in fp32: as the model says, until a trial has measured one after the other. A link that changes,
    /// changes for both.
    private var ratio: Double
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
        let known = plain.costs.whole.secondsPerByte
        ratio = known > 0 ? encoded.costs.whole.secondsPerByte / known : 0
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
        measure(profile.secondsPerByte, of: plan.wire)
        let endsTrial = trial != nil
        if let before = trial, let back = endTrial(before, for: profile, step: step) { return back }
        if size == .planned, let better = planner(of: plan.wire).change(from: plan, wasPlanned: wasPlanned, for: profile) { return better }
        if plan.wire == .plain { return tryEncoded(plan, profile, step) }
        return endsTrial ? nil : leaveEncoded(plan, profile, step)
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
        guard profile.stepSeconds > before * (1 - Planner.leastGainOfChange) else { return nil }
        nextTrial = 4 * step
        reason += " when that was tried"
        return best(of: plain, profile).plan
    }

    /// The link, or what hides behind it, may have changed since.
    private mutating func leaveEncoded(_ plan: BucketPlan, _ profile: ArrivalProfile, _ step: Int) -> BucketPlan? {
        let now = encoded.prediction(of: plan, for: profile).stepSeconds
        let rival = best(of: plain, profile)
        guard now > rival.seconds * (1 - Planner.leastGainOfChange) else { return nil }
        nextTrial = 4 * step
        reason = "a step of \(Self.text(now)) by \(encoded.wire) should take \(Self.text(rival.seconds)) by fp32"
        return rival.plan
    }

    // MARK: predictions

    /// What a byte of the gradients takes in a format now. 0 where nothing is known.
    public func secondsPerByte(of wire: WireFormat) -> Double { wire == .plain ? plainSecondsPerByte : plainSecondsPerByte * ratio }

    private mutating func measure(_ secondsPerByte: Double, of wire: WireFormat) {
        guard secondsPerByte > 0 else { return }
        if wire == .plain {
            plainSecondsPerByte = secondsPerByte
        } else if trial != nil, plainSecondsPerByte > 0 {
            ratio = secondsPerByte / plainSecondsPerByte
        } else if ratio > 0 {
            plainSecondsPerByte = secondsPerByte / ratio
        }
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
