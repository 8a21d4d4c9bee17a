internal import Gradients

/// A machine on which somebody has published how ResNet-50 on ImageNet scales, and what they had.
public struct ReferenceSystem: Sendable {
    public var cluster: Cluster
    public var profile: ModelProfile
    /// From so many nodes to so many the published efficiency holds.
    public var baseNodes: Int
    public var nodes: Int
    public var publishedEfficiency: Double
    public var source: String

    public static let names = ["tacc-stampede2", "bsc-marenostrum4", "ibm-ddl", "facebook-bigbasin"]
    public static let all = names.compactMap { named($0) }

    /// What they had: whole layers in one order of buckets, all of them waited for before the optimizer.
    public static var theirSettings: StepSettings {
        var settings = StepSettings()
        settings.bucketSize = .ddp
        settings.schedule = .allReduce
        settings.waiting = .all
        settings.usesPriorities = false
        return settings
    }

    /// Nil where there is none of this name.
    public static func named(_ name: String) -> ReferenceSystem? {
        switch name {
        case "tacc-stampede2": stampede2
        case "bsc-marenostrum4": mareNostrum4
        case "ibm-ddl": ddl
        case "facebook-bigbasin": bigBasin
        default: nil
        }
    }

    /// Images per second of one of so many ranks that took so many minutes for 90 epochs at an efficiency: that of a rank alone.
    private static func imagesPerSecond(minutes: Double, ranks: Int, efficiency: Double) -> Double {
        90 * 1_281_167 / (minutes * 60) / Double(ranks) / efficiency
    }

    private static let assumedEverywhere = [
        "messageMicroseconds": "assumed: two NIC doorbells and polls of a core of that time",
        "computeSpread": "assumed: none of them has published it, and it decides: see the sensitivity table",
        "receiveBufferMegabytes": "assumed: what this engine takes by default",
    ]

    private static var stampede2: ReferenceSystem {
        var cluster = Cluster(name: "tacc-stampede2")
        (cluster.nodesPerLeaf, cluster.oversubscription) = (28, 1.4)
        (cluster.latencyMicroseconds, cluster.messageMicroseconds) = (3, 0.5)
        (cluster.reduceGigabytesPerSecond, cluster.computeSpread) = (8, 0.005)
        cluster.notes = assumedEverywhere.merging([
            "nicGigabytesPerSecond": "published: Omni-Path, 100 Gb/s (TACC's user guide)",
            "nodesPerLeaf": "published: a leaf for 28 nodes (TACC's user guide)",
            "oversubscription": "published: 28 nodes on 20 uplinks (TACC's user guide)",
            "latencyMicroseconds": "assumed: MPI between slow cores",
            "reduceGigabytesPerSecond": "assumed: one core that adds from MCDRAM",
        ]) { $1 }
        return ReferenceSystem(
            cluster: cluster,
            profile: .resNet50(batch: 16, imagesPerSecond: imagesPerSecond(minutes: 63, ranks: 256, efficiency: 0.97)),
            baseNodes: 4, nodes: 256, publishedEfficiency: 0.97,
            source: "Intel Caffe, Xeon Phi 7250; batch 16 a node and 63 minutes published, 90 epochs assumed")
    }

    private static var mareNostrum4: ReferenceSystem {
        var cluster = Cluster(name: "bsc-marenostrum4")
        (cluster.latencyMicroseconds, cluster.messageMicroseconds) = (2, 0.3)
        (cluster.reduceGigabytesPerSecond, cluster.computeSpread) = (12, 0.005)
        cluster.notes = assumedEverywhere.merging([
            "nicGigabytesPerSecond": "published: Omni-Path, 100 Gb/s (BSC)",
            "nodesPerLeaf": "assumed: no leaf's uplink is short, so one switch that never blocks",
            "latencyMicroseconds": "assumed: MPI between two leaves",
            "reduceGigabytesPerSecond": "assumed: one core that adds from memory",
        ]) { $1 }
        return ReferenceSystem(
            cluster: cluster,
            profile: .resNet50(batch: 32, imagesPerSecond: imagesPerSecond(minutes: 70, ranks: 256, efficiency: 0.90)),
            baseNodes: 4, nodes: 256, publishedEfficiency: 0.90,
            source: "Intel Caffe, Xeon Platinum 8160; batch 32 a node and 70 minutes published, 90 epochs assumed")
    }

