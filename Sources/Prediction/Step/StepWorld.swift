internal import Collectives
internal import Fabric
internal import Gradients
internal import Reduction
internal import SimulatedFabric

/// A job of simulated ranks, each with the engine's own executor, in virtual time; no bytes move.
final class StepWorld {
    /// Up to so many ranks each is connected with all others, and the cost model chooses the algorithm; beyond, a rank knows its neighbours on the rings only.
    static let maxFullyConnected = 64
    /// So many ranks keep a ledger, evenly spread.
    static let maxLedgers = 32

    let profile: ModelProfile
    let settings: StepSettings
    let layout: GradientLayout
    let executorSettings: ExecutorSettings
    let network: SimulatedNetwork
    let book: StepBook
    private(set) var ranks: [SimulatedRank] = []

    var worldSize: Int { executorSettings.worldSize }

    /// - Parameter compute: by rank and step, what computing takes longer than the profile says, as a factor.
    init(
        _ profile: ModelProfile, _ cluster: Cluster, worldSize: Int, _ settings: StepSettings, plan: BucketPlan, _ layout: GradientLayout,
        compute: ComputeFactors
    ) throws {
        self.profile = profile
        self.settings = settings
        self.layout = layout
        executorSettings = cluster.executorSettings(worldSize: worldSize)
        var hooked = executorSettings
        hooked.simulation = SimulationHook()
        hooked.simulation?.touchesMemory = false
        network = SimulatedNetwork(cluster.world(worldSize: worldSize, hooked, seed: settings.seed))
        book = StepBook(buckets: plan.buckets.count, steps: settings.steps + 1)
        let stride = max(1, worldSize / Self.maxLedgers)
        for rank in 0..<worldSize {
            ranks.append(
                try SimulatedRank(
                    rank, in: network, hooked, peers: cluster.peers(of: rank, worldSize: worldSize), profile, settings, plan, layout, book,
                    compute, keepsLedger: rank % stride == 0))
        }
        for byteCount in [0, max(64, layout.byteCount)] {
            if byteCount > 0 { for rank in ranks { try rank.addBuffer(byteCount: byteCount) } }
            let buffer = ranks[0].buffer
            let descriptors = ranks.map { $0.executor.descriptor(of: buffer) }
            for rank in ranks { try rank.executor.attach(buffer, descriptors: descriptors) }
        }
    }

    /// Runs all steps.
    func run() throws {
        for rank in ranks { network.setAlarm(place: rank.rank, at: FabricInstant(nanoseconds: 0)) }
        while let place = network.advance() {
            if let first = network.comingRanks.first, first < ranks.count { ranks[first].prefetch() }
            try ranks[place].run()
        }
        if let violation = network.violation { throw PredictionError("the simulation broke a promise: \(violation)") }
        guard ranks.allSatisfy({ $0.isDone }) else { throw PredictionError("the simulated ranks stand still") }
    }
}

/// What all ranks know of each other's steps: who asked for each bucket last.
final class StepBook {
    struct Last {
        var rank = -1
        var time: UInt64 = 0
        /// The last of all other ranks.
        var otherRank = -1
        var otherTime: UInt64 = 0
    }

    private let buckets: Int
    private var lasts: [Last]

    init(buckets: Int, steps: Int) {
        self.buckets = buckets
        lasts = Array(repeating: Last(), count: buckets * steps)
    }

    func submit(_ bucket: Int, step: Int, by rank: Int, at time: UInt64) {
        let index = step * buckets + bucket
        if time > lasts[index].time || lasts[index].rank < 0 {
            (lasts[index].otherRank, lasts[index].otherTime) = (lasts[index].rank, lasts[index].time)
            (lasts[index].rank, lasts[index].time) = (rank, time)
        } else if time > lasts[index].otherTime || lasts[index].otherRank < 0 {
            (lasts[index].otherRank, lasts[index].otherTime) = (rank, time)
        }
    }

    /// The rank, other than this one, that asked last.
    func last(_ bucket: Int, step: Int, otherThan rank: Int) -> (rank: Int, time: UInt64)? {
        let last = lasts[step * buckets + bucket]
        let other = last.rank == rank ? (last.otherRank, last.otherTime) : (last.rank, last.time)
        return other.0 < 0 ? nil : other
    }
}

/// How much longer each rank computes in each step than the profile says.
struct ComputeFactors {
    var seed: UInt64
    var spread: Double
    var slowRanks: Range<Int>
    var slowFactor: Double

