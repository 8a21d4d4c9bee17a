/// Everything that a schedule is computed from: the operation, who takes part, and the sizes that memory and queues allow. The same on every
/// rank but for `rank`.
public struct Shape: Equatable, Sendable {
    public var rank: Int
    public var topology: Topology
    public var collective: Collective
    public var count: Int
    public var isInPlace: Bool
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

    public var worldSize: Int { topology.worldSize }

    /// Writes of `count` elements: one, unless it is longer than a message may be.
    var messages: Int { max(1, (count + messageElements - 1) / messageElements) }

    /// Copies the own part of a collective from input to output, where it is not there already.
    func copyOwn(from: Int, to: Int) -> Action? {
        isInPlace || count == 0 ? nil : .copy(from: .input(from), to: .output(to), count: count)
    }
}
