public import Collectives
internal import Reduction
internal import SimulatedFabric

/// How long an allreduce takes in virtual time, on an ideal cluster of any size: no bytes move. `verbena simulate time`.
public struct TimedAllreduce: Sendable {
    public var ranks: Int
    public var byteCount: Int
    /// Ranks of each node, which see each other's memory: more than one makes it hierarchical, with a NIC for each.
    public var ranksPerNode = 1
    /// Of a message between nodes, and its rate (bytes per nanosecond are GB/s).
    public var latencyNanoseconds: UInt64 = 2_000
    public var bytesPerNanosecond = 12.5
    /// Of adding one array to another, for each byte of one of them.
    public var reduceNanosecondsPerByte = 0.02
    /// See `ExecutorSettings`: address space only, since no bytes move.
    public var receiveBufferByteLimit = 64 << 20
    /// `ring`, or `halvingDoubling` where nodes are a power of two; nil: the one that the engine takes for large buffers.
    public var algorithm: Algorithm?
    /// Carries bytes and checks everything: for small worlds, to see that it makes no difference.
    public var movesBytes = false

    public init(ranks: Int, byteCount: Int) {
        self.ranks = ranks
        self.byteCount = byteCount
    }

    public struct Result: Sendable, Equatable {
        public var virtualNanoseconds: UInt64
        public var events: Int
        /// What carried it out.
        public var algorithm: Algorithm
        /// Chunks of a segment that are under way together, and rounds; of halving and doubling one, and windows.
        public var chunks: Int
        public var rounds: Int
    }

    /// What the literature says of an unpipelined ring: 2(N-1) messages in a row, 2(N-1)/N of the buffer over the wire, (N-1)/N of it to add. Of halving and
    /// doubling the same with 2 log2 N messages.
    /// Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19 (2005).
    public var formulaNanoseconds: Double {
        let (others, share) = (Double(ranks - 1), Double(ranks - 1) / Double(ranks) * Double(byteCount))
        let messages = algorithm == .halvingDoubling ? Double((ranks / ranksPerNode).trailingZeroBitCount) : others
        return 2 * messages * Double(latencyNanoseconds) + 2 * share / bytesPerNanosecond + share * reduceNanosecondsPerByte
    }

    /// - Throws: what could not be set up, as text.
    public func run() throws -> Result {
        let topology = Topology(nodeOfRank: (0..<ranks).map { $0 / ranksPerNode })
        let isPaired = algorithm.map { $0 == .halvingDoubling } ?? topology.isDeep
        guard !isPaired || topology.isPaired else {
            throw Finding(kind: .unfinished, detail: "halving-doubling takes a power of two of nodes, not \(ranks / ranksPerNode)")
        }
        let algorithm: Algorithm = isPaired ? .halvingDoubling : ranksPerNode > 1 ? .hierarchical : .ring
        var settings = ExecutorSettings(topology: topology, receiveBufferByteLimit: receiveBufferByteLimit)
        settings.simulation = SimulationHook()
        settings.simulation?.touchesMemory = movesBytes
        let network = SimulatedNetwork(world(settings, isPaired: isPaired))
        var seats: [TimedSeat] = []
        for rank in 0..<ranks { seats.append(try TimedSeat(rank, network, settings, peers: peers(of: rank, isPaired: isPaired))) }
        for byteCount in [0, max(64, byteCount)] {
            if byteCount > 0 { for seat in seats { try seat.addBuffer(byteCount: byteCount) } }
            let buffer = seats[0].buffer
            let descriptors = seats.map { $0.executor.descriptor(of: buffer) }
            for seat in seats { try seat.executor.attach(buffer, descriptors: descriptors) }
        }
        let operation = Operation(
            .allReduce, input: Place(seats[0].buffer), count: byteCount / 4, type: .float32, algorithm: algorithm)
        for seat in seats { try seat.executor.submit(operation) }
        // SAFETY: `seats` keeps them, and does not change. Without a reference count, whose line is in no cache.
        let runners = unsafe seats.map { unsafe Unmanaged.passUnretained($0) }
        while let rank = network.advance() {
            // Two turns ahead its own lines, which say where the rest is; one turn ahead the rest.
            if let second = network.comingRanks.second {
                unsafe Kernels.prefetch(runners[second].toOpaque(), byteCount: TimedSeat.byteCount)
            }
            if let first = network.comingRanks.first { unsafe runners[first]._withUnsafeGuaranteedRef { $0.prefetch() } }
            unsafe runners[rank]._withUnsafeGuaranteedRef { $0.run() }
        }
        if let violation = network.violation { throw violation }
        guard seats.allSatisfy({ $0.isDone }) else { throw Finding(kind: .unfinished, detail: "some ranks have not ended") }
        let end = seats.map(\.endNanoseconds).max() ?? 0
        let (chunks, rounds) = isPaired ? (1, settings.windows(of: operation)) : settings.ringChunks(of: operation)
        return Result(virtualNanoseconds: end, events: network.eventCount, algorithm: algorithm, chunks: chunks, rounds: rounds)
    }

