/// What the ranks do together. N is the number of ranks, `count` the operation's.
///
/// | | input of each rank | output of each rank |
/// |---|---|---|
/// | allReduce | count | count: the reduction over all ranks |
/// | reduceScatter | N x count | count: block `rank` of the reduction |
/// | allGather | count | N x count: every rank's input, in the order of ranks |
/// | broadcast | count, the root's is read | count: the root's input |
/// | reduce | count | count, the root's is written: the reduction |
/// | allToAll | N x count | N x count: block `rank` of every rank's input |
/// | gather | count | N x count, the root's is written |
/// | scatter | N x count, the root's is read | count: block `rank` of the root's input |
/// | reduceStripes | count | count, in place: the rank's own stripes are the reduction, the rest is left in any state |
/// | gatherStripes | count, in place: the rank's own stripes are read | count: every rank's own stripes |
/// | barrier | nothing | nothing; ends after every rank has begun it |
///
/// A reduceStripes and a gatherStripes after it are the two halves of a striped allReduce, and give its bits; see `Stripes`.
/// `send` and `receive` concern two ranks only; they are matched by their own order between these two.
public enum Collective: Sendable, Equatable {
    case allReduce, reduceScatter, allGather, allToAll, barrier
    case broadcast(root: Int)
    case reduce(root: Int)
    case gather(root: Int)
    case scatter(root: Int)
    case reduceStripes, gatherStripes
    case send(to: Int)
    case receive(from: Int)
}

extension Collective: CustomStringConvertible {
    public var description: String {
        switch self {
        case .allReduce: "allreduce"
        case .reduceScatter: "reduce-scatter"
        case .allGather: "allgather"
        case .allToAll: "all-to-all"
        case .barrier: "barrier"
        case .broadcast: "broadcast"
        case .reduce: "reduce"
        case .gather: "gather"
        case .scatter: "scatter"
        case .reduceStripes: "reduce-stripes"
        case .gatherStripes: "gather-stripes"
        case .send: "send"
        case .receive: "receive"
        }
    }

    /// The rank that the others send to or hear from, -1 without one.
    public var root: Int {
        switch self {
        case .broadcast(let root), .reduce(let root), .gather(let root), .scatter(let root): root
        default: -1
        }
    }

    /// The other rank of a transfer between two, nil for what all ranks do.
    public var peer: Int? {
        switch self {
        case .send(let peer), .receive(let peer): peer
        default: nil
        }
    }

    var reduces: Bool {
        switch self {
        case .allReduce, .reduceScatter, .reduce, .reduceStripes: true
        default: false
        }
    }

    /// Whether operations may have stripes.
    var canBeStriped: Bool { self == .allReduce || isHalf }

    /// Half of a striped allReduce, which has no meaning without stripes.
    var isHalf: Bool { self == .reduceStripes || self == .gatherStripes }

    /// What travels in signatures.
    var code: Int {
        let kind =
            switch self {
            case .allReduce: 0
            case .reduceScatter: 1
            case .allGather: 2
            case .allToAll: 3
            case .barrier: 4
            case .broadcast: 5
            case .reduce: 6
            case .gather: 7
            case .scatter: 8
            case .send: 9
            case .receive: 10
            case .reduceStripes: 11
            case .gatherStripes: 12
            }
        return kind << 24 | root + 1
    }
}
