internal import Collectives
internal import Fabric
internal import Gradients
internal import Reduction
internal import SimulatedFabric

/// A job of simulated ranks, each with the engine's own executor, in virtual time; no bytes move.
final class StepWorld {
    /// Up to so many ranks each is connected with all others, and the cost model chooses the algorithm; beyond, a rank knows its neighbours on the rings only.
    static let maxFullyConnected = 64
    /// The same where gradients have a wire format, which goes straight to each owner.
    static let maxEncoding = 256
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
    /// Whether some ranks are only images of those that are simulated.
    var hasImages: Bool { ranks.count < worldSize }

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
        let simulated = cluster.simulatedRanks(worldSize: worldSize, settings, inPairs: executorSettings.topology.isDeep)
        var options = cluster.world(worldSize: simulated, hasImages: simulated < worldSize, hooked, seed: settings.seed)
        if simulated < worldSize, !hooked.topology.isDeep || plan.schedule == .split {
            // Stripes are dealt out whole. Where there are few, some parts are longer than others, and the longest goes all around the ring.
            let owned = plan.buckets.map { bucket -> Double in
                let type = layout.sections[bucket.section].type
                let stripe = hooked.stripeElements(type)
                let longest = (bucket.elements.count + stripe * worldSize - 1) / (stripe * worldSize) * stripe
                return (Double(longest) - Double(bucket.elements.count) / Double(worldSize)) * Double(type.byteCount)
            }
            let bytes = owned.reduce(0, +) / Double(max(1, owned.count))
            options.wire.latencyNanoseconds += UInt64(
                bytes * (1 / options.wire.bytesPerNanosecond + 0.5 / cluster.reduceGigabytesPerSecond))
        }
        network = SimulatedNetwork(options)
        book = StepBook(buckets: plan.buckets.count, steps: settings.steps + 1)
        let stride = max(1, simulated / Self.maxLedgers)
        let peers = (0..<simulated).map {
            settings.connectsAll(worldSize)
                ? cluster.allPeers(of: $0, worldSize: worldSize)
                : cluster.peers(of: $0, worldSize: worldSize, simulated: simulated, inPairs: hooked.topology.isDeep)
        }
        for rank in 0..<simulated {
            ranks.append(
                try SimulatedRank(
                    rank, in: network, hooked, peers: peers[rank], profile, settings, plan, layout, book, compute,
                    keepsLedger: rank % stride == 0))
        }
        for byteCount in [0, max(64, layout.byteCount)] {
            // Of images, halves of a bucket end beyond it; see `SimulatedRank`.
            let most = hasImages ? 2 * worldSize * ElementType.float64.byteCount + layout.byteCount / 64 : 0
            if byteCount > 0 { for rank in ranks { try rank.addBuffer(byteCount: byteCount + most) } }
            let buffer = ranks[0].buffer
            var descriptors: [[UInt8]] = Array(repeating: [], count: worldSize)
            let known = ranks.map { $0.executor.descriptor(of: buffer) }
            for rank in ranks {
                for peer in peers[rank.rank] { descriptors[peer.image] = known[peer.rank] }
                try rank.executor.attach(buffer, descriptors: descriptors)
            }
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
    /// By step, where ranks are images: of the slowest of the whole world, which rank 0 stands for.
    private var slowest: [Double] = []

    init(_ profile: ModelProfile, _ cluster: Cluster, seed: UInt64) {
        self.seed = seed
        spread = cluster.computeSpread ?? profile.spread
        slowRanks = 0..<cluster.slowNodes * cluster.ranksPerNode
        slowFactor = cluster.slowFactor
    }

    /// Where rank 0 stands for the slowest rank of each step in a world of so many; all others for themselves.
    mutating func standForSlowest(worldSize: Int, steps: Int) {
        slowest = (0...steps).map { step in (0..<worldSize).reduce(0) { max($0, factor(rank: $1, step: step)) } }
        slowRanks = 0..<0
    }

    /// Never less than a half: a sum of twelve uniform draws, so that no library's logarithm decides about a byte.
    func factor(rank: Int, step: Int) -> Double {
        if rank == 0, slowest.indices.contains(step) { return slowest[step] }
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

    /// What a leaf's uplink has for the ring of one NIC of each node.
    private var uplinkGigabytesPerSecond: Double {
        nodesPerLeaf > 0 ? nicGigabytesPerSecond * Double(nodesPerLeaf) / oversubscription : .infinity
    }

    /// - Parameters:
    ///   - worldSize: ranks that are simulated.
    ///   - hasImages: whether they stand for more.
    func world(worldSize: Int, hasImages: Bool, _ settings: ExecutorSettings, seed: UInt64) -> SimulationOptions {
        var world = SimulationOptions(seed: seed, worldSize: worldSize)
        world.payload = .none
        world.isChecking = false
        world.traceDepth = 0
        world.writesPerCompletion = 16
        world.sharesWires = settings.topology.isDeep
        world.wire = .init(
            latencyNanoseconds: UInt64(latencyMicroseconds * 1e3), bytesPerNanosecond: nicGigabytesPerSecond,
            jitterNanoseconds: UInt64(latencyJitterMicroseconds * 1e3))
        world.memory = .init(latencyNanoseconds: UInt64(memoryLatencyMicroseconds * 1e3), bytesPerNanosecond: memoryGigabytesPerSecond)
        world.ranksPerNode = ranksPerNode
        world.nicsPerNode = nicsPerNode
        if nodesPerLeaf > 0, !hasImages { world.topology = .fatTree(nodesPerLeaf: nodesPerLeaf, oversubscription: oversubscription) }
        // Two arrays are read and one is written.
        world.touchNanosecondsPerByte = 1 / reduceGigabytesPerSecond / 3
        world.postNanoseconds = UInt64(messageMicroseconds * 500)
        world.pollNanoseconds = UInt64(messageMicroseconds * 500)
        world.writeDepth = settings.arrivalDepth
        world.arrivalDepth = settings.arrivalDepth
        guard !hasImages else {
            guard nodesPerLeaf > 0 else { return world }
            if settings.topology.isDeep {
                let swaps = swapsBetweenLeaves(nodes: settings.worldSize / ranksPerNode)
                world.wire.latencyNanoseconds = UInt64(latencyMicroseconds * 1e3 * swaps.latency)
                world.wire.bytesPerNanosecond = nicGigabytesPerSecond / swaps.time
            } else {
                // A ring in the order of nodes crosses from leaf to leaf once for each, at twice the latency; no uplink has more than one of its flows a NIC.
                world.wire.latencyNanoseconds = UInt64(latencyMicroseconds * 1e3 * (1 + 1 / Double(nodesPerLeaf)))
                world.wire.bytesPerNanosecond = min(nicGigabytesPerSecond, uplinkGigabytesPerSecond)
            }
            return world
        }
        return world
    }

    /// What leaves make of the latency and of the time of the bytes of a swap in pairs, as means over its rounds: a round in which some pair crosses has
    /// twice the latency, and takes as long as the leaf of which the most cross has its uplink too narrow.
    private func swapsBetweenLeaves(nodes: Int) -> (latency: Double, time: Double) {
        let rounds = nodes.trailingZeroBitCount
        var (latency, time, bytes) = (0.0, 0.0, 0.0)
        for round in 0..<rounds {
            var most = 0.0
            for leaf in stride(from: 0, to: nodes, by: nodesPerLeaf) {
                let members = leaf..<min(nodes, leaf + nodesPerLeaf)
                most = max(most, Double(members.count { !members.contains($0 ^ 1 << round) }) / Double(nodesPerLeaf))
            }
            let part = 1 / Double(2 << round)
            latency += most > 0 ? 2 : 1
            time += part * max(1, most * oversubscription)
            bytes += part
        }
        return (latency / Double(rounds), time / bytes)
    }

    /// How many ranks of a world are simulated, so that all others are images of them: three whole nodes, so that the neighbours of each on a ring differ, of
    /// nodes that swap in pairs one for each round and one more, even in number; or all ranks.
    func simulatedRanks(worldSize: Int, _ settings: StepSettings, inPairs: Bool) -> Int {
        let rounds = (worldSize / ranksPerNode).trailingZeroBitCount
        let nodes = inPairs ? (rounds + 2) / 2 * 2 : 3
        return settings.simulatesAllRanks || settings.connectsAll(worldSize) || worldSize <= nodes * ranksPerNode
            ? worldSize : nodes * ranksPerNode
    }

    func allPeers(of rank: Int, worldSize: Int) -> [(image: Int, rank: Int)] { (0..<worldSize).filter { $0 != rank }.map { ($0, $0) } }

    /// Those that a rank of a large world writes to or hears from, and what is simulated for each: those of its node, and its neighbours on the ring between
    /// nodes, or the nodes with which it swaps.
    func peers(of rank: Int, worldSize: Int, simulated: Int, inPairs: Bool) -> [(image: Int, rank: Int)] {
        let (node, local) = rank.quotientAndRemainder(dividingBy: ranksPerNode)
        let (nodes, simulatedNodes) = (worldSize / ranksPerNode, simulated / ranksPerNode)
        var peers = (0..<ranksPerNode).filter { $0 != local }.map { (image: node * ranksPerNode + $0, rank: node * ranksPerNode + $0) }
        let others: [(image: Int, node: Int)] =
            inPairs
            ? (0..<nodes.trailingZeroBitCount).map {
                (node ^ 1 << $0, simulated == worldSize ? node ^ 1 << $0 : Self.partner(of: node, round: $0, nodes: simulatedNodes))
            } : [1, -1].map { ((node + $0 + nodes) % nodes, (node + $0 + simulatedNodes) % simulatedNodes) }
        for other in others { peers.append((other.image * ranksPerNode + local, other.node * ranksPerNode + local)) }
        return peers.sorted { $0.image < $1.image }
    }

    /// Pairs of an even number of nodes, others in each round: as in a tournament in which all play all, the last one against whom nobody is left for.
    private static func partner(of node: Int, round: Int, nodes: Int) -> Int {
        if node == nodes - 1 { return round }
        let other = (2 * round - node + 2 * (nodes - 1)) % (nodes - 1)
        return other == node ? nodes - 1 : other
    }
}

extension StepSettings {
    /// Whether each rank is connected with all others.
    func connectsAll(_ worldSize: Int) -> Bool { worldSize <= StepWorld.maxFullyConnected || wire != .plain }
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
