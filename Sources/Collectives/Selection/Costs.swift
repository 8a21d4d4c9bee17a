/// What a node and its wire cost, measured at the start or loaded; the same table on every rank.
public struct Costs: Sendable, Equatable, Codable {
    /// Of a message between two ranks: microseconds until it is there, and microseconds for each byte of it.
    public struct Link: Sendable, Equatable, Codable {
        public var latency: Double
        public var perByte: Double

        public init(latency: Double, perByte: Double) {
            self.latency = latency
            self.perByte = perByte
        }
    }

    /// Between ranks that see each other's memory.
    public var near: Link
    /// Between nodes.
    public var far: Link
    /// Microseconds for a byte of a peer's that is read and stored where it lies, where ranks see each other's memory. A message costs more: it is
    /// stored into lines that the peer's core holds, and read from there once again.
    public var mappedPerByte: Double
    /// Microseconds to reduce a byte from each of two sources.
    public var reducePerByte: Double
    /// Microseconds to encode a byte of `float` elements in a wire format, and to decode what becomes one.
    public var encodePerByte: Double
    public var decodePerByte: Double

    public init(
        near: Link, far: Link, mappedPerByte: Double? = nil, reducePerByte: Double, encodePerByte: Double = 1 / 10_000,
        decodePerByte: Double = 1 / 10_000
    ) {
        self.near = near
        self.far = far
        self.mappedPerByte = mappedPerByte ?? near.perByte
        self.reducePerByte = reducePerByte
        self.encodePerByte = encodePerByte
        self.decodePerByte = decodePerByte
    }

    /// A table that was saved before one of the figures was measured has the one that stood for it.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            near: try values.decode(Link.self, forKey: .near), far: try values.decode(Link.self, forKey: .far),
            mappedPerByte: try values.decodeIfPresent(Double.self, forKey: .mappedPerByte),
            reducePerByte: try values.decode(Double.self, forKey: .reducePerByte),
            encodePerByte: try values.decode(Double.self, forKey: .encodePerByte),
            decodePerByte: try values.decode(Double.self, forKey: .decodePerByte))
    }

    /// Whether every figure is one that could have been measured.
    public var isPlausible: Bool {
        [near.latency, near.perByte, far.latency, far.perByte, mappedPerByte, reducePerByte, encodePerByte, decodePerByte].allSatisfy {
            $0.isFinite && $0 > 0
        }
    }

    /// Round figures of a present-day node and a 100 Gb/s network.
    public static let typical = Costs(
        near: Link(latency: 0.2, perByte: 1 / 15_000), far: Link(latency: 3, perByte: 1 / 11_000), reducePerByte: 1 / 20_000)

    /// Microseconds that the algorithm should take: latency times messages in a row, bytes over the wire, bytes to reduce.
    ///
    /// Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19 (2005).
    /// - Parameters:
    ///   - byteCount: of one rank's part.
    ///   - stripeBytes: of a stripe, where the operation has such.
    public func microseconds(
        _ algorithm: Algorithm, _ collective: Collective, byteCount: Int, stripeBytes: Int = 0, in topology: Topology
    ) -> Double {
        let ranks = Double(topology.worldSize)
        let bytes = Double(byteCount)
        guard ranks > 1 else { return bytes * near.perByte }
        let link = topology.isOneNode ? near : far
        let others = ranks - 1
        let rounds = ranks.logarithm
        let everyone = collective.canBeStriped || collective == .reduce(root: collective.root) ? 1 : ranks
        let passes: Double = collective == .allReduce ? 2 : 1
        let adding = collective == .allGather || collective == .gatherStripes ? 0 : reducePerByte
        // What the ranks share evenly, and of stripes what the owner of the most has.
        func share(_ parts: Double) -> Double {
            guard stripeBytes > 0 else { return bytes * everyone / parts }
            return min(bytes, (bytes / (Double(stripeBytes) * parts)).rounded(.up) * Double(stripeBytes))
        }
        switch algorithm {
        case .compressed: return microseconds(.bfloat16, collective, byteCount: byteCount, in: topology)
        case .direct where collective == .gatherStripes: return 2 * signals(link, others) + bytes * mappedPerByte
        case .direct where collective == .reduceStripes:
            return 2 * signals(link, others) + share(ranks) * (mappedPerByte + ranks * reducePerByte)
        case .direct:
            // Each rank reads and writes its share of all buffers; two signals.
            return 2 * signals(link, others) + ranks * share(ranks) * (mappedPerByte + (collective.reduces ? reducePerByte : 0))
        case .oneShot, .bruck:
            // What has come is added, or copied from a slot that its sender's core has written. `Bruck` copies a rank's own part into a slot as well.
            let taken = collective.reduces || !topology.isOneNode ? reducePerByte : mappedPerByte
            let messages = algorithm == .oneShot ? signals(link, others) : rounds * signals(link, 1) + bytes * taken
            return messages + others * bytes * (link.perByte + taken)
        case .recursiveDoubling:
            return Double(RecursiveDoubling.hops(worldSize: topology.worldSize)) * (link.latency + bytes * (link.perByte + reducePerByte))
        case .ring:
            if collective.root >= 0 { return others * (link.latency + bytes / 32 * link.perByte) + bytes * link.perByte }
            let block = share(ranks)
            return link.latency + passes * others * (link.latency + block * link.perByte) + others * block * adding
        case .tiled:
            // What is given and returned is stored in a slot, and read there. Two ranks' one pass of a large allreduce moves no less, and adds all of it.
            let moved = passes * others * share(ranks)
            return 2 * signals(link, others) + moved * 2 * link.perByte + others * share(ranks) * adding
        case .tree: return link.latency + rounds * (link.latency + bytes * link.perByte)
        case .pairwise: return link.latency + others * (link.latency + bytes * link.perByte)
        case .hierarchical:
            let nodes = Double(topology.nodeCount)
            let places = Double(topology.places)
            // The largest one has the most to add, and the last word.
            let local = Double((0..<topology.nodeCount).map(topology.size(ofNode:)).max() ?? 1)
            let block = share(places * nodes)
            let ring = passes * (nodes - 1) * (far.latency + block * (far.perByte + adding))
            return 2 * signals(near, local - 1) + far.latency + ring + block * nodes * onNode(local, collective, adding)
        case .halvingDoubling:
            let stations = Double(topology.stations)
            let sent = share(topology.isNested ? Double(topology.places) : 1) * (1 - 1 / stations)
            let swaps = far.latency + passes * (stations.logarithm * far.latency + sent * far.perByte) + sent * adding
            guard topology.isNested else { return swaps }
            let local = Double((0..<topology.nodeCount).map(topology.size(ofNode:)).max() ?? 1)
            return 2 * signals(near, local - 1) + swaps + sent * onNode(local, collective, adding)
        }
    }

    /// Microseconds for a byte that the ranks of a node add up, and all of them get.
    private func onNode(_ ranks: Double, _ collective: Collective, _ adding: Double) -> Double {
        ranks * ((collective == .reduceStripes ? 0 : mappedPerByte) + adding)
    }

    /// A message to each of so many ranks, posted one after the other.
    private func signals(_ link: Link, _ peers: Double) -> Double { link.latency * (1 + 0.25 * max(0, peers - 1)) }
}

extension Double {
    /// ceil(log2), of a number from 2 on.
    fileprivate var logarithm: Double { Double(Int.bitWidth - (Int(self) - 1).leadingZeroBitCount) }
}
