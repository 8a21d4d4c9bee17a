import Reduction

@testable import Collectives

/// What elements are instead of numbers: a sum of two is the same whichever is first, and nothing else about it is known. That is what
/// floating-point sums promise, so equal symbols are equal bits.
enum Symbol {
    /// Element `index` of a rank's input.
    static func input(_ rank: Int, _ index: Int) -> UInt64 { scramble(UInt64(rank) << 32 | UInt64(index)) }
    /// What lies in memory that nobody has written: different everywhere.
    static func nothing(_ memory: Int, _ index: Int) -> UInt64 { scramble(1 << 63 | UInt64(memory) << 32 | UInt64(index)) }
    static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 { scramble(left &+ right) }
    /// As a wire format makes it.
    static func encoded(_ value: UInt64) -> UInt64 { scramble(value ^ 0x5555) }
    /// Every rank's part is in.
    static func finished(_ sum: UInt64) -> UInt64 { scramble(~sum) }

    private static func scramble(_ value: UInt64) -> UInt64 {
        var bits = (value &+ 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ bits >> 32) &* 0x94d0_49bb_1331_11eb
        return bits ^ bits >> 29
    }
}

/// What each collective should leave where, and in which order sums are taken: said again, element by element, without schedules.
struct Oracle {
    let operation: Operation
    let topology: Topology
    let algorithm: Algorithm
    /// By rank, where each has counts of its own.
    var ownExtents: [Extents]?

    func extents(of rank: Int) -> Extents { ownExtents?[rank] ?? operation.extents(worldSize: ranks) }

    private var ranks: Int { topology.worldSize }
    private var count: Int { operation.count }

