/// What a simulated world is like. All times are virtual nanoseconds, all rates bytes per nanosecond (that is GB/s).
///
/// The default is a small ideal cluster: one switch, no jitter, no faults, payloads carried and every check on.
public struct SimulationOptions: Sendable {
    /// Decides every draw. The same options, faults and calls give the same events, to the byte.
    public var seed: UInt64
    public var worldSize: Int
    public var groups: [Group] = []

    /// Ranks that form a world of their own beside the world, as the members of a communicator made by `split` do. Each member has memory, queues,
    /// connections and a thread of its own, and shares its rank's node, cables and fate.
    public struct Group: Sendable {
        /// What reports call it.
        public var number: Int
        /// Ranks of the world, each once, in the order of their numbers in the group.
        public var members: [Int]
        /// As the world's; such writes are for members on one node.
        public var writeDepth = 1024
        public var arrivalDepth = 1024
        public var writesCompleteAtOnce = false

        public init(number: Int, members: [Int]) {
            self.number = number
            self.members = members
        }
    }

    // MARK: the contract's numbers

    public var channelsPerPeer = 1
    /// See `Fabric.writeDepth` and `Fabric.arrivalDepth`.
    public var writeDepth = 1024
    public var arrivalDepth = 1024
    /// Fabrics of another key refuse to connect, as those of another job do.
    public var jobKey: UInt64 = 0

    // MARK: nodes and wires

    /// One direction of a cable, or a node's memory.
    public struct Wire: Sendable {
        /// From the last byte's departure to its arrival.
        public var latencyNanoseconds: UInt64
        public var bytesPerNanosecond: Double
        /// Added to the latency of each write, uniformly from 0 on. Never reorders a channel; does reorder channels among each other.
        public var jitterNanoseconds: UInt64

        public init(latencyNanoseconds: UInt64, bytesPerNanosecond: Double, jitterNanoseconds: UInt64 = 0) {
            self.latencyNanoseconds = latencyNanoseconds
            self.bytesPerNanosecond = bytesPerNanosecond
            self.jitterNanoseconds = jitterNanoseconds
        }
    }

    public enum Topology: Sendable, Equatable {
        /// Every NIC's cable ends in one switch that never blocks.
        case oneSwitch
        /// Leaf switches of so many nodes each, under a spine that never blocks. The uplink of a leaf carries the sum of its nodes' NICs divided by
        /// the oversubscription; the latency to another leaf is twice that inside one.
        case fatTree(nodesPerLeaf: Int, oversubscription: Double)
    }

    public var topology = Topology.oneSwitch
    /// Ranks `m * ranksPerNode ..< (m + 1) * ranksPerNode` are node m; they see each other's memory.
    public var ranksPerNode = 1
    /// The node's local rank i uses NIC i mod this.
    public var nicsPerNode = 1
    /// Whether several channels of a rank carry much at a time. Else a channel is taken to be alone on its wires until another one comes, which saves events.
    public var sharesWires = false
    /// From NIC to NIC through the switch; each direction of a NIC's cable carries that rate.
    public var wire = Wire(latencyNanoseconds: 2_000, bytesPerNanosecond: 12.5)
    /// Between ranks of one node; all of them share the rate.
    public var memory = Wire(latencyNanoseconds: 200, bytesPerNanosecond: 16)

    // MARK: the cost of computing

    /// A rank's own time for each write that it posts, and for each event that it takes.
    public var postNanoseconds: UInt64 = 0
    public var pollNanoseconds: UInt64 = 0
    /// A rank's time for each byte that it reads or writes by itself (`didTouch`). Adding one array to another touches three.
    public var touchNanosecondsPerByte: Double = 0
    /// From an event to the rank's looking at it, uniformly from 0 on: the scheduler's whim. Events meanwhile come bunched.
    public var wakeJitterNanoseconds: UInt64 = 0

    // MARK: the freedoms that the contract leaves a fabric

    /// When a write's bytes are read at the source and appear at the destination.
    public enum Payload: Sendable, Equatable {
        /// Never: writes move no bytes, and all regions are the same scratch memory. What remains are messages and time.
        case none
        /// As soon as the write is posted: whoever still needs what is there loses it.
        case early
        /// At the last moment before the arrival: whoever has changed the source sends what is there now.
        case late
        /// One or the other, drawn for each write.
        case mixed
    }

    public var payload = Payload.mixed
    /// From the bytes' being in memory to the arrival's being reported, uniformly from 0 on; completions may come before it.
    public var arrivalDelayNanoseconds: UInt64 = 0
    /// From the acknowledgement to the completion's being reported, likewise. Late completions of a channel are reported as one.
    public var completionDelayNanoseconds: UInt64 = 0
    /// While more follow on the channel, only every so many writes are reported as completed (selective signalling). What falls due while a
    /// completion is on its way is reported as one after it.
    public var writesPerCompletion = 1
    /// Posted writes stay with the fabric until its owner polls, waits or closes.
    public var holdsWrites = false
    /// A write's bytes are the peer's, and its source is free, when `write` returns, as in shared memory; no completion is ever reported.
    public var writesCompleteAtOnce = false
    /// Out of a thousand writes so many find no receive posted and come this much later.
    public var receiverNotReadyPerMille = 0
    public var receiverNotReadyNanoseconds: UInt64 = 655_000

    // MARK: bounds

    /// How long a write may get nowhere before its peer is given up (retries exhausted).
    public var retryNanoseconds: UInt64 = 500_000_000
    /// From a rank's death to its peers' learning of it, where its node lives on.
    public var deathNoticeNanoseconds: UInt64 = 1_000_000

    // MARK: the simulation itself

    /// Checks every event against the contract; see `Violation`. Costs two passes over each payload.
    public var isChecking = true
    /// Where checking, also for what the contract allows and a protocol should not do: writing over bytes whose arrival nobody has taken, or that
    /// a peer's write is yet to carry away, and closing before every write's completion was taken.
    public var isStrict = true
    /// Events kept for a report of what led to a violation; a power of two, or 0 for none.
    public var traceDepth = 256
    /// Address space for the scratch memory of `Payload.none`: no region may be larger. Only what is touched becomes memory.
    public var scratchByteLimit = 8 << 30

    public init(seed: UInt64, worldSize: Int) {
        self.seed = seed
        self.worldSize = worldSize
    }

    // MARK: places

    /// Of a rank of the world.
    public func node(of rank: Int) -> Int { rank / ranksPerNode }

    /// The NIC of a rank of the world, numbered through all nodes. It has one cable.
    public func nic(of rank: Int) -> Int { node(of: rank) * nicsPerNode + rank % ranksPerNode % nicsPerNode }
}
