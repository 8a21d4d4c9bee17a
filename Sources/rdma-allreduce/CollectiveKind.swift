import Verbena

/// What can be measured: the collectives, and sending in a ring.
enum CollectiveKind: String, CaseIterable, Sendable {
    case allReduce = "allreduce"
    case reduceScatter = "reduce_scatter"
    case allGather = "allgather"
    case broadcast
    case reduce
    case allToAll = "alltoall"
    case gather
    case scatter
    /// Every rank sends to its right neighbour and receives from its left one.
    case sendReceive = "sendrecv"
    case barrier

    var reduces: Bool { self == .allReduce || self == .reduceScatter || self == .reduce }
    var hasRoot: Bool { self == .broadcast || self == .reduce || self == .gather || self == .scatter }

    /// Whether a buffer holds a block for each rank: `count` is then the elements of one block, as in nccl-tests.
    var isBlocked: Bool {
        switch self {
        case .reduceScatter, .allGather, .allToAll, .gather, .scatter: true
        case .allReduce, .broadcast, .reduce, .sendReceive, .barrier: false
        }
    }

    /// Sending cannot overwrite what it still has to send. In place it takes a copy first, which is part of the time.
    var copiesInPlace: Bool { self == .sendReceive }

    /// How many elements the larger buffer of a rank has for each element of the count.
    func blocks(ranks: Int) -> Int { isBlocked ? ranks : 1 }

    /// What the size over the time has to be multiplied with to tell what the links carried: the factors of nccl-tests.
    func busFactor(ranks: Int) -> Double {
        let others = Double(ranks - 1) / Double(max(1, ranks))
        switch self {
        case .allReduce: return 2 * others
        case .reduceScatter, .allGather, .allToAll, .gather, .scatter: return others
        case .broadcast, .reduce, .sendReceive: return 1
        case .barrier: return 0
        }
    }

    /// Where each rank's input and result lie, in units of the operation's count.
    func extents(ranks: Int, root: Int, inPlace: Bool) -> Extents {
        Extents(collective(root: root) ?? .allReduce, worldSize: ranks, count: 1, isInPlace: inPlace)
    }

    /// The engine's name for it; nil for what is no single operation of the engine.
    func collective(root: Int) -> Collective? {
        switch self {
        case .allReduce: .allReduce
        case .reduceScatter: .reduceScatter
        case .allGather: .allGather
        case .broadcast: .broadcast(root: root)
        case .reduce: .reduce(root: root)
        case .allToAll: .allToAll
        case .gather: .gather(root: root)
        case .scatter: .scatter(root: root)
        case .barrier: .barrier
        case .sendReceive: nil
        }
    }
}
