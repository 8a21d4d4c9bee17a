internal import CPlatform
internal import Collectives
internal import Engine
internal import Gradients
internal import Reduction
internal import Synchronization

/// The buckets of one exchange on their way: what has been announced, what travels, what has come back.
///
/// Any thread. Everything that changes is behind one lock, and operations are submitted under it, so that their order is that of `Readiness`. Under the
/// lock nobody waits for an operation, and nobody drives the engine: its thread takes the lock, too (`hasReduced`).
///
/// Apart from `GradientExchange`, because the engine keeps this object until it has called its watchers, and may be the last to do so: here nothing
/// waits at the end.
///
/// Files: this one holds the state and submits, `+Waiting` waits, `+Announcing` takes what the trainer says, `+Planning` looks at the
/// plan.
final class GradientTraffic: Sendable {
    /// Operations under way at once, at most; the next waits for the oldest.
    static let maxBucketsInFlight = 256

    enum Stage {
        case idle
        /// Its reduceStripes is under way; has ended.
        case reducing, reduced
        /// The operation is under way that gives the memory back: an allReduce, or a gatherStripes.
        case returning
        /// The memory is the trainer's.
        case done
    }

    struct Passage {
        var stage = Stage.idle
        /// The engine's number of the operation that is under way.
        var number = -1
        /// Its number in the ledger, and when it was asked for.
        var entry = -1
        var submitted: UInt64 = 0
        /// Threads that wait in the engine: the number must not be another operation's before the last has come back.
        var waiters = 0

        var isUnderWay: Bool { stage == .reducing || stage == .returning }
    }

    struct State {
        var plan: BucketPlan
        var readiness: Readiness
        var ledger: StepLedger
        var peerTimes: PeerTimes
        /// By bucket.
        var passages: [Passage]
        /// What peers are told of this step.
        var told: [UInt64] = []
        /// Buckets of which an operation is under way, in the order of submission.
        var underWay: [Int] = []
        /// What every call ends with, once an operation has failed.
        var failure: VerbenaError?
        /// Of this step.
        var reduction: ReductionOperation
        /// No gradient is announced any more in this step.
        var isBackwardOver = false
        /// Announcements count for later (`withoutSynchronization`).
        var isHeld = false
        /// By parameter: one was announced while that was so.
        var hasHeld: [Bool]
        /// By parameter, of this step; those without elements are.
        var isWaitedFor: [Bool]
        var unwaitedCount: Int
        /// What this rank's gradients are multiplied by in this step, if by anything.
        var factor: Double?
        /// By parameter: when its gradient was announced in this step.
        var announcedAt: [UInt64]
        var lastReport: StepReport?
        var planning: Planning
        /// Of the thread that ended the last step, and what it said then.
        private var trainerMeter: RunDelayMeter?
        private var trainerDelay: UInt64 = 0
        /// The last reading of a meter in a wait.
        private var reading: (meter: RunDelayMeter, nanoseconds: UInt64, at: UInt64)?
        /// A reading is good for so long: it costs a system call of about a microsecond, and who had no core meanwhile had none for less than that.
        private static let readingNanoseconds: UInt64 = 20_000

        init(
            _ layout: GradientLayout, _ plan: BucketPlan, _ reduction: ReductionOperation, _ peerTimes: PeerTimes, _ planning: Planning
        ) {
            self.plan = plan
            self.peerTimes = peerTimes
            self.planning = planning
            self.reduction = reduction
            readiness = Readiness(layout, plan: plan)
            ledger = StepLedger(start: platform_now())
            passages = Array(repeating: Passage(), count: plan.buckets.count)
            announcedAt = Array(repeating: 0, count: layout.parameters.count)
            hasHeld = Array(repeating: false, count: layout.parameters.count)
            isWaitedFor = hasHeld
            unwaitedCount = 0
            beginStep(layout)
        }

        /// Of the calling thread, if it ended the last step.
        var ownMeter: RunDelayMeter? { trainerMeter?.isOwn == true ? trainerMeter : nil }

        /// What the meter says, or has said just now. Never less than before.
        mutating func delay(by meter: RunDelayMeter?, at now: UInt64) -> (meter: RunDelayMeter, nanoseconds: UInt64)? {
            guard let meter else { return nil }
            if let reading, reading.meter === meter, now < reading.at + Self.readingNanoseconds { return (meter, reading.nanoseconds) }
            let last = reading.map { $0.meter === meter ? $0.nanoseconds : 0 } ?? 0
            reading = (meter, max(last, meter.nanoseconds), now)
            return reading.map { ($0.meter, $0.nanoseconds) }
        }

        /// How long the meter's thread has had no core since it said `earlier`; 0 where there was none.
        mutating func delay(since earlier: (meter: RunDelayMeter, nanoseconds: UInt64)?, at now: UInt64) -> UInt64 {
            guard let earlier, let later = delay(by: earlier.meter, at: now) else { return 0 }
            return later.nanoseconds - min(later.nanoseconds, earlier.nanoseconds)
        }