    private static var ddl: ReferenceSystem {
        var cluster = Cluster(name: "ibm-ddl")
        cluster.ranksPerNode = 4
        (cluster.memoryGigabytesPerSecond, cluster.memoryLatencyMicroseconds) = (64, 5)
        (cluster.reduceGigabytesPerSecond, cluster.computeSpread) = (100, 0.005)
        cluster.notes = assumedEverywhere.merging([
            "ranksPerNode": "published: 64 S822LC with 4 P100 each (arXiv 1708.02188)",
            "nicGigabytesPerSecond": "assumed: one port of 100 Gb/s a node",
            "memoryGigabytesPerSecond": "assumed: NVLink, of which all four GPUs use a part",
            "memoryLatencyMicroseconds": "assumed: a copy between GPUs begins so late",
            "reduceGigabytesPerSecond": "assumed: a GPU adds from its own memory",
            "latencyMicroseconds": "assumed: InfiniBand",
        ]) { $1 }
        return ReferenceSystem(
            cluster: cluster,
            profile: .resNet50(batch: 32, imagesPerSecond: imagesPerSecond(minutes: 50, ranks: 256, efficiency: 0.95)),
            baseNodes: 1, nodes: 64, publishedEfficiency: 0.95,
            source: "PowerAI DDL, arXiv 1708.02188; 90 epochs in 50 minutes on 256 GPUs published")
    }

    private static var bigBasin: ReferenceSystem {
        var cluster = Cluster(name: "facebook-bigbasin")
        cluster.ranksPerNode = 8
        (cluster.nicGigabytesPerSecond, cluster.latencyMicroseconds) = (6.25, 10)
        (cluster.memoryGigabytesPerSecond, cluster.memoryLatencyMicroseconds) = (64, 5)
        (cluster.reduceGigabytesPerSecond, cluster.computeSpread) = (100, 0.005)
        cluster.notes = assumedEverywhere.merging([
            "ranksPerNode": "published: Big Basin, 8 P100 (arXiv 1706.02677)",
            "nicGigabytesPerSecond": "published: Ethernet, 50 Gb/s a server (arXiv 1706.02677)",
            "latencyMicroseconds": "assumed: Ethernet between racks",
            "memoryGigabytesPerSecond": "assumed: NVLink, of which all eight GPUs use a part",
            "memoryLatencyMicroseconds": "assumed: a copy between GPUs begins so late",
            "reduceGigabytesPerSecond": "assumed: a GPU adds from its own memory",
        ]) { $1 }
        return ReferenceSystem(
            cluster: cluster,
            profile: .resNet50(batch: 32, imagesPerSecond: imagesPerSecond(minutes: 60, ranks: 256, efficiency: 0.89)),
            baseNodes: 1, nodes: 32, publishedEfficiency: 0.89,
            source: "Caffe2 and Gloo, arXiv 1706.02677; 90 epochs in an hour on 256 GPUs published")
    }
}

extension ReferenceSystem {
    /// Efficiencies from `baseNodes` to `nodes`, as parts of one.
    public struct Comparison: Sendable {
        public var name: String
        public var baseNodes: Int
        public var nodes: Int
        public var published: Double
        /// Predicted for what they had.
        public var theirs: Double
        /// With this engine's planner, schedules and priorities on the same hardware; from 4 nodes to 256 and to 4,096.
        public var ours: Double
        public var oursLarge: Double
        /// What ours loses at 4,096 nodes, in points of efficiency, by cause.
        public var shares: [(cause: String, points: Double)]
    }

    /// - Throws: `PredictionError`.
    public func comparison(steps: Int, seed: UInt64) throws -> Comparison {
        func predictor(_ settings: StepSettings) -> Predictor {
            var settings = settings
            (settings.steps, settings.seed) = (steps, seed)
            return Predictor(profile, on: cluster, settings: settings)
        }
        let size = cluster.ranksPerNode
        let theirs = try predictor(Self.theirSettings).rows(ranks: [baseNodes * size, nodes * size])
        let ours = try predictor(StepSettings()).rows(ranks: [4 * size, 256 * size, 4096 * size])
        let large = ours[2]
        var shares = ExposedCause.allCases.map { (cause: $0.rawValue, points: large.exposed[$0] / large.stepSeconds * 100) }
        shares.append(("already exposed at 4 nodes", -ours[0].exposed.total / ours[0].stepSeconds * 100))
        return Comparison(
            name: cluster.name, baseNodes: baseNodes, nodes: nodes, published: publishedEfficiency,
            theirs: theirs[1].efficiency / theirs[0].efficiency, ours: ours[1].efficiency / ours[0].efficiency,
            oursLarge: ours[2].efficiency / ours[0].efficiency, shares: shares.filter { abs($0.points) >= 0.005 })
    }
}
