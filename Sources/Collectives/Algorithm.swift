public import Reduction

/// How a collective is carried out. Each is described in the file of its schedule.
public enum Algorithm: String, Sendable, CaseIterable {
    /// One pass over mapped buffers, on one machine.
    case direct
    /// Everyone writes to everyone, small messages.
    case oneShot = "oneshot"
    /// Small messages at many ranks.
    case logarithmic = "log"
    /// Middling messages between many ranks: sums swapped in pairs.
    case doubling
    /// Pipelined around all ranks; a chain where there is a root.
    case ring
    /// Binomial, where there is a root.
    case tree
    /// Block by block.
    case pairwise
    /// Inside the machines through their memory, between them one ring for each place.
    case hierarchical

    /// Whether peers write into eager slots, unasked.
    package var isEager: Bool { self == .oneShot || self == .logarithmic || self == .doubling }

    var code: UInt8 { UInt8(Self.allCases.firstIndex(of: self)!) }

    /// Whether the algorithm can carry out the collective.
    /// - Parameter byteCount: of one rank's part: `count` elements.
    func supports(_ collective: Collective, byteCount: Int, in settings: ExecutorSettings) -> Bool {
        let fitsSlot = byteCount <= settings.eagerBytes
        switch (self, collective) {
        case (_, .send), (_, .receive): return self == .pairwise
        case (_, _) where settings.worldSize == 1: return true
        case (.direct, .barrier): return false
        case (.direct, _): return settings.topology.isOneMachine
        case (.oneShot, .barrier), (.logarithmic, .barrier): return true
        case (.oneShot, .allreduce), (.oneShot, .reduceScatter), (.oneShot, .allgather), (.oneShot, .allToAll): return fitsSlot
        case (.logarithmic, .allreduce), (.logarithmic, .allgather): return fitsSlot
        case (.doubling, .allreduce):
            let (ranks, slots) = (settings.worldSize, Doubling.slots(worldSize: settings.worldSize))
            return ranks >= Doubling.leastRanks && byteCount <= ranks * settings.eagerBytes / slots
        case (.ring, .allreduce), (.ring, .reduceScatter), (.ring, .allgather), (.ring, .broadcast), (.ring, .reduce): return true
        case (.hierarchical, .allreduce): return settings.topology.isNested
        case (.tree, .broadcast): return byteCount <= settings.messageBytes
        case (.tree, .reduce): return byteCount <= settings.pieceBytes
        case (.pairwise, .allToAll), (.pairwise, .gather), (.pairwise, .scatter): return true
        default: return false
        }
    }

    /// What may be chosen without being asked for. Algorithms that sum in another order, or round more often, are never rivals: then a fixed
    /// size decides, and the bits of a result do not depend on what was measured.
    static func candidates(for collective: Collective, byteCount: Int, type: ElementType, in settings: ExecutorSettings) -> [Algorithm] {
        let possible = allCases.filter { $0.supports(collective, byteCount: byteCount, in: settings) }
        if settings.worldSize == 1 { return [possible[0]] }
        if settings.topology.isOneMachine {
            return possible.filter { ![.doubling, .ring, .tree, .pairwise].contains($0) || collective.peer != nil }
        }
        switch collective {
        case .reduce: return [byteCount <= fixedSmallBytes && possible.contains(.tree) ? .tree : .ring]
        case .allreduce, .reduceScatter:
            let large: Algorithm = settings.topology.isNested && collective == .allreduce ? .hierarchical : .ring
            let small = possible.filter { $0 == .oneShot || $0 == .logarithmic }
            let (ranks, hops) = (settings.worldSize, Doubling.hops(worldSize: settings.worldSize))
            if collective == .allreduce, !settings.topology.isNested, hops < ranks - 1 {
                // Guests cost two hops more, in which more can be gathered.
                let gathered = ranks.nonzeroBitCount == 1 ? fixedGatheredBytes : 4 * fixedGatheredBytes
                if !small.isEmpty, byteCount <= gathered / (ranks - 1) { return small }
                return byteCount <= fixedDoublingBytes && possible.contains(.doubling) ? [.doubling] : [large]
            }
            guard type.byteCount == 2 else { return small + [large] }
            return byteCount <= fixedSmallBytes && !small.isEmpty ? small : [large]
        default: return possible
        }
    }

    /// Where size alone decides.
    static let fixedSmallBytes = 8 << 10
    /// Where everyone's part is gathered as long as a rank gets no more than this; then sums are swapped. A wire of 100 Gb/s would gather
    /// more (by `Costs.typical` up to 32 KiB between 4 ranks, 19 KiB between 8), soft-RoCE less: there each message costs a core.
    static let fixedGatheredBytes = 8 << 10
    /// Up to here the messages that `doubling` saves weigh more than the bytes that it sends twice.
    static let fixedDoublingBytes = 64 << 10
}

