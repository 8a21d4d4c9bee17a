internal import CPlatform
internal import Engine
internal import Gradients

// The planner's part in the exchange: what it is told of a step, and when it is asked.
extension GradientTraffic {
    /// What is known of arrivals, and what was made of it.
    struct Planning {
        /// Of the wire format in use.
        private(set) var planner: Planner
        /// Where the format is the planner's choice.
        private(set) var selection: WireSelection?
        /// Where it is not: why it is what it is, unless that was the user's choice.
        let wireReason: String?
        /// Whether the cuts may change; else they are only predicted.
        let mayChange: Bool
        /// Whether the trainer's thread drives the engine; and whether that is all that carries bytes.
        let usesHooks: Bool
        let carriesBytes: Bool
        /// Steps before the planner is first asked; then it is asked after twice as many each time, at most `longestInterval` later.
        static let firstCheck = 10
        static let longestInterval = 1_000
        /// Steps before a check that it is made of.
        static let window = 8

        private(set) var step = 0
        /// After so many steps, all ranks are at the same one, the planner is asked.
        private(set) var nextCheck = Planning.firstCheck
        /// Of the last steps; of the newest the forward pass may not be over.
        private var profiles: [ArrivalProfile] = []
        private var isNewestOpen = false
        /// Of the step under way.
        private var backwardBegan: UInt64 = 0
        private var backwardEnded: UInt64 = 0
        private var waitedNanoseconds: UInt64 = 0
        private var neededSeconds: [Double]
        /// What all ranks have agreed on last, and what the present plan should do by it.
        private(set) var agreed: ArrivalProfile?
        private(set) var prediction: StepPrediction?
        /// Of the steps since the plan was last looked at.
        private(set) var measured = StepTotals()

        init(_ planner: Planner, _ selection: WireSelection?, wireReason: String?, mayChange: Bool, _ engine: any EngineControl) {
            self.planner = planner
            self.selection = selection
            self.wireReason = wireReason
            self.mayChange = mayChange
            usesHooks = engine.usesHooks
            carriesBytes = engine.usesHooks && engine.settings.topology.isOneNode
            neededSeconds = Array(repeating: .infinity, count: planner.layout.parameters.count)
        }

        private var isRecording: Bool { step + Self.window >= nextCheck }

        mutating func beginBackward(at now: UInt64) {
            backwardBegan = now
            guard isNewestOpen else { return }
            isNewestOpen = false
            profiles[profiles.count - 1].forwardSeconds = Double(now - backwardEnded - min(waitedNanoseconds, now - backwardEnded)) / 1e9
        }

        mutating func endBackward(at now: UInt64) { (backwardEnded, waitedNanoseconds) = (now, 0) }

        mutating func need(_ parameter: Int, at now: UInt64) {
            guard isRecording, neededSeconds[parameter] == .infinity else { return }
            neededSeconds[parameter] = Double(now - backwardEnded - min(waitedNanoseconds, now - backwardEnded)) / 1e9
        }

        mutating func recordWait(_ nanoseconds: UInt64) { waitedNanoseconds += nanoseconds }

        /// - Parameter announcedAt: by parameter.
        /// - Returns: whether the planner is to be asked.
        mutating func endStep(announcedAt: [UInt64], report: StepReport, at now: UInt64) -> Bool {
            measured.add(report)
            if isRecording {
                for parameter in neededSeconds.indices { need(parameter, at: now) }
                if profiles.count == Self.window { profiles.removeFirst() }
                profiles.append(
                    ArrivalProfile(
                        ready: announcedAt.map { Double($0 - min($0, backwardBegan)) / 1e9 }, needed: neededSeconds,
                        backwardSeconds: Double(backwardEnded - backwardBegan) / 1e9, forwardSeconds: 0,
                        secondsPerByte: measuredSecondsPerByte(report.buckets, latencySeconds: planner.costs.whole.latencySeconds),
                        operationSeconds: usesHooks ? LinkCosts.ownThreadSeconds : 0, ownSecondsPerByte: ownSecondsPerByte(report),
                        stepSeconds: report.stepSeconds - report.namedSeconds))
                isNewestOpen = true
                for parameter in neededSeconds.indices { neededSeconds[parameter] = .infinity }
            }
            step += 1
            guard step == nextCheck else { return false }
            nextCheck += min(step, Self.longestInterval)
            return true
        }

