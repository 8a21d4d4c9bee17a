/// The same prediction with something else: a change that one could make, or an assumption that may be wrong.
public struct Variation: Sendable {
    public var name: String
    var change: @Sendable (inout Predictor) -> Void

    /// What one could change.
    public static let changes: [Variation] = [
        Variation(name: "a network of twice the rate") { $0.cluster.nicGigabytesPerSecond *= 2 },
        Variation(name: "a network of half the rate") { $0.cluster.nicGigabytesPerSecond /= 2 },
        Variation(name: "half the latency") { $0.cluster.latencyMicroseconds /= 2 },
        Variation(name: "half the engine's time for a message") { $0.cluster.messageMicroseconds /= 2 },
        Variation(name: "buckets by the rule of PyTorch's DDP") { $0.settings.bucketSize = .ddp },
        Variation(name: "one bucket") { $0.settings.bucketSize = .fixed(1 << 40) },
        Variation(name: "4 buckets") { predictor in
            predictor.settings.bucketSize = .fixed(predictor.profile.parameterCount + 4096)
        },
        Variation(name: "schedule allreduce") { $0.settings.schedule = .allReduce },
        Variation(name: "schedule split") { $0.settings.schedule = .split },
        Variation(name: "no priorities") { $0.settings.usesPriorities = false },
        Variation(name: "all gradients waited for at once") { $0.settings.waiting = .all },
        Variation(name: "wire format bf16") { $0.settings.wire = .bfloat16 },
        Variation(name: "8 ranks a node, with a NIC each") { predictor in
            (predictor.cluster.ranksPerNode, predictor.cluster.nicsPerNode) = (8, 8)
        },
        Variation(name: "twice the batch a rank") { $0.profile = $0.profile.with(batch: 2 * $0.profile.batch) },
        Variation(name: "computing that does not vary") { $0.cluster.computeSpread = 0 },
        Variation(name: "one step in a thousand fails, 60 s to recover") { predictor in
            (predictor.cluster.failingSteps, predictor.cluster.recoverySeconds) = (0.001, 60)
        },
    ]

    /// What may be assumed wrongly: each figure once half and once twice as large.
    public static let assumptions: [(name: String, half: Variation, twice: Variation)] = {
        let figures: [(String, @Sendable (inout Predictor, Double) -> Void)] = [
            ("network rate", { $0.cluster.nicGigabytesPerSecond *= $1 }),
            ("latency", { $0.cluster.latencyMicroseconds *= $1 }),
            ("engine's time for a message", { $0.cluster.messageMicroseconds *= $1 }),
            ("rate of adding", { $0.cluster.reduceGigabytesPerSecond *= $1 }),
            ("rate of memory", { $0.cluster.memoryGigabytesPerSecond *= $1 }),
            (
                "spread of computing",
                { predictor, factor in
                    predictor.cluster.computeSpread = (predictor.cluster.computeSpread ?? predictor.profile.spread) * factor
                }
            ),
            ("speed of computing", { $0.profile = $0.profile.with(speed: $1) }),
        ]
        return figures.map { name, scale in
            (name, Variation(name: name) { scale(&$0, 0.5) }, Variation(name: name) { scale(&$0, 2) })
        }
    }()
}

extension ModelProfile {
    /// The same of another batch: computing takes in proportion, the optimizer as long.
    public func with(batch: Int) -> ModelProfile {
        var profile = with(speed: Double(self.batch) / Double(batch))
        profile.batch = batch
        profile.inputSeconds *= Double(batch) / Double(self.batch)
        return profile
    }

    /// The same of a rank that computes so many times as fast.
    public func with(speed: Double) -> ModelProfile {
        var profile = self
        for index in profile.layers.indices {
            profile.layers[index].forwardSeconds /= speed
            profile.layers[index].backwardSeconds /= speed
        }
        return profile
    }
}

extension Predictor {
    /// What a change does.
    public struct Effect: Sendable, Codable {
        public var name: String
        /// Nil where it cannot be had: then `reason` says why.
        public var samplesPerSecond: Double?
        public var efficiency: Double?
        public var reason: String?
        /// By which part the time for a sample becomes shorter.
        public var saved: Double?
    }

    /// The changes at a world size, what saves most first.
    public func effects(ranks: Int) throws -> [Effect] {
        let base = try rows(ranks: [ranks])[0]
        let effects = Variation.changes.map { variation in
            var changed = self
            variation.change(&changed)
            do {
                let row = try changed.rows(ranks: [ranks])[0]
                return Effect(
                    name: variation.name, samplesPerSecond: row.samplesPerSecond, efficiency: row.efficiency,
                    saved: 1 - base.samplesPerSecond / row.samplesPerSecond)
            } catch { return Effect(name: variation.name, reason: "\(error)") }
        }
        return effects.sorted { ($0.saved ?? -.infinity, $1.name) > ($1.saved ?? -.infinity, $0.name) }
    }

    /// What an assumption moves: the efficiency with half and with twice the figure.
    public struct Sensitivity: Sendable, Codable {
        public var name: String
        public var half: Double
        public var twice: Double
        public var base: Double
        /// The larger of both changes.
        public var span: Double { max(abs(half - base), abs(twice - base)) }
    }

    /// The assumptions at a world size, what moves the efficiency most first.
    public func sensitivities(ranks: Int) throws -> [Sensitivity] {
        let base = try rows(ranks: [ranks])[0].efficiency
        return try Variation.assumptions.map { assumption in
            func efficiency(_ variation: Variation) throws -> Double {
                var changed = self
                variation.change(&changed)
                return try changed.rows(ranks: [ranks])[0].efficiency
            }
            return Sensitivity(
                name: assumption.name, half: try efficiency(assumption.half), twice: try efficiency(assumption.twice), base: base)
        }
        .sorted { ($0.span, $1.name) > ($1.span, $0.name) }
    }
}
