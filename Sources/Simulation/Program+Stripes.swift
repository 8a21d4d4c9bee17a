internal import Collectives
internal import Reduction
internal import SimulatedFabric

// Striped allreduces, whole and in halves. Drawn last, from draws of their own, so that a seed keeps the rest of its world.
extension Program {
    private static let stripeDraws: UInt64 = 0x7374_7269_7065
    private static let wireDraws: UInt64 = 0x7769_7265
    private static let roomDraws: UInt64 = 0x726f_6f6d
    /// What is added to the number of a reduceStripes for that of the gatherStripes that hands its result on, and for their place, which nobody else uses.
    private static let secondHalves = 50
    /// So many stripes at most: shorter ones cost messages only.
    private static let maxStripes = 300

    mutating func drawStripes(limits: Limits) {
        var drawn: [Planned] = []
        var gathers: [(after: Int, operation: Planned)] = []
        for var operation in operations {
            var draw = SeededRandom(seed: seed ^ Self.stripeDraws ^ UInt64(operation.number) << 32)
            if operation.kind == .collective(.allReduce), draw.chance(perMille: 500) {
                stripe(&operation, &draw)
                if let gather = gather(&operation, &draw), limits.operations?.contains(gather.number) ?? true {
                    gathers.append((drawn.count + draw.below(4), gather))
                }
            }
            drawn.append(operation)
            for gather in gathers where gather.after < drawn.count { drawn.append(gather.operation) }
            gathers.removeAll { $0.after < drawn.count }
        }
        operations = drawn + gathers.map(\.operation)
    }

    private func stripe(_ operation: inout Planned, _ random: inout SeededRandom) {
        let longest = settings.stripeBytes / operation.type.byteCount
        operation.stripe = max(random.within(1...longest), min(longest, operation.count / Self.maxStripes))
        operation.isInPlace = true
        operation.isPrivate = false
        drawWire(&operation, longest)
        operation.kind = .collective(random.pick([.allReduce, .allReduce, .reduceStripes, .reduceStripes, .reduceStripes, .gatherStripes]))
        drawAlgorithm(&operation, &random)
    }

    /// Wire formats want stripes of whole blocks, and these want longer receive slots: in some programs, by a draw of their own.
    mutating func makeRoomForBlocks(limits: Limits) {
        var draw = SeededRandom(seed: seed ^ Self.roomDraws)
        guard limits.hasStripes, draw.chance(perMille: 250) else { return }
        settings.chunkBytes = draw.within(1...2) * WireFormat.blockElements * ElementType.float32.byteCount
    }

    /// The elements of a stripe of gradients.
    func stripeOfGradients(_ type: ElementType) -> Int { settings.stripeBytes / type.byteCount }

    /// A wire format, of some operations that may have one; by a draw of its own.
    private func drawWire(_ operation: inout Planned, _ longest: Int) {
        let blocks = longest / WireFormat.blockElements
        var draw = SeededRandom(seed: seed ^ Self.wireDraws ^ UInt64(operation.number) << 32)
        guard operation.type == .float32, blocks > 0, draw.chance(perMille: 600) else { return }
        operation.wire = draw.pick([.bfloat16, .float16, .int8])
        operation.stripe = draw.within(1...min(2, blocks)) * WireFormat.blockElements
    }

    private func drawAlgorithm(_ operation: inout Planned, _ random: inout SeededRandom) {
        guard case .collective(let collective) = operation.kind, operation.wire == .plain else {
            operation.algorithm = nil
            return
        }
        let byteCount = operation.count * operation.type.byteCount
        let possible = settings.algorithms(for: collective, byteCount: byteCount, isStriped: true)
        let wish = random.below(1000)
        operation.algorithm = wish < 800 ? possible[wish % possible.count] : nil
    }

    /// The second half of a reduceStripes, of most of them.
    private func gather(_ operation: inout Planned, _ random: inout SeededRandom) -> Planned? {
        let isWanted = random.chance(perMille: 800)
        guard operation.kind == .collective(.reduceStripes), isWanted else { return nil }
        operation.place = operation.number + Self.secondHalves
        var gather = operation
        gather.number += Self.secondHalves
        gather.kind = .collective(.gatherStripes)
        gather.gathers = operation.number
        drawAlgorithm(&gather, &random)
        return gather
    }

    /// The reduceStripes whose result an operation hands on, unless that is left out: then it has an input of its own.
    func firstHalf(of operation: Planned) -> Planned? {
        operation.gathers.flatMap { number in operations.first { $0.number == number } }
    }

    /// The rank that owns element `index` of a striped operation, which begins with element `start` of its buffer: said again, without `Stripes`.
    func owner(of index: Int, _ operation: Planned, from start: Int) -> Int { owner(of: start + index, stripe: operation.stripe) }

    /// The same of an element of the buffer.
    func owner(of element: Int, stripe: Int) -> Int {
        let turn = element / stripe
        let topology = settings.topology
        guard topology.isNested else { return turn % worldSize }
        let places = (0..<topology.nodeCount).map(topology.size(ofNode:)).min() ?? 1
        return topology.rank(turn % places, ofNode: turn / places % topology.nodeCount)
    }

    /// Where striped operations are summed in pairs: the stations, and the ranks of each in order.
    var pairedStations: [[Int]]? {
        let topology = settings.topology
        guard topology.isDeep else { return nil }
        guard topology.isNested else { return (0..<worldSize).map { [$0] } }
        return (0..<topology.nodeCount).map { node in (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) } }
    }

    /// Ranks in the order in which the elements of an owner are summed: the owner, or its node, is the last.
    func order(ofOwner owner: Int) -> [Int] {
        let topology = settings.topology
        guard topology.isNested else { return (1...worldSize).map { (owner + $0) % worldSize } }
        let nodes = topology.nodeCount
        return (1...nodes).flatMap { turn in
            let node = (topology.node(of: owner) + turn) % nodes
            return (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) }
        }
    }
}
