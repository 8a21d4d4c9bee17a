internal import Collectives
internal import Fabric
internal import Gradients
internal import Reduction
internal import SimulatedFabric

/// One rank: a trainer that computes by the profile, and the engine that carries its gradients, each with a core of its own.
///
/// The trainer's clock is exact: what the engine's thread does never holds it up, but for what it waits for.
final class SimulatedRank {
    private enum Phase {
        /// A layer is to be computed, when its parameters are up to date.
        case forward(Int)
        /// The layer's backward pass is under way.
        case backward(Int)
        case done
    }

    private enum Stage { case idle, underWay, reduced, done }

    let rank: Int
    var executor: Executor<ImageFabric>
    private(set) var buffer = SharedBuffer.receiveBuffers
    private(set) var reports: [StepReport] = []
    /// When each step's gradients were all there.
    private(set) var stepEnds: [UInt64] = []
    private let network: SimulatedNetwork
    private let profile: ModelProfile
    private let settings: StepSettings
    private let plan: BucketPlan
    private let layout: GradientLayout
    private let book: StepBook
    private let compute: ComputeFactors
    private let algorithm: Algorithm?
    private let firstParameter: [Int]
    private let optimizerSeconds: [Double]

    private var readiness: Readiness
    private var ledger: StepLedger?
    private var stages: [Stage]
    /// By bucket: its operation's number in the ledger, and when it ended.
    private var entries: [Int]
    private var ended: [UInt64]
    /// Buckets whose gathers have started.
    private var gathering: Set<Int> = []
    private var phase = Phase.forward(0)
    private var step = 0
    private var factor: Double
    /// The trainer's present.
    private var clock: UInt64 = 0
    private var isWaitedFor: [Bool]
    private var announcedAt: [UInt64]

    init(
        _ rank: Int, in network: SimulatedNetwork, _ executorSettings: ExecutorSettings, peers: [(image: Int, rank: Int)],
        _ profile: ModelProfile,
        _ settings: StepSettings, _ plan: BucketPlan, _ layout: GradientLayout, _ book: StepBook, _ compute: ComputeFactors,
        keepsLedger: Bool
    ) throws {
        self.rank = rank
        self.network = network
        self.profile = profile
        self.settings = settings
        self.plan = plan
        self.layout = layout
        self.book = book
        self.compute = compute
        let isLarge = executorSettings.worldSize > StepWorld.maxFullyConnected
        algorithm =
            !isLarge
            ? nil : executorSettings.topology.isDeep ? .halvingDoubling : executorSettings.topology.isNested ? .hierarchical : .ring
        var first: [Int] = [0]
        for layer in profile.layers { first.append(first[first.count - 1] + layer.parameters.count) }
        firstParameter = first
        let elements = Double(max(1, profile.parameterCount))
        optimizerSeconds = profile.layers.map { profile.optimizerSeconds * Double($0.parameters.reduce(0, +)) / elements }
        readiness = Readiness(layout, plan: plan)
        ledger = keepsLedger ? StepLedger(start: 0) : nil
        stages = Array(repeating: .idle, count: plan.buckets.count)
        entries = Array(repeating: 0, count: plan.buckets.count)
        ended = Array(repeating: 0, count: plan.buckets.count)
        isWaitedFor = Array(repeating: true, count: layout.parameters.count)
        announcedAt = Array(repeating: 0, count: layout.parameters.count)
        factor = compute.factor(rank: rank, step: 0)
        var fabric = try ImageFabric(network, rank: rank, worldSize: executorSettings.worldSize, peers: peers)
        var endpoints: [Int: [UInt8]] = [:]
        for peer in peers { endpoints[peer.image] = network.endpoint(of: peer.rank) }
        try fabric.connect(to: endpoints, deadline: .distantFuture)
        executor = try Executor(fabric: fabric, settings: executorSettings, peers: peers.map(\.image))
    }

    var isDone: Bool { if case .done = phase { true } else { false } }

    func prefetch() { executor.prefetch() }

    func addBuffer(byteCount: Int) throws { buffer = try executor.addBuffer(byteCount: byteCount).0 }

    /// Takes what the network has for the rank, and lets its trainer go on.
    func run() throws {
        repeat {
            repeat {
                while let finished = executor.takeFinished() { try end(finished) }
            } while executor.progress() || executor.hasFinished
            try compute(at: network.now.nanoseconds)
            // What needs no peer has ended at once.
        } while executor.hasFinished
    }

    // MARK: the engine

    private func end(_ finished: Finished) throws {
        guard !finished.isFailed, let record = finished.record else {
            throw PredictionError("rank \(rank) failed: \(executor.failure.map { "\($0)" } ?? "without a cause")")
        }
        let bucket = finished.number
        ledger?.end(entries[bucket], record)
        ended[bucket] = record.ended
        if stages[bucket] == .underWay, plan.schedule == .split, !gathering.contains(bucket) {
            stages[bucket] = .reduced
            readiness.didReduce(bucket)
            try submitReady(at: record.ended)
        } else {
            stages[bucket] = .done
        }
    }

    private func submitReady(at time: UInt64) throws {
        while let bucket = readiness.next {
            try submit(bucket, plan.schedule == .split ? .reduceStripes : .allReduce, at: time)
            readiness.didStart(bucket)
        }
        while let bucket = readiness.nextGather {
            gathering.insert(bucket)
            try submit(bucket, .gatherStripes, at: time)
            readiness.didStartGather(bucket)
        }
    }

