public import Reduction

/// Chooses a plan: simulates a step by each of a family of plans, and takes the one of the shortest. Pure: ranks that give it the same figures get the same
/// plan.
///
/// The family: buckets of one size, for some sizes, whose last ones become smaller, each half of the one before it, because what is ready last is
/// what the trainer waits for; cut anywhere, or where gradients end; by either schedule; without urgent buckets, or with those of the first layers.
public struct Planner: Sendable {
    /// Into how many buckets of one size the memory is cut.
    static let bucketCounts = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64]
    /// The last bucket has this part of the size of most.
    static let tailDivisors = [1, 4, 16]
    /// No bucket is smaller, but where there is no more.
    static let leastBytes = 4 << 10
    /// A plan is better only if its step is shorter by more than this part: the model knows no less.
    static let leastGain = 0.002
    /// A plan in use is changed only for one whose step is shorter by this part: so that it does not change back and forth.
    public static let leastGainOfChange = 0.02

    public let layout: GradientLayout
    public let costs: LinkCosts
    public let schedules: [GradientSettings.Schedule]
    public let wire: WireFormat

    /// - Parameter costs: of operations in the wire format.
    public init(_ layout: GradientLayout, _ costs: LinkCosts, schedule: GradientSettings.Schedule? = nil, wire: WireFormat = .plain) {
        self.layout = layout
        self.costs = costs
        self.wire = wire
        schedules = schedule.map { [$0] } ?? GradientSettings.Schedule.allCases
    }

    /// For the first steps, of which nothing is known; and for all steps, where the user says how to cut.
    public func firstPlan(_ size: GradientSettings.BucketSize) -> BucketPlan {
        switch size {
        case .planned: BucketPlan(layout, bucketBytes: max(Self.leastBytes, layout.byteCount / 16), schedule: schedules[0], wire: wire)
        case .fixed(let bytes): BucketPlan(layout, bucketBytes: bytes, schedule: schedules[0], wire: wire)
        case .ddp: BucketPlan(ddpRuleFor: layout, schedule: schedules[0], wire: wire)
        }
    }

    /// The best plan that is known for the profile.
    public func plan(for profile: ArrivalProfile) -> BucketPlan {
        let costs = costs.measured(secondsPerByte: profile.secondsPerByte)
        var best = (
            plan: BucketPlan(layout, cuts: layout.sections.map { _ in [] }, schedule: schedules[0], wire: wire), seconds: Double.infinity
        )
        func consider(_ plan: BucketPlan) {
            let seconds = plan.predict(layout, profile, costs).stepSeconds
            if seconds < best.seconds * (1 - Self.leastGain) { best = (plan, seconds) }
        }
        var seen: Set<[[Int]]> = []
        for cuts in candidates where seen.insert(cuts).inserted {
            for schedule in schedules { consider(BucketPlan(layout, cuts: cuts, schedule: schedule, wire: wire)) }
        }
        let (cuts, schedule) = (best.plan.cuts(layout), best.plan.schedule)
        for urgentBelow in urgentThresholds(profile) {
            consider(BucketPlan(layout, cuts: cuts, schedule: schedule, urgentBelow: urgentBelow, wire: wire))
        }
        return best.plan
    }

    /// What a step should take by a plan of this planner's format.
    public func prediction(of plan: BucketPlan, for profile: ArrivalProfile) -> StepPrediction {
        plan.predict(layout, profile, costs.measured(secondsPerByte: profile.secondsPerByte))
    }

    /// The plan to change to, where that is worth it: by the criterion of `leastGainOfChange`, or, from a plan that was made when nothing was known, of `leastGain`.
    public func change(from plan: BucketPlan, wasPlanned: Bool = true, for profile: ArrivalProfile) -> BucketPlan? {
        let better = self.plan(for: profile)
        let (now, then) = (prediction(of: plan, for: profile).stepSeconds, prediction(of: better, for: profile).stepSeconds)
        return then < now * (1 - (wasPlanned ? Self.leastGainOfChange : Self.leastGain)) ? better : nil
    }

    // MARK: the family

    /// Of cuts, by section; the fewest buckets first.
    private var candidates: [[[Int]]] {
        var all: [[[Int]]] = []
        for count in Self.bucketCounts {
            let bytes = layout.byteCount / count
            guard bytes >= Self.leastBytes || count == 1 else { break }
            for divisor in Self.tailDivisors where bytes / divisor >= Self.leastBytes || divisor == 1 {
                for isSnapped in [false, true] {
                    all.append(
                        layout.sections.indices.map { cuts(ofSection: $0, bytes: bytes, tail: bytes / divisor, isSnapped: isSnapped) })
                }
            }
        }
        return all
    }

    /// From the end on: a bucket of `tail` bytes, then twice as much, and so on up to `bytes`.
    private func cuts(ofSection index: Int, bytes: Int, tail: Int, isSnapped: Bool) -> [Int] {
        let section = layout.sections[index]
        let granule = GradientLayout.granule
        let ends = section.parameters.map { layout.places[$0].elements.upperBound / granule * granule }
        var (cuts, end, size) = ([Int](), section.elementCount, tail)
        while true {
            let elements = max(granule, size / section.type.byteCount / granule * granule)
            // What is left in front of the last cut is not worth a bucket of its own.
            guard end - elements > elements / 2 else { return cuts }
            var cut = (end - elements) / granule * granule
            if isSnapped, let near = Self.nearest(to: cut, in: ends), abs(near - cut) <= elements / 2, near < end { cut = near }
            guard cut > 0 else { return cuts }
            cuts.append(cut)
            (end, size) = (cut, min(bytes, 2 * size))
        }
    }

    /// Of ascending numbers.
    private static func nearest(to value: Int, in numbers: [Int]) -> Int? {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < value { low = middle + 1 } else { high = middle }
        }
        return [low - 1, low].filter(numbers.indices.contains).map { numbers[$0] }.min { abs($0 - value) < abs($1 - value) }
    }

    /// The first layers, as parts of what the forward pass needs: parameters below each are urgent.
    private func urgentThresholds(_ profile: ArrivalProfile) -> [Int] {
        let bytes = (0..<layout.parameterCount).map { layout.byteRange(ofParameter: $0).count }
        let total = bytes.reduce(0, +)
        var (thresholds, sum) = ([Int](), 0)
        for parameter in bytes.indices.dropLast() {
            sum += bytes[parameter]
            for part in [16, 8, 4, 2] where sum * part >= total && (sum - bytes[parameter]) * part < total {
                thresholds.append(parameter + 1)
            }
        }
        return thresholds.reduce(into: []) { if $0.last != $1 { $0.append($1) } }
    }
}

extension BucketPlan {
    /// As they are given to `init`.
    func cuts(_ layout: GradientLayout) -> [[Int]] {
        layout.sections.indices.map { section in
            buckets.filter { $0.section == section && $0.elements.lowerBound > 0 }.map(\.elements.lowerBound).sorted()
        }
    }
}