    init(_ profile: ModelProfile, _ cluster: Cluster, seed: UInt64) {
        self.seed = seed
        spread = cluster.computeSpread ?? profile.spread
        slowRanks = 0..<cluster.slowNodes * cluster.ranksPerNode
        slowFactor = cluster.slowFactor
    }

    /// Never less than a half: a sum of twelve uniform draws, so that no library's logarithm decides about a byte.
    func factor(rank: Int, step: Int) -> Double {
        var factor = slowRanks.contains(rank) ? slowFactor : 1
        guard spread > 0 else { return factor }
        var random = SeededRandom(seed: seed &* 0x9E37_79B9 ^ UInt64(rank) << 24 ^ UInt64(step))
        let sum = (0..<12).reduce(-6.0) { sum, _ in sum + Double(random.next() >> 11) / Double(1 << 53) }
        factor *= max(0.5, 1 + spread * sum)
        return factor
    }
}

extension Cluster {
    /// What production would measure here.
    var costs: Costs {
        Costs(
            near: .init(latency: max(1e-3, memoryLatencyMicroseconds), perByte: 1 / (memoryGigabytesPerSecond * 1e3)),
            far: .init(latency: max(1e-3, latencyMicroseconds), perByte: 1 / (nicGigabytesPerSecond * 1e3)),
            reducePerByte: 1 / (reduceGigabytesPerSecond * 1e3))
    }

    func executorSettings(worldSize: Int) -> ExecutorSettings {
        ExecutorSettings(
            topology: Topology(nodeOfRank: (0..<worldSize).map { $0 / ranksPerNode }), costs: costs,
            receiveBufferByteLimit: receiveBufferMegabytes << 20)
    }

    func world(worldSize: Int, _ settings: ExecutorSettings, seed: UInt64) -> SimulationOptions {
        var world = SimulationOptions(seed: seed, worldSize: worldSize)
        world.payload = .none
        world.isChecking = false
        world.traceDepth = 0
        world.writesPerCompletion = 16
        world.wire = .init(
            latencyNanoseconds: UInt64(latencyMicroseconds * 1e3), bytesPerNanosecond: nicGigabytesPerSecond,
            jitterNanoseconds: UInt64(latencyJitterMicroseconds * 1e3))
        world.memory = .init(latencyNanoseconds: UInt64(memoryLatencyMicroseconds * 1e3), bytesPerNanosecond: memoryGigabytesPerSecond)
        world.ranksPerNode = ranksPerNode
        world.nicsPerNode = nicsPerNode
        if nodesPerLeaf > 0 { world.topology = .fatTree(nodesPerLeaf: nodesPerLeaf, oversubscription: oversubscription) }
        // Two arrays are read and one is written.
        world.touchNanosecondsPerByte = 1 / reduceGigabytesPerSecond / 3
        world.postNanoseconds = UInt64(messageMicroseconds * 500)
        world.pollNanoseconds = UInt64(messageMicroseconds * 500)
        world.writeDepth = settings.arrivalDepth
        world.arrivalDepth = settings.arrivalDepth
        return world
    }

    /// Those that a rank writes to or hears from: all in a small world, else those of its node and its neighbours on the ring between nodes.
    func peers(of rank: Int, worldSize: Int) -> [Int] {
        guard worldSize > StepWorld.maxFullyConnected else { return (0..<worldSize).filter { $0 != rank } }
        let (node, local) = rank.quotientAndRemainder(dividingBy: ranksPerNode)
        let nodes = worldSize / ranksPerNode
        var peers = Set((0..<ranksPerNode).map { node * ranksPerNode + $0 })
        for step in [1, nodes - 1] { peers.insert((node + step) % nodes * ranksPerNode + local) }
        peers.remove(rank)
        return peers.sorted()
    }
}

extension ExecutorSettings {
    /// As the gradient exchange cuts them: whole blocks of every wire format.
    func stripeElements(_ type: ElementType) -> Int {
        let elements = stripeBytes / type.byteCount
        guard type == .float32, elements >= WireFormat.blockElements else { return elements }
        return elements / WireFormat.blockElements * WireFormat.blockElements
    }
}

/// What keeps a prediction from being made, in one line that names the remedy.
public struct PredictionError: Error, CustomStringConvertible, Equatable {
    public var description: String

    public init(_ description: String) { self.description = description }
}