    /// The ranks in the order in which element `index` of the whole reduced buffer is summed, from left to right; not for a tree.
    func order(_ index: Int) -> [Int] {
        switch operation.collective {
        case .reduceScatter:
            let extents = extents(of: 0)
            return around(from: (0..<ranks).first { extents.block($0).contains(index) }! + 1)
        case .reduce(let root): return around(from: root + 1)
        default: break
        }
        let followsMachines = algorithm == .hierarchical || (topology.isNested && (algorithm == .oneShot || algorithm == .bruck))
        let isStriped = operation.stripe > 0
        guard followsMachines else {
            return around(from: isStriped ? owner(of: index) + 1 : place(of: index, in: 0..<count, parts: ranks))
        }
        let nodes = topology.nodeCount
        let first =
            isStriped ? topology.node(of: owner(of: index)) + 1 : place(of: index, in: slice(of: index), parts: nodes)
        return (0..<nodes).flatMap { turn in
            let node = (first + turn) % nodes
            return (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) }
        }
    }

    /// The rank that owns element `index` of a striped operation: it is the last whose part is added, or its node is.
    func owner(of index: Int) -> Int {
        let turn = (operation.input.byteOffset / operation.type.byteCount + index) / operation.stripe
        guard topology.isNested else { return turn % ranks }
        let places = (0..<topology.nodeCount).map(topology.size(ofNode:)).min()!
        return topology.rank(turn % places, ofNode: turn / places % topology.nodeCount)
    }

    /// The owner's part comes first and is not encoded; what goes to all others is.
    private func inWireFormat(_ index: Int) -> UInt64 {
        let owner = owner(of: index)
        if operation.collective == .gatherStripes { return Symbol.encoded(Symbol.input(owner, index)) }
        let sum = around(from: owner).dropFirst().reduce(Symbol.input(owner, index)) {
            Symbol.sum($0, Symbol.encoded(Symbol.input($1, index)))
        }
        return operation.collective == .allReduce ? Symbol.encoded(Symbol.finished(sum)) : Symbol.finished(sum)
    }

    /// Whether nothing is promised about an element of a rank's output.
    func isScratch(_ index: Int, of rank: Int) -> Bool { operation.collective == .reduceStripes && owner(of: index) != rank }

    private func around(from first: Int) -> [Int] { (0..<ranks).map { (first + $0) % ranks } }

    private func slice(of index: Int) -> Range<Int> {
        let places = (0..<topology.nodeCount).map(topology.size(ofNode:)).min()!
        return part(place(of: index, in: 0..<count, parts: places), of: places, in: 0..<count)
    }

    /// In which part an index lies; the first parts are the longer ones.
    private func place(of index: Int, in range: Range<Int>, parts: Int) -> Int {
        let (size, longer) = range.count.quotientAndRemainder(dividingBy: parts)
        let offset = index - range.lowerBound
        return offset < longer * (size + 1) ? offset / (size + 1) : longer + (offset - longer * (size + 1)) / size
    }

    /// The symbol of element `index` of the whole reduced buffer.
    func reduced(_ index: Int) -> UInt64 {
        if ranks == 1 { return Symbol.input(0, index) }
        if algorithm == .tree { return Symbol.finished(treeSum(0, index)) }
        if sumsInPairs {
            func part(_ station: [Int]) -> UInt64 {
                station.dropFirst().reduce(Symbol.input(station[0], index)) { Symbol.sum($0, Symbol.input($1, index)) }
            }
            return Symbol.finished(pairwiseSum(part) { left, right, _ in Symbol.sum(left, right) })
        }
        let order = order(index)
        return Symbol.finished(order.dropFirst().reduce(Symbol.input(order[0], index)) { Symbol.sum($0, Symbol.input($1, index)) })
    }

    /// Of a binomial tree's rank at `place` from the root: its own, then those of its children, the nearest first.
    private func treeSum(_ place: Int, _ index: Int) -> UInt64 {
        var sum = Symbol.input((place + operation.collective.root) % ranks, index)
        var step = 1
        while place & step == 0, place + step < ranks {
            sum = Symbol.sum(sum, treeSum(place + step, index))
            step *= 2
        }
        return sum
    }

    var sumsInPairs: Bool { algorithm == .recursiveDoubling || algorithm == .halvingDoubling }

    /// As many ranks as there are beyond a power of two are first joined with the next one; then neighbours in pairs, pairs of these, and so on. Of halving and
    /// doubling in a nested world, nodes.
    /// - Parameter sum: of two neighbours, and whether it is the last one.
    func pairwiseSum<Part>(_ part: ([Int]) -> Part, _ sum: (Part, Part, _ isLast: Bool) -> Part) -> Part {
        let stations =
            algorithm == .halvingDoubling && topology.isNested
            ? (0..<topology.nodeCount).map { node in (0..<topology.size(ofNode: node)).map { topology.rank($0, ofNode: node) } }
            : (0..<ranks).map { [$0] }
        var power = 1
        while 2 * power <= stations.count { power *= 2 }
        let spare = stations.count - power
        var sums = (0..<power).map {
            $0 < spare ? sum(part(stations[2 * $0]), part(stations[2 * $0 + 1]), false) : part(stations[$0 + spare])
        }
        while sums.count > 1 { sums = (0..<sums.count / 2).map { sum(sums[2 * $0], sums[2 * $0 + 1], sums.count == 2) } }
        return sums[0]
    }

    /// What a rank's own output holds at the end, from where it begins; nil where nothing is written.
    func output(of rank: Int) -> [UInt64]? {
        if operation.wire != .plain { return (0..<count).map(inWireFormat) }
        switch operation.collective {
        case .allReduce, .reduceStripes: return (0..<count).map(reduced)
        case .reduceScatter: return extents(of: rank).block(rank).map(reduced)
        case .reduce(let root): return root == rank ? (0..<count).map(reduced) : nil
        case .gather(let root) where root != rank: return nil
        case .allGather, .gather:
            return (0..<ranks).flatMap { from in (0..<extents(of: rank).block(from).count).map { Symbol.input(from, $0) } }
        case .allToAll: return (0..<ranks).flatMap { from in extents(of: from).block(rank).map { Symbol.input(from, $0) } }
        case .broadcast(let root): return (0..<count).map { Symbol.input(root, $0) }
        case .scatter(let root): return extents(of: rank).block(rank).map { Symbol.input(root, $0) }
        case .gatherStripes: return (0..<count).map { Symbol.input(owner(of: $0), $0) }
        case .barrier, .send, .receive: return nil
        }
    }
}
