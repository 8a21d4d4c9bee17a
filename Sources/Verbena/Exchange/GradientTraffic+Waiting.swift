internal import CPlatform
internal import Collectives
internal import Engine
internal import Gradients

// Waiting, outside the lock. Whoever waits tells the passage, so that the operation's number is not given back under it.
extension GradientTraffic {
    /// Waits until a parameter's gradient is the trainer's; with the last one the step ends. Between steps there is nothing to wait for.
    func wait(for index: Int) throws(VerbenaError) {
        try startBuckets()
        let buckets = try state.withLock { (state) throws(VerbenaError) -> [Int] in
            try wrapping { () throws(GradientError) in
                try check(index)
                guard state.readiness.announcedCount > 0 else { return [] }
                if state.isBackwardOver { state.planning.need(index, at: platform_now()) }
                let buckets = state.plan.bucketsOfParameter[index]
                guard buckets.allSatisfy({ state.readiness.hasStarted($0) }) else {
                    throw .notUnderWay(
                        name: layout.parameters[index].name, missing: state.readiness.unannounced.map { layout.parameters[$0].name })
                }
                return buckets
            }
        }
        guard !buckets.isEmpty else { return }
        for bucket in buckets { try awaitReturn(of: bucket) }
        let isLast = state.withLock { state in
            if !state.isWaitedFor[index] { state.unwaitedCount -= 1 }
            state.isWaitedFor[index] = true
            return state.isBackwardOver && state.unwaitedCount == 0
        }
        if isLast { try endStep() }
    }

    /// Waits for everything, and ends the step.
    @discardableResult
    func synchronize() throws(VerbenaError) -> StepReport {
        try endBackward()
        state.withLock { state in
            let now = platform_now()
            for index in layout.parameters.indices { state.planning.need(index, at: now) }
        }
        return try endStep()
    }

    /// Waits for what is left, and ends the step, whose announcements have ended.
    @discardableResult
    private func endStep() throws(VerbenaError) -> StepReport {
        for bucket in state.withLock({ $0.passages.indices }) { try awaitReturn(of: bucket) }
        try awaitPeerTimes()
        let (report, isToPlan) = state.withLock { state in
            state.peerTimes.hear(&state.ledger)
            let now = platform_now()
            let report = state.ledger.endStep(at: now, runDelay: state.takeRunDelay())
            state.readiness.endStep()
            let isToPlan = state.planning.endStep(announcedAt: state.announcedAt, report: report, at: now)
            state.reduction = reduction
            state.beginStep(layout)
            state.lastReport = report
            return (report, isToPlan)
        }
        if isToPlan { try replan() }
        return report
    }

    /// Starts what may start. Where there is no room, waits for the oldest bucket.
    func startBuckets() throws(VerbenaError) {
        while true {
            let next = try state.withLock { (state) throws(VerbenaError) -> (bucket: Int, number: Int)? in
                guard try submitReady(&state) else { return nil }
                return beginWait(for: try oldest(state), &state)
            }
            guard let next else { return look() }
            wait(for: next)
        }
    }

    /// With hooks, this thread carries out what has started, as far as that can be done now. Not under the lock.
    private func look() {
        guard communicator.engine.usesHooks else { return }
        let from = platform_now()
        let before = state.withLock { $0.underWay.isEmpty ? nil : $0.delay(by: $0.ownMeter, at: from) }
        communicator.runner.look()
        let to = platform_now()
        state.withLock { state in
            guard !state.underWay.isEmpty else { return }
            state.ledger.drive(from: from, to: to, runDelay: state.delay(since: before, at: to))
        }
    }

    /// Waits until a bucket's memory is the trainer's. Its first operation has started.
    private func awaitReturn(of bucket: Int) throws(VerbenaError) {
        while true {
            let next = try state.withLock { (state) throws(VerbenaError) -> (bucket: Int, number: Int)? in
                if let failure = state.failure { throw failure }
                guard state.passages[bucket].stage != .done else { return nil }
                let isLeft = try submitReady(&state)
                // What holds it up: its own operation; or, before its gather, the bucket whose gather comes first; or want of room.
                let isUrgent = state.plan.buckets[bucket].isUrgent
                if state.passages[bucket].isUnderWay { return beginWait(for: bucket, &state) }
                if let first = state.readiness.pendingGather(isUrgent: isUrgent), state.passages[first].isUnderWay {
                    return beginWait(for: first, &state)
                }
                guard isLeft else { fatalError("broken invariant: bucket \(bucket) waits for nothing") }
                return beginWait(for: try oldest(state), &state)
            }
            guard let next else { return }
            wait(for: next)
        }
    }

    /// What the others tell has come with the last bucket, as a rule. Where it has not, it is waited for as for any operation; the last bucket has ended, so the
    /// ledger says release.
    private func awaitPeerTimes() throws(VerbenaError) {
        let (number, entry) = state.withLock { ($0.peerTimes.number, $0.passages.last?.entry) }
        guard let number, let entry else { return }
        let isWaiting = !communicator.engine.hasEnded(number)
        let from = platform_now()
        _ = try communicator.runner.wait(number)
        if isWaiting { state.withLock { $0.ledger.wait(for: entry, from: from, to: platform_now()) } }
    }

    /// Waits for all that is under way, whatever becomes of it.
    func drain() {
        while let next = state.withLock({ state in state.underWay.first.map { beginWait(for: $0, &state) } }) { wait(for: next) }
        guard let number = state.withLock({ $0.peerTimes.number }) else { return }
        _ = try? communicator.engine.wait(number)
        communicator.engine.release(number)
    }

    private func oldest(_ state: State) throws(VerbenaError) -> Int {
        guard let bucket = state.underWay.first else { throw .tooManyUnderWay }
        return bucket
    }

    private func beginWait(for bucket: Int, _ state: inout State) -> (bucket: Int, number: Int) {
        state.passages[bucket].waiters += 1
        return (bucket, state.passages[bucket].number)
    }

    /// Waits for the operation of a bucket; the last that waits for it takes its end. A failure is found in the state.
    private func wait(for awaited: (bucket: Int, number: Int)) {
        let isWaiting = !communicator.engine.hasEnded(awaited.number)
        // Of the thread that drives the engine: where the engine has none for that, the one that waits.
        let engineMeter = isWaiting ? communicator.engine.runDelayMeter : nil
        let from = platform_now()
        let before = isWaiting ? state.withLock { $0.delay(by: engineMeter ?? $0.ownMeter, at: from) } : nil
        _ = try? communicator.runner.wait(awaited.number)
        let to = platform_now()
        state.withLock { state in
            if isWaiting {
                let runDelay = state.delay(since: before, at: to)
                state.ledger.wait(for: state.passages[awaited.bucket].entry, from: from, to: to, runDelay: runDelay)
                if state.isBackwardOver { state.planning.recordWait(to - from) }
            }
            state.passages[awaited.bucket].waiters -= 1
            if state.passages[awaited.bucket].waiters == 0 { settle(awaited.bucket, awaited.number, &state) }
        }
    }
}