    private func submit(_ index: Int, _ collective: Collective, at time: UInt64) throws {
        let bucket = plan.buckets[index]
        let type = layout.sections[bucket.section].type
        stages[index] = .underWay
        if ledger != nil {
            let phase: BucketPhase =
                collective == .allReduce ? .allReduce : collective == .reduceStripes ? .reduce : .gather
            let parameters = bucket.parameters
            let report = BucketReport(
                index: index, parameters: parameters[parameters.count - 1]..<parameters[0] + 1,
                byteCount: plan.byteCount(of: index, in: layout), isUrgent: bucket.isUrgent, phase: phase, wire: plan.wire,
                ready: parameters.reduce(0) { max($0, announcedAt[$1]) }, submitted: time)
            entries[index] = ledger?.begin(report) ?? 0
        }
        if collective != .gatherStripes { book.submit(index, step: step, by: rank, at: time) }
        var stripe = stripe(of: bucket, type)
        var (start, count) = (layout.byteRange(bucket.elements, ofSection: bucket.section).lowerBound, bucket.elements.count)
        if hasImages, collective != .allReduce, executor.settings.topology.isDeep {
            // Who is an image of another has as many stripes: as long a bucket, in stripes that all ranks have equally many of.
            let ranks = executor.settings.worldSize
            let each = (count + stripe * ranks - 1) / (stripe * ranks)
            stripe = (count + each * ranks - 1) / (each * ranks)
            (start, count) = (0, stripe * each * ranks)
        }
        var operation = Operation(
            collective, input: Place(buffer, byteOffset: start), count: count, type: type, reduction: .average,
            algorithm: plan.wire == .plain ? algorithm : nil,
            stream: bucket.isUrgent ? .urgent : .bulk, stripe: stripe)
        operation.wire = plan.wire
        try executor.submit(operation, number: index, recordedFrom: time)
    }

    private var hasImages: Bool { executor.settings.worldSize > network.worldSize }

    /// Of images all parts are as long as the mean; `StepWorld` makes up for the longest.
    private func stripe(of bucket: BucketPlan.Bucket, _ type: ElementType) -> Int {
        let stripe = executor.settings.stripeElements(type)
        guard hasImages else { return stripe }
        return min(stripe, max(1, (bucket.elements.count + executor.settings.worldSize - 1) / executor.settings.worldSize))
    }

    // MARK: the trainer

    private func nanoseconds(_ seconds: Double) -> UInt64 { UInt64((seconds * 1e9).rounded()) }

    /// Goes on as far as it can at this time; sets an alarm where it computes.
    private func compute(at now: UInt64) throws {
        while true {
            if clock > now { return network.setAlarm(place: rank, at: FabricInstant(nanoseconds: clock)) }
            switch phase {
            case .forward(let layer):
                let parameters = settings.waiting == .all && layer == 0 ? 0..<layout.parameters.count : parameters(of: layer)
                guard waitFor(parameters, at: now) else { return }
                if stepEnds.count > settings.steps {
                    phase = .done
                    return
                }
                if layer == 0 {
                    let start = clock
                    clock += nanoseconds(profile.inputSeconds)
                    ledger?.name("input", from: start, to: clock)
                }
                if step > 0 { clock += nanoseconds(optimizerSeconds[layer]) }
                clock += nanoseconds(profile.layers[layer].forwardSeconds * factor)
                phase = layer + 1 < profile.layers.count ? .forward(layer + 1) : beginBackward()
            case .backward(let layer):
                for parameter in parameters(of: layer).reversed() {
                    announcedAt[parameter] = clock
                    try readiness.announce(parameter)
                    try submitReady(at: clock)
                }
                if layer > 0 {
                    phase = .backward(layer - 1)
                    clock += nanoseconds(profile.layers[layer - 1].backwardSeconds * factor)
                } else {
                    endBackward()
                }
            case .done: return
            }
        }
    }

    private func parameters(of layer: Int) -> Range<Int> { firstParameter[layer]..<firstParameter[layer + 1] }

    private func beginBackward() -> Phase {
        let last = profile.layers.count - 1
        if step > 0 {
            readiness.endStep()
            gathering.removeAll()
            for bucket in stages.indices { stages[bucket] = .idle }
        }
        clock += nanoseconds(profile.layers[last].backwardSeconds * factor)
        return .backward(last)
    }

    private func endBackward() {
        for parameter in isWaitedFor.indices { isWaitedFor[parameter] = plan.bucketsOfParameter[parameter].isEmpty }
        step += 1
        factor = compute.factor(rank: rank, step: step)
        phase = .forward(0)
    }

    /// Whether these gradients of the last step are there; notes what was waited for.
    private func waitFor(_ parameters: Range<Int>, at now: UInt64) -> Bool {
        for parameter in parameters where !isWaitedFor[parameter] {
            for bucket in plan.bucketsOfParameter[parameter] {
                guard stages[bucket] == .done else { return false }
                if ended[bucket] > clock {
                    ledger?.wait(for: entries[bucket], from: clock, to: ended[bucket])
                    clock = ended[bucket]
                }
            }
            isWaitedFor[parameter] = true
        }
        if step > stepEnds.count, !isWaitedFor.contains(false) {
            learnLast()
            stepEnds.append(clock)
            if var ledger {
                reports.append(ledger.endStep(at: clock))
                self.ledger = ledger
            }
        }
        return true
    }

    private func learnLast() {
        guard ledger != nil else { return }
        for bucket in plan.buckets.indices {
            guard let last = book.last(bucket, step: step - 1, otherThan: rank) else { continue }
            ledger?.learn(bucket: bucket, of: last.rank, submitted: last.time)
        }
    }
}
