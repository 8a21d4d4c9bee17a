internal import Collectives
public import Gradients
internal import Reduction

/// Predicts how a model trains on a cluster, by simulated steps with the production planner, schedules and executor.
public struct Predictor: Sendable {
    public var profile: ModelProfile
    public var cluster: Cluster
    public var settings: StepSettings

    public init(_ profile: ModelProfile, on cluster: Cluster, settings: StepSettings = StepSettings()) {
        self.profile = profile
        self.cluster = cluster
        self.settings = settings
    }

    /// A world size's prediction. Times are seconds, means over steps and ranks.
    public struct Row: Sendable, Equatable, Codable {
        public var ranks: Int
        public var stepSeconds: Double
        /// Of a step: computing, and what it waited for, by cause.
        public var computeSeconds: Double
        public var inputSeconds: Double
        public var exposed: ExposedTime
        /// Of a step: how long a bucket was under way.
        public var communicationSeconds: Double
        /// The step of a rank alone over this one's, of the same batch a rank.
        public var efficiency: Double
        public var samplesPerSecond: Double
        /// Nil where the profile knows no epochs. Failing steps included.
        public var epochSeconds: Double?
        /// The plan that the planner chose.
        public var buckets: Int
        public var urgentBuckets: Int
        public var schedule: String
        /// Ranks that were simulated; the others are their images.
        public var simulatedRanks: Int
        /// Events of the simulation.
        public var events: Int
    }

    /// Predictions for a list of world sizes.
    public struct Prediction: Sendable, Equatable, Codable {
        public var profile: String
        public var parameters: Int
        public var cluster: String
        public var seed: UInt64
        public var rows: [Row]
    }

    /// - Throws: `PredictionError`.
    public func prediction(ranks: [Int]) throws -> Prediction {
        Prediction(
            profile: profile.name, parameters: profile.parameterCount, cluster: cluster.name, seed: settings.seed,
            rows: try rows(ranks: ranks))
    }

    /// - Throws: `PredictionError`.
    public func rows(ranks: [Int]) throws -> [Row] {
        let alone = try row(ranks: 1, alone: nil)
        return try ranks.map { $0 == 1 ? alone : try row(ranks: $0, alone: alone.stepSeconds) }
    }

    /// The reports of the ranks that kept a ledger, by rank and step: for a trace. Names of parameters beside it.
    public func reports(ranks: Int) throws -> (steps: [[StepReport]], parameters: [String]) {
        try check(ranks)
        let layout = layout
        let world = try run(ranks, try plan(ranks: ranks, layout), layout, steps: settings.steps)
        return (world.ranks.map(\.reports).filter { !$0.isEmpty }, layout.parameters.map(\.name))
    }

    /// How long one allreduce in place takes, in seconds.
    /// - Parameter byteCount: of fp32 elements.
    public static func allReduceSeconds(byteCount: Int, ranks: Int, on cluster: Cluster) throws -> Double {
        let layer = ModelProfile.Layer(name: "buffer", parameters: [byteCount / 4], forwardSeconds: 0, backwardSeconds: 0)
        var settings = StepSettings()
        (settings.bucketSize, settings.schedule, settings.waiting) = (.fixed(1 << 40), .allReduce, .all)
        let predictor = Predictor(ModelProfile(name: "allreduce", batch: 1, layers: [layer]), on: cluster, settings: settings)
        try predictor.check(ranks)
        let layout = predictor.layout
        let steps = try predictor.run(ranks, predictor.plan(ranks: ranks, layout), layout, steps: 3).ranks[0].reports.dropFirst()
        return steps.reduce(0) { $0 + $1.stepSeconds } / Double(max(1, steps.count))
    }

    private func row(ranks: Int, alone: Double?) throws -> Row {
        try check(ranks)
        let layout = layout
        let plan = try plan(ranks: ranks, layout)
        let world = try run(ranks, plan, layout, steps: settings.steps)
        // The first step has nothing to wait for in its forward pass.
        let reports = world.ranks.map { Array($0.reports.dropFirst()) }
        // Where ranks are images, rank 0 is the slowest one, and the rest stand for all others.
        let own = world.hasImages ? 1 / Double(ranks) : 1 / Double(max(1, reports.count { !$0.isEmpty }))
        let others = (1 - own) / Double(max(1, reports.dropFirst().count { !$0.isEmpty }))
        func mean(_ value: (StepReport) -> Double) -> Double {
            reports.enumerated().reduce(0) { sum, rank in
                let total = rank.element.reduce(0) { $0 + value($1) }
                return sum + total / Double(max(1, rank.element.count)) * (rank.offset == 0 ? own : others)
            }
        }
        var exposed = ExposedTime()
        for cause in ExposedCause.allCases { exposed[cause] = mean { $0.exposed[cause] } }
        let step = mean(\.stepSeconds)
        let lost = 1 + cluster.failingSteps / (1 - cluster.failingSteps) * (1 + cluster.recoverySeconds / step)
        let samples = Double(profile.batch * ranks) / step
        return Row(
            ranks: ranks, stepSeconds: step, computeSeconds: mean(\.computeSeconds), inputSeconds: mean(\.namedSeconds), exposed: exposed,
            communicationSeconds: mean(\.communicationSeconds), efficiency: (alone ?? step) / step, samplesPerSecond: samples / lost,
            epochSeconds: profile.samplesPerEpoch > 0 ? Double(profile.samplesPerEpoch) / samples * lost : nil,
            buckets: plan.buckets.count, urgentBuckets: plan.buckets.count { $0.isUrgent }, schedule: plan.schedule.rawValue,
            simulatedRanks: world.ranks.count, events: world.network.eventCount)
    }

