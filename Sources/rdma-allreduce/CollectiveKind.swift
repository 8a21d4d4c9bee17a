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

    /// Some of the blocks of a buffer, in units of the operation's count.
    struct Extent: Equatable {
        var first: Int
        var blocks: Int
    }

    var reduces: Bool { self == .allReduce || self == .reduceScatter || self == .reduce }
    var hasRoot: Bool { self == .broadcast || self == .reduce || self == .gather || self == .scatter }

    /// Whether a buffer holds a block for each rank: `count` is then the elements of one block, as in nccl-tests.
    var isBlocked: Bool {
        switch self {
        case .reduceScatter, .allGather, .allToAll, .gather, .scatter: true
        case .allReduce, .broadcast, .reduce, .sendReceive, .barrier: false
        }
    }

    /// All-to-all and sending cannot overwrite what they still have to send. In place they take a copy first, which is part of the time.
    var copiesInPlace: Bool { self == .allToAll || self == .sendReceive }

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

    /// Where a rank's input lies: in its own buffer, or, in place, in the buffer of the result.
    func input(rank: Int, ranks: Int, root: Int, inPlace: Bool) -> Extent {
        switch self {
        case .allReduce, .reduce, .sendReceive: Extent(first: 0, blocks: 1)
        case .broadcast: Extent(first: 0, blocks: rank == root ? 1 : 0)
        case .reduceScatter, .allToAll: Extent(first: 0, blocks: ranks)
        case .scatter: Extent(first: 0, blocks: rank == root ? ranks : 0)
        case .allGather, .gather: Extent(first: inPlace ? rank : 0, blocks: 1)
        case .barrier: Extent(first: 0, blocks: 0)
        }
    }

    /// Where a rank's result lies; ranks that get none have no blocks.
    func output(rank: Int, ranks: Int, root: Int, inPlace: Bool) -> Extent {
        switch self {
        case .allReduce, .broadcast, .sendReceive: Extent(first: 0, blocks: 1)
        case .reduce: Extent(first: 0, blocks: rank == root ? 1 : 0)
        case .reduceScatter, .scatter: Extent(first: inPlace ? rank : 0, blocks: 1)
        case .allGather, .allToAll: Extent(first: 0, blocks: ranks)
        case .gather: Extent(first: 0, blocks: rank == root ? ranks : 0)
        case .barrier: Extent(first: 0, blocks: 0)
        }
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
