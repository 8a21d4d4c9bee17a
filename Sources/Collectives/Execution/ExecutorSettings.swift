/// The bounds of an executor, all computed from what the ranks agree on, so that they are the same on every rank.
public struct ExecutorSettings: Sendable, Equatable {
    /// Bulk collectives that run at once; the others wait their turn.
    public static let lanes = 4
    /// Urgent ones, beside those. On a link of 10 Gbit/s and 5 us, between two ranks, rings of 4 KiB that follow each other take 23, 12 and 6 us with one, two
    /// and four lanes, of 64 KiB 73, 59 and 55, of 256 KiB 225, 211 and 211 (simulated): two hide what matters, and each lane takes receive buffers.
    public static let urgentLanes = 2
    /// All lanes of collectives; they share the receive buffers equally.
    static let collectiveLanes = lanes + urgentLanes
    /// For how long the bulk on its way keeps a link busy, about, where it gives way to urgent messages; see `BulkWindow`.
    static let bulkMicroseconds = 1000.0
    /// The largest chunk: long enough that a message's fixed cost vanishes, short enough to stay in a core's cache.
    public static let largestChunkBytes = 256 << 10
    /// A smaller chunk is not worth a message of its own.
    public static let smallestChunkBytes = 32 << 10
    /// Chunks of a segment that travel together, where receive buffers and queues allow it.
    public static let maxChunks = 16
    /// The same on one node, where a ring is seldom worth it.
    public static let maxChunksOnOneMachine = 4
    /// The largest part that is sent unasked.
    public static let largestEagerBytes = 64 << 10
    /// No message is longer: enough that its fixed cost vanishes, and as much as a device's chunks of a large region overlap.
    public static let largestMessageBytes = 256 << 20
    /// Messages of a rank that another may have unread on a lane, but in a ring: longer buffers go in windows.
    public static let maxUnread = 32
    /// Receive buffers of a rank, at most, unless the user says otherwise.
    public static let receiveBufferByteLimit = 64 << 20
    /// Those of all ranks of one node together. Every rank maps them all, so without it joining takes a time that grows with the square of the ranks:
    /// 33 s for 64 of them; and little use is made of them there (`Algorithm.candidates`).
    static let receiveBufferByteLimitOfNode = 256 << 20

    public var topology: Topology
    public var costs: Costs
    /// Life of the group; only its low 2 bits travel.
    public var epoch: UInt32
    /// Channels to each peer. Lane i begins with channel i mod channels; the chunks of a ring take all of them in turn.
    public var channelsPerPeer: Int
    /// P of `Ring`.
    public var chunks: Int
    /// Size of a gated slot, a multiple of 64.
    public var chunkBytes: Int
    /// Size of an eager slot, a multiple of 64.
    public var eagerBytes: Int
    /// No stripe of an operation is longer: one is a chunk. Shorter ones share small operations more evenly, and cost more: on shared memory an
    /// allreduce of 16 MiB between 2 ranks takes 1.3 times as long with stripes of 64 KiB as without, and 2.3 times with 16 KiB. With many owners
    /// a bucket of 1 MiB has four stripes for each of 16.
    public var stripeBytes: Int {
        let longest =
            switch topology.owners {
            case ...4: 64 << 10
            case ...8: 32 << 10
            default: 16 << 10
            }
        return min(longest, chunkBytes)
    }
    /// No message is longer; the same on all ranks, and no more than any rank's fabric takes (`Fabric.writeByteLimit`).
    public var messageBytes = Self.largestMessageBytes
    /// The node's largest cache. An operation whose buffers, over all ranks of the node, exceed it stores past the caches: the lines would be
    /// gone before anybody reads them. May differ between ranks.
    public var cacheBytes = 32 << 20
    /// An operation that does not move for so long has failed.
    public var stallMilliseconds: UInt64
    /// What a simulation wants; nil for everybody else.
    public var simulation: SimulationHook?
    /// Receive buffers of a rank, at most: what was asked for, or less on one node; a world too large for it takes the least that works.
    public let receiveBufferByteLimit: Int

    public init(
        topology: Topology, costs: Costs = .typical, epoch: UInt32 = 1, channelsPerPeer: Int = 1, stallMilliseconds: UInt64 = 300_000,
        receiveBufferByteLimit: Int = Self.receiveBufferByteLimit
    ) {
        self.topology = topology
        self.costs = costs
        self.epoch = epoch
        self.channelsPerPeer = channelsPerPeer
        self.stallMilliseconds = stallMilliseconds
        let ranks = topology.worldSize
        let limit = topology.isOneNode ? min(receiveBufferByteLimit, Self.receiveBufferByteLimitOfNode / ranks) : receiveBufferByteLimit
        self.receiveBufferByteLimit = limit
        // An eighth of the memory for eager slots, two sets of one for each rank; the rest for gated ones.
        let lane = limit / Self.collectiveLanes
        eagerBytes = max(64, min(Self.largestEagerBytes, lane / 8 / (2 * ranks) / 64 * 64))
        // First fewer chunks, then smaller ones, until (N-1) P of them and the lane's share of the boxes fit.
        let boxes = (2 * ranks * ReceiveBuffers.boxBytes + Self.collectiveLanes - 1) / Self.collectiveLanes
        let perHop = max(0, lane - lane / 8 - boxes) / max(1, ranks - 1)
        let most = topology.isOneNode ? Self.maxChunksOnOneMachine : Self.maxChunks
        chunks = max(2, min(most, perHop / Self.largestChunkBytes))
        chunkBytes = max(4096, min(Self.largestChunkBytes, perHop / chunks / 64 * 64))
    }

    public var worldSize: Int { topology.worldSize }

    /// The longest message that is never cut: a chunk, or the slots that `Bruck` passes on together.
    var minMessageBytes: Int { max(chunkBytes, max(1, worldSize / 2) * eagerBytes) }

    /// Of a window of bulk on one channel; see `BulkWindow`. Two of them are under way while the first message of one goes there and its acknowledgement back.
    var bulkWindowBytes: Int {
        let link = topology.isOneNode ? costs.near : costs.far
        let bytes = (Self.bulkMicroseconds / 2 + 2 * link.latency) / link.perByte
        return Int(min(bytes, Double(Int.max >> 8))) / channelsPerPeer
    }

    var receiveBuffers: ReceiveBuffers { ReceiveBuffers(self) }
    /// Memory that peers write into, beyond the user's buffers.
    public var receiveBufferByteCount: Int { receiveBuffers.byteCount }

    /// Arrivals that one channel may hold unread, a power of two: what all lanes together may have on their way.
    ///
    /// In a ring that is N x P a lane (`Ring`), in swaps in pairs `HalvingDoubling.maxUnread`, in the others a window of 32 for a rank's part, or two; while
    /// a lane's operation is unfinished here, the same peer may have begun one more there: its first message, or what is eager, which is at most two for each
    /// round. On one node, where every rank has a channel to every other, a ring has to fit the same (`hasRoomForRing`).
    public var arrivalDepth: Int {
        let perLane = (topology.isOneNode ? Self.maxUnread : max(ringDepth, HalvingDoubling.maxUnread)) + 8
        var depth = 64
        while depth < Self.collectiveLanes * perLane { depth *= 2 }
        return depth
    }

    private var ringDepth: Int { (worldSize + 1) * chunks }
    /// Whether the arrivals of a flat ring fit a channel.
    var hasRoomForRing: Bool { !topology.isOneNode || ringDepth <= Self.maxUnread }
}