    private func check(_ ranks: Int) throws {
        guard ranks >= 1 else { throw PredictionError("\(ranks) ranks; give 1 or more") }
        let nodes = (ranks + cluster.ranksPerNode - 1) / cluster.ranksPerNode
        guard cluster.nodes == 0 || nodes <= cluster.nodes else {
            throw PredictionError(
                "\(ranks) ranks need \(nodes) nodes and '\(cluster.name)' has \(cluster.nodes); ask for fewer ranks, or raise nodes")
        }
        guard settings.wire == .plain || ranks <= StepWorld.maxEncoding else {
            throw PredictionError(
                "\(ranks) ranks and wire format \(settings.wire): it connects all with all; give \(StepWorld.maxEncoding) ranks or fewer")
        }
        guard ranks <= cluster.ranksPerNode || ranks % cluster.ranksPerNode == 0 else {
            throw PredictionError("\(ranks) ranks do not fill nodes of \(cluster.ranksPerNode); give a multiple of that")
        }
    }

    // MARK: the plan

    private var layout: GradientLayout {
        GradientLayout(
            parameters: profile.layers.flatMap { layer in
                layer.parameters.enumerated().map { ParameterLayout(name: "\(layer.name).\($0.offset)", elementCount: $0.element) }
            })
    }

    private func run(_ ranks: Int, _ plan: BucketPlan, _ layout: GradientLayout, steps: Int) throws -> StepWorld {
        var settings = settings
        settings.steps = steps
        var compute = ComputeFactors(profile, cluster, seed: settings.seed)
        let inPairs = cluster.executorSettings(worldSize: ranks).topology.isDeep
        if cluster.simulatedRanks(worldSize: ranks, settings, inPairs: inPairs) < ranks {
            compute.standForSlowest(worldSize: ranks, steps: steps + 1)
        }
        let world = try StepWorld(profile, cluster, worldSize: ranks, settings, plan: plan, layout, compute: compute)
        try world.run()
        return world
    }

    /// As production: the first steps by a plan that knows nothing, then the best one for what was measured.
    private func plan(ranks: Int, _ layout: GradientLayout) throws -> BucketPlan {
        let executor = cluster.executorSettings(worldSize: ranks)
        let planner = Planner(layout, LinkCosts(executor, settings.wire), schedule: settings.schedule, wire: settings.wire)
        let first = planner.firstPlan(settings.bucketSize)
        guard settings.bucketSize == .planned, ranks > 1 else { return first }
        var arrival = arrivalProfile(layout)
        let latency = planner.costs.whole.latencySeconds
        let measured = try run(ranks, first, layout, steps: 2).ranks.compactMap(\.reports.last).map {
            measuredSecondsPerByte($0.buckets, latencySeconds: latency)
        }
        // Of the costs of a byte the least counts, as in production.
        arrival.secondsPerByte = measured.filter { $0 > 0 }.min() ?? 0
        let plan = planner.change(from: first, wasPlanned: false, for: arrival) ?? first
        guard !settings.usesPriorities else { return plan }
        let cuts = layout.sections.indices.map { section in
            plan.buckets.filter { $0.section == section }.map(\.elements.lowerBound)
        }
        return BucketPlan(layout, cuts: cuts, schedule: plan.schedule, wire: plan.wire)
    }

    /// What the trainer's own times are, without what it waits for.
    private func arrivalProfile(_ layout: GradientLayout) -> ArrivalProfile {
        let count = layout.parameters.count
        var (ready, needed) = (Array(repeating: 0.0, count: count), Array(repeating: 0.0, count: count))
        let elements = Double(max(1, profile.parameterCount))
        var parameter = count
        var time = 0.0
        for (index, layer) in profile.layers.enumerated().reversed() {
            // It begins with the first announcement.
            if index < profile.layers.count - 1 { time += layer.backwardSeconds }
            for _ in layer.parameters {
                parameter -= 1
                ready[parameter] = time
            }
        }
        let backward = time
        (parameter, time) = (0, profile.inputSeconds)
        for layer in profile.layers {
            for _ in layer.parameters {
                needed[parameter] = settings.waiting == .all ? 0 : time
                parameter += 1
            }
            time += profile.optimizerSeconds * Double(layer.parameters.reduce(0, +)) / elements + layer.forwardSeconds
        }
        time += profile.layers.last?.backwardSeconds ?? 0
        return ArrivalProfile(ready: ready, needed: needed, backwardSeconds: backward, forwardSeconds: time, stepSeconds: time + backward)
    }
}