        /// How long the calling thread had no core since the last step; 0 where another thread ended that.
        mutating func takeRunDelay() -> UInt64 {
            guard let meter = trainerMeter, meter.isOwn else {
                trainerMeter = RunDelayMeter()
                trainerDelay = trainerMeter?.nanoseconds ?? 0
                return 0
            }
            let delay = meter.nanoseconds(since: trainerDelay)
            trainerDelay += delay
            return delay
        }

        /// Whatever was of the last step is over.
        mutating func beginStep(_ layout: GradientLayout) {
            for bucket in passages.indices { (passages[bucket].stage, passages[bucket].submitted) = (.idle, 0) }
            for index in hasHeld.indices { hasHeld[index] = false }
            for index in isWaitedFor.indices { isWaitedFor[index] = plan.bucketsOfParameter[index].isEmpty || index == layout.useIndex }
            unwaitedCount = isWaitedFor.count { !$0 }
            isBackwardOver = false
            factor = nil
        }
    }

    let layout: GradientLayout
    let communicator: Communicator
    let memory: RawBuffer
    /// In the same memory, behind the gradients: fp64 for what ranks tell each other between two steps.
    let desk: RawBuffer
    /// As long as the gradients, where their wire format keeps what it loses.
    let residuals: RawBuffer?
    /// Of gradients, in steps without weights.
    let reduction: ReductionOperation
    let allowsUnused: Bool
    /// What this rank makes of its part of an average before all ranks get it.
    let update: OwnedUpdate?
    private let stripeBytes: Int
    let state: Mutex<State>

    /// Collective.
    init(
        _ communicator: Communicator, _ memory: RawBuffer, desk: RawBuffer, _ residuals: RawBuffer?, _ layout: GradientLayout,
        _ settings: GradientSettings, _ update: OwnedUpdate?
    ) throws(VerbenaError) {
        self.update = update
        self.communicator = communicator
        self.memory = memory
        self.desk = desk
        self.residuals = residuals
        self.layout = layout
        reduction = settings.combination == .sum ? .sum : .average
        allowsUnused = settings.allowsUnused
        stripeBytes = communicator.engine.settings.stripeBytes
        func planner(_ wire: WireFormat) -> Planner {
            Planner(layout, LinkCosts(communicator.engine.settings, wire), schedule: settings.schedule, wire: wire)
        }
        let wireReason = Self.reasonForPlain(settings, layout, communicator)
        let first = planner(wireReason == nil ? settings.wire ?? .plain : .plain)
        let isChosen = wireReason == nil && settings.wire == nil
        let planning = Planning(
            first, isChosen ? WireSelection(first, planner(.bfloat16), settings.bucketSize) : nil, wireReason: wireReason,
            mayChange: settings.bucketSize == .planned, communicator.engine)
        state = Mutex(State(layout, first.firstPlan(settings.bucketSize), reduction, try PeerTimes(communicator), planning))
    }

    /// Why gradients travel as they are, whatever else the settings may allow.
    private static func reasonForPlain(_ settings: GradientSettings, _ layout: GradientLayout, _ communicator: Communicator) -> String? {
        if settings.wire == .plain { return nil }
        if communicator.worldSize == 1 { return "a rank alone sends nothing" }
        guard settings.wire == nil else { return nil }
        if communicator.engine.settings.topology.isOneNode { return "ranks that share memory add up in place" }
        return layout.sections.contains { $0.type == .float32 } ? nil : "no gradient is fp32"
    }

    // MARK: submitting, under the lock

    /// Submits what may start.
    /// - Returns: whether something is left for want of room.
    func submitReady(_ state: inout State) throws(VerbenaError) -> Bool {
        if let failure = state.failure { throw failure }
        let isSplit = state.plan.schedule == .split
        while let bucket = state.readiness.next {
            if bucket == state.plan.buckets.count - 1 {
                state.told.removeAll(keepingCapacity: true)
                for index in 0..<bucket { state.told.append(state.passages[index].submitted) }
                state.told.append(platform_now())
                guard try state.peerTimes.tell(state.told, in: state.plan.buckets[bucket].isUrgent ? .urgent : .bulk) else { return true }
            }
            guard try submit(bucket, isSplit ? .reducing : .returning, &state) else { return true }
            state.readiness.didStart(bucket)
            if isSplit { watch(bucket, &state) }
        }
        while let bucket = state.readiness.nextGather {
            guard try submit(bucket, .returning, &state) else { return true }
            state.readiness.didStartGather(bucket)
        }
        return false
    }