        /// What is left of the step's reduction beside its operations' own costs, of which not all may be seen.
        private func ownSecondsPerByte(_ report: StepReport) -> Double {
            // A bucket in two operations counts once.
            let bytes = report.buckets.reduce(0) { $0 + Double($1.byteCount) * ($1.phase == .allReduce ? 1 : 0.5) }
            guard carriesBytes, bytes > 0 else { return 0 }
            let operations = min(report.exposed.reduction / 2, Double(report.buckets.count) * LinkCosts.ownThreadSeconds)
            return (report.exposed.reduction - operations) / bytes
        }

        /// Of this rank. The newest step is not over.
        var profile: ArrivalProfile? { ArrivalProfile.median(of: Array(profiles.dropLast(isNewestOpen ? 1 : 0))) }

        /// The plan to change to, if any: a pure function of what all ranks agree on.
        mutating func change(from plan: BucketPlan, for profile: ArrivalProfile) -> BucketPlan? {
            let wasPlanned = agreed != nil
            let change =
                selection != nil
                ? selection?.change(from: plan, wasPlanned: wasPlanned, for: profile, step: step)
                : mayChange ? planner.change(from: plan, wasPlanned: wasPlanned, for: profile) : nil
            if selection?.isTrying == true { nextCheck = step + WireSelection.trialSteps }
            return change
        }

        /// - Parameter decided: a copy in which `change` was called.
        mutating func adopt(_ profile: ArrivalProfile, _ plan: BucketPlan, _ decided: Planning) {
            (selection, nextCheck) = (decided.selection, decided.nextCheck)
            var profile = profile
            if plan.wire != planner.wire, let selection {
                planner = selection.planner(of: plan.wire)
                profile.secondsPerByte = selection.secondsPerByte(of: plan.wire)
            }
            agreed = profile
            prediction = planner.prediction(of: plan, for: profile)
            measured = StepTotals()
        }
    }

    /// Has all ranks agree on the profile, and changes the plan where that is worth it. Collective; between two steps, after the same one on every rank.
    func replan() throws(VerbenaError) {
        let count = ArrivalProfile.agreeableCount(parameters: layout.parameters.count)
        let own = state.withLock { $0.planning.profile?.agreeable } ?? Array(repeating: 0, count: count)
        // SAFETY: the desk has room for as many fp64 (`GradientExchange.init`), in memory that this object holds; nothing travels between steps.
        let values = unsafe UnsafeMutableBufferPointer(start: desk.bytes.baseAddress?.assumingMemoryBound(to: Double.self), count: count)
        _ = unsafe values.update(fromContentsOf: own)
        try communicator.run(.allReduce, desk[..<count], nil, count, .maximum, nil)
        let profile = unsafe ArrivalProfile(agreed: Array(values))
        var (planning, plan) = state.withLock { ($0.planning, $0.plan) }
        let change = planning.change(from: plan, for: profile)
        if let change { plan = change }
        state.withLock { state in
            if change != nil { state.adopt(plan, layout) }
            state.planning.adopt(profile, plan, planning)
        }
    }
}

extension GradientTraffic.State {
    /// Between two steps.
    mutating func adopt(_ plan: BucketPlan, _ layout: GradientLayout) {
        self.plan = plan
        readiness = Readiness(layout, plan: plan)
        passages = Array(repeating: GradientTraffic.Passage(), count: plan.buckets.count)
        beginStep(layout)
    }
}
