public import Reduction

/// Everything that a schedule is computed from: the operation, who takes part, and the sizes that memory and queues allow. The same on every
/// rank but for `rank`.
public struct Shape: Equatable, Sendable {
    public var rank: Int
    public var topology: Topology
    public var extents: Extents
    public var stripes: Stripes
    /// How elements travel.
    public var wire = WireFormat.plain
    /// What a gated slot takes, in elements; at least 1.
    public var chunkElements: Int
    /// A smaller chunk is not worth a message of its own.
    public var minChunkElements: Int
    /// Chunks of a segment that travel together, at most.
    public var maxChunks: Int
    /// Gated slots of one lane.
    public var gatedSlots: Int
    /// Channels to each peer.
    public var channels: Int
    /// The most elements of one write.
    public var messageElements: Int
    /// Messages of a rank that another may have unread, where their number grows with the buffer; at least 2.
    public var maxUnread = ExecutorSettings.maxUnread

    public var worldSize: Int { extents.worldSize }
    public var collective: Collective { extents.collective }
    public var count: Int { extents.count }
    public var isInPlace: Bool { extents.isInPlace }

    public var isStriped: Bool { stripes.elements > 0 }
    /// Whether every hop of a ring reduces.
    var onlyReduces: Bool { collective == .reduceScatter || collective == .reduceStripes }

    /// Whether what a rank receives takes the place of what it sends.
    var swaps: Bool { isInPlace && collective == .allToAll }

    /// Writes of `count` elements: one, unless it is longer than a message may be.
    func messages(of count: Int) -> Int { max(1, (count + messageElements - 1) / messageElements) }

    /// See `Extents.block`.
    func block(_ rank: Int) -> Range<Int> { extents.block(rank) }

    /// Between the ranks of a node: a signal to every other, then theirs. All have begun then, or are done with each other's memory.
    func nodeStep(_ index: Int) -> Step {
        let node = topology.node(of: rank)
        let (local, size) = (topology.local(of: rank), topology.size(ofNode: node))
        let (others, turn) = (size - 1, index % max(1, size - 1))
        let peer = topology.rank((local + 1 + turn) % size, ofNode: node)
        return index < others ? Step(send: .signal(peer)) : Step(receive: peer)
    }

    /// Copies the rank's own part from input to output, where it is not there already.
    func copyOwn(from: Int, to: Int) -> Action? {
        let count = block(rank).count
        return isInPlace || count == 0 ? nil : .copy(from: .input(from), to: .output(to), count: count)
    }
}