    private func submit(_ bucket: Int, _ stage: Stage, _ state: inout State) throws(VerbenaError) -> Bool {
        guard state.underWay.count < Self.maxBucketsInFlight else { return false }
        let collective: Collective = stage == .reducing ? .reduceStripes : state.plan.schedule == .split ? .gatherStripes : .allReduce
        let operation = try operation(of: state.plan.buckets[bucket], collective, state.reduction, state.plan.wire)
        // Before it is, because the engine's thread may take the core of the one that has woken it.
        let now = platform_now()
        guard let number = try communicator.runner.submitWhereRoom(operation) else { return false }
        state.passages[bucket].stage = stage
        state.passages[bucket].number = number
        let report = report(of: bucket, stage, at: now, state)
        state.passages[bucket].entry = state.ledger.begin(report)
        if report.phase != .gather { state.passages[bucket].submitted = report.submitted }
        state.underWay.append(bucket)
        return true
    }

    /// Every operation is striped: so no plan changes a bit of the result.
    private func operation(
        of bucket: BucketPlan.Bucket, _ collective: Collective, _ reduction: ReductionOperation, _ wire: WireFormat
    ) throws(VerbenaError) -> Operation {
        let type = layout.sections[bucket.section].type
        var operation = Operation(
            collective,
            input: Place(
                try communicator.attachment(of: memory, for: .allReduce).buffer,
                byteOffset: layout.byteRange(bucket.elements, ofSection: bucket.section).lowerBound),
            count: bucket.elements.count, type: type, reduction: type.isInteger ? .maximum : reduction,
            stream: bucket.isUrgent ? .urgent : .bulk, stripe: stripeElements(type))
        guard wire != .plain, !isPlain(bucket, collective == .gatherStripes ? .returning : .reducing) else { return operation }
        operation.wire = wire
        if let residuals { operation.residual = try communicator.attachment(of: residuals, for: .allReduce).buffer }
        return operation
    }

    /// Whether a bucket's operation moves its elements as they are, whatever the wire format: new values of parameters are not rounded as gradients may be.
    private func isPlain(_ bucket: BucketPlan.Bucket, _ stage: Stage) -> Bool {
        layout.sections[bucket.section].type != .float32 || update != nil && stage == .returning
    }

    /// Whole blocks of every wire format, so that who owns an element does not hang on it.
    func stripeElements(_ type: ElementType) -> Int {
        let elements = stripeBytes / type.byteCount
        guard type == .float32, elements >= WireFormat.blockElements else { return elements }
        return elements / WireFormat.blockElements * WireFormat.blockElements
    }

    private func report(of bucket: Int, _ stage: Stage, at now: UInt64, _ state: State) -> BucketReport {
        let parameters = state.plan.buckets[bucket].parameters
        let isSplit = state.plan.schedule == .split
        return BucketReport(
            index: bucket, parameters: parameters[parameters.count - 1]..<parameters[0] + 1,
            byteCount: state.plan.byteCount(of: bucket, in: layout), isUrgent: state.plan.buckets[bucket].isUrgent,
            phase: !isSplit ? .allReduce : stage == .reducing ? .reduce : .gather,
            wire: isPlain(state.plan.buckets[bucket], stage) ? .plain : state.plan.wire,
            ready: parameters.reduce(0) { max($0, state.announcedAt[$1]) }, submitted: now)
    }

    /// Has the engine say when a bucket is reduced: its gather, and those that wait for it, start at once then.
    private func watch(_ bucket: Int, _ state: inout State) {
        let number = state.passages[bucket].number
        let watcher = OperationWatcher { [self] in hasReduced(bucket, number) }
        if !communicator.engine.watch(number, watcher) { settle(bucket, number, &state) }
    }

    /// Of the engine's thread.
    private func hasReduced(_ bucket: Int, _ number: Int) {
        state.withLock { state in
            let passage = state.passages[bucket]
            // A thread that waits for it does the same. Between, the number may have become another operation's.
            guard passage.stage == .reducing, passage.number == number, passage.waiters == 0 else { return }
            settle(bucket, number, &state)
            _ = try? submitReady(&state)
        }
    }

    /// Takes the end of a bucket's operation, if it has ended; nobody waits for it.
    func settle(_ bucket: Int, _ number: Int, _ state: inout State) {
        guard communicator.engine.hasEnded(number) else { return }
        do throws(VerbenaError) {
            state.ledger.end(state.passages[bucket].entry, try communicator.runner.wait(number))
        } catch {
            state.failure = state.failure ?? error
        }
        communicator.engine.release(number)
        state.underWay.removeAll { $0 == bucket }
        if state.passages[bucket].stage == .reducing {
            state.passages[bucket].stage = .reduced
            if state.failure == nil { updateOwned(state.plan.buckets[bucket]) }
            state.readiness.didReduce(bucket)
        } else {
            state.passages[bucket].stage = .done
        }
    }
}
