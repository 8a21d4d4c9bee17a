/// Which ranks see each other's memory. A node is a set of ranks that do; a rank that sees nobody's is a node of its own.
///
/// Immutable, and shared by all that hold it: for thousands of ranks it is large.
public final class Topology: Sendable, Equatable {
    public let worldSize: Int
    /// All ranks, node by node, ascending inside each; nodes in the order of their first ranks.
    private let ranks: [Int]
    /// Where each node begins in `ranks`, and the end.
    private let starts: [Int]
    private let nodes: [Int]
    /// Places that every node has: the ranks of the smallest one.
    public let places: Int
    /// Several nodes of several ranks each: what is reduced inside a node first. Where some have more than twice as many ranks as others,
    /// those of the common places would do too much of the work alone.
    public let isNested: Bool

    /// - Parameter nodeOfRank: any names; equal ones are one node.
    public init<Name: Hashable>(nodeOfRank: [Name]) {
        worldSize = nodeOfRank.count
        var numbers: [Name: Int] = [:]
        var members: [[Int]] = []
        nodes = nodeOfRank.enumerated().map { rank, name in
            if let known = numbers[name] {
                members[known].append(rank)
                return known
            }
            numbers[name] = members.count
            members.append([rank])
            return members.count - 1
        }
        ranks = members.flatMap { $0 }
        starts = members.reduce(into: [0]) { $0.append($0.last! + $1.count) }
        let sizes = members.map(\.count)
        places = sizes.min() ?? 1
        isNested = members.count > 1 && places > 1 && (sizes.max() ?? 1) <= 2 * places
    }

    /// All ranks on one node.
    public static func oneNode(worldSize: Int) -> Topology { Topology(nodeOfRank: Array(repeating: 0, count: worldSize)) }

    /// Nobody sees anybody's memory.
    public static func apart(worldSize: Int) -> Topology { Topology(nodeOfRank: Array(0..<worldSize)) }

    public var nodeCount: Int { starts.count - 1 }
    public var isOneNode: Bool { nodeCount == 1 }

    /// Who takes part in what goes from node to node: nodes in a nested world, else ranks.
    var stations: Int { isNested ? nodeCount : worldSize }

    /// Stations that are a power of two can swap in pairs (`HalvingDoubling`).
    package var isPaired: Bool { !isOneNode && stations > 1 && stations.nonzeroBitCount == 1 }
    /// So many of them that the messages in a row of a ring would weigh more: striped operations, and large ones, are summed in pairs.
    package var isDeep: Bool { isPaired && stations >= Self.deepStations }
    private static let deepStations = 8

    public func node(of rank: Int) -> Int { nodes[rank] }
    public func size(ofNode node: Int) -> Int { starts[node + 1] - starts[node] }
    public func rank(_ local: Int, ofNode node: Int) -> Int { ranks[starts[node] + local] }
    /// The rank's place among those of its node.
    public func local(of rank: Int) -> Int {
        let node = nodes[rank]
        return ranks[starts[node]..<starts[node + 1]].firstIndex(of: rank)! - starts[node]
    }

    public static func == (left: Topology, right: Topology) -> Bool {
        left === right || (left.ranks == right.ranks && left.starts == right.starts)
    }
}

/// Part `index` of `range` cut into `parts`; the first ones have one element more where it does not come out even.
func part(_ index: Int, of parts: Int, in range: Range<Int>) -> Range<Int> {
    let (size, rest) = range.count.quotientAndRemainder(dividingBy: parts)
    let start = range.lowerBound + index * size + min(index, rest)
    return start..<start + size + (index < rest ? 1 : 0)
}