/// What a machine and its wire cost, measured at the start or loaded; the same table on every rank.
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
    /// Between machines.
    public var far: Link
    /// Microseconds to reduce a byte from each of two sources.
    public var reducePerByte: Double

    public init(near: Link, far: Link, reducePerByte: Double) {
        self.near = near
        self.far = far
        self.reducePerByte = reducePerByte
    }

    /// Whether every figure is one that could have been measured.
    public var isPlausible: Bool {
        [near.latency, near.perByte, far.latency, far.perByte, reducePerByte].allSatisfy { $0.isFinite && $0 > 0 }
    }

    /// Round figures of a present-day machine and a 100 Gb/s network.
    public static let typical = Costs(
        near: Link(latency: 0.2, perByte: 1 / 15_000), far: Link(latency: 3, perByte: 1 / 11_000), reducePerByte: 1 / 20_000)

    /// Microseconds that the algorithm should take: latency times messages in a row, bytes over the wire, bytes to reduce.
    ///
    /// Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19 (2005).
    /// - Parameter byteCount: of one rank's part.
    public func microseconds(_ algorithm: Algorithm, _ collective: Collective, byteCount: Int, in topology: Topology) -> Double {
        let ranks = Double(topology.worldSize)
        let bytes = Double(byteCount)
        guard ranks > 1 else { return bytes * near.perByte }
        let link = topology.isOneMachine ? near : far
        let others = ranks - 1
        let rounds = ranks.logarithm
        let everyone = collective == .allreduce || collective == .reduce(root: collective.root) ? 1 : ranks
        switch algorithm {
        case .direct:
            // Each rank reads and writes its share of all buffers; two signals.
            return 2 * signals(link, others) + bytes * everyone * (near.perByte + reducePerByte)
        case .oneShot:
            return signals(link, others) + others * bytes * (link.perByte + reducePerByte)
        case .logarithmic:
            return rounds * signals(link, 1) + others * bytes * (link.perByte + reducePerByte)
        case .doubling:
            return Double(Doubling.hops(worldSize: topology.worldSize)) * (link.latency + bytes * (link.perByte + reducePerByte))
        case .ring:
            if collective.root >= 0 { return others * (link.latency + bytes / 32 * link.perByte) + bytes * link.perByte }
            let hops = collective == .allreduce ? 2 * others : others
            let block = bytes * everyone / ranks
            let reduced = collective == .allgather ? 0 : others * block * reducePerByte
            return link.latency + hops * (link.latency + block * link.perByte) + reduced
        case .tree: return link.latency + rounds * (link.latency + bytes * link.perByte)
        case .pairwise: return link.latency + others * (link.latency + bytes * link.perByte)
        case .hierarchical:
            let machines = Double(topology.machineCount)
            let places = Double(topology.places)
            // The largest one has the most to add, and the last word.
            let local = Double((0..<topology.machineCount).map(topology.size(ofMachine:)).max() ?? 1)
            let slice = bytes / places
            let ring = 2 * (machines - 1) * (far.latency + slice / machines * (far.perByte + reducePerByte))
            return 2 * signals(near, local - 1) + far.latency + ring + slice * local * (near.perByte + reducePerByte)
        }
    }

    /// A message to each of so many ranks, posted one after the other.
    private func signals(_ link: Link, _ peers: Double) -> Double { link.latency * (1 + 0.25 * max(0, peers - 1)) }
}

extension Double {
    /// ceil(log2), of a number from 2 on.
    fileprivate var logarithm: Double { Double(Int.bitWidth - (Int(self) - 1).leadingZeroBitCount) }
}

/// What was chosen for an operation, and why.
public struct Choice: Sendable, Equatable {
    public var algorithm: Algorithm
    /// What each algorithm that came into question should take, in microseconds; the chosen one first.
    public var predictions: [(algorithm: Algorithm, microseconds: Double)]

    public static func == (left: Choice, right: Choice) -> Bool {
        left.algorithm == right.algorithm && left.predictions.elementsEqual(right.predictions) { $0 == $1 }
    }
}

extension ExecutorSettings {
    /// Those that can carry out a collective of this size.
    public func algorithms(for collective: Collective, byteCount: Int) -> [Algorithm] {
        Algorithm.allCases.filter { $0.supports(collective, byteCount: byteCount, in: self) }
    }

    /// The one place where an algorithm is chosen: a pure function of what all ranks agree on.
    /// - Parameter byteCount: of one rank's part: `count` elements.
    public func choice(for collective: Collective, byteCount: Int, type: ElementType) -> Choice {
        let predictions = Algorithm.candidates(for: collective, byteCount: byteCount, type: type, in: self)
            .map { (algorithm: $0, microseconds: costs.microseconds($0, collective, byteCount: byteCount, in: topology)) }
            .sorted { $0.microseconds < $1.microseconds }
        return Choice(algorithm: predictions[0].algorithm, predictions: predictions)
    }
}