    private func world(_ settings: ExecutorSettings, isPaired: Bool) -> SimulationOptions {
        var world = SimulationOptions(seed: 1, worldSize: ranks)
        world.payload = movesBytes ? .mixed : .none
        world.isChecking = movesBytes
        world.traceDepth = movesBytes ? 256 : 0
        world.writesPerCompletion = 16
        world.sharesWires = isPaired
        world.wire = .init(latencyNanoseconds: latencyNanoseconds, bytesPerNanosecond: bytesPerNanosecond)
        world.ranksPerNode = ranksPerNode
        world.nicsPerNode = ranksPerNode
        // Two arrays are read and one is written.
        world.touchNanosecondsPerByte = reduceNanosecondsPerByte / 3
        world.writeDepth = settings.arrivalDepth
        world.arrivalDepth = settings.arrivalDepth
        return world
    }

    /// Those that the algorithm writes to or hears from.
    private func peers(of rank: Int, isPaired: Bool) -> [Int] {
        let (node, local) = rank.quotientAndRemainder(dividingBy: ranksPerNode)
        let nodes = ranks / ranksPerNode
        var peers = Set((0..<ranksPerNode).map { node * ranksPerNode + $0 })
        let others =
            isPaired ? (0..<nodes.trailingZeroBitCount).map { node ^ 1 << $0 } : [1, nodes - 1].map { (node + $0) % nodes }
        for other in others { peers.insert(other * ranksPerNode + local) }
        peers.remove(rank)
        return peers.sorted()
    }
}

/// One rank of a timed world.
private final class TimedSeat {
    let rank: Int
    let network: SimulatedNetwork
    var executor: Executor<SimulatedFabric>
    private(set) var buffer = SharedBuffer.receiveBuffers
    private(set) var isDone = false
    private(set) var endNanoseconds: UInt64 = 0

    init(_ rank: Int, _ network: SimulatedNetwork, _ settings: ExecutorSettings, peers: [Int]) throws {
        self.rank = rank
        self.network = network
        var fabric = try SimulatedFabric(network, rank: rank)
        var endpoints: [Int: [UInt8]] = [:]
        for peer in peers { endpoints[peer] = network.endpoint(of: peer) }
        try fabric.connect(to: endpoints, deadline: .distantFuture)
        executor = try Executor(fabric: fabric, settings: settings, peers: peers)
    }

    /// Of an object, about.
    static let byteCount = MemoryLayout<Executor<SimulatedFabric>>.size + 96

    func prefetch() { executor.prefetch() }

    func addBuffer(byteCount: Int) throws { buffer = try executor.addBuffer(byteCount: byteCount).0 }

    func run() {
        while true {
            _ = executor.progress()
            guard executor.takeFinished() != nil else { return }
            isDone = true
            endNanoseconds = network.now.nanoseconds
        }
    }
}
