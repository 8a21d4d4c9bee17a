// What a world consists of: flat tables that refer to each other by number. Numbers are Int32 and -1 is none, so that entries are small and
// a table of thousands of ranks stays in the cache.

/// The last of a list, or nobody.
let none: Int32 = -1

/// A number for each wire of a path, at most four, without an array's allocation.
struct Hops {
    static let most = 4
    private var values: InlineArray<4, Int32> = InlineArray(repeating: none)

    init(_ values: Int32...) {
        for (index, value) in values.enumerated() { self.values[index] = value }
    }

    subscript(index: Int) -> Int32 {
        get { values[index] }
        set { values[index] = newValue }
    }
}

/// A rank's state, but for its program, which is the driver's. A rank has one in the world and one more in each group that it is a member of; wherever the
/// tables say "rank", it is the number of one of these: the world's first, in order, then those of each group.
struct RankState {
    /// The rank of the world that this is, on whose node it runs.
    var host: Int32
    /// Where the states of its world or group begin: what its peers' numbers are counted from.
    var base: Int32
    /// The place among `SimulationOptions.groups`, or none for the world.
    var group: Int32
    var writeDepth: Int32
    var arrivalDepth: Int32
    var writesCompleteAtOnce: Bool
    /// Until when it computes what it has taken on; it runs again only after that.
    var busyUntil: UInt64 = 0
    var pausedUntil: UInt64 = 0
    var slowness = 1.0
    /// Events that it has not taken yet, a list through `Message.nextReady`.
    var readyHead = none
    var readyTail = none
    /// It will run at a time that is in the queue, or is in the list of those to run now.
    var isScheduled = false
    /// It was told to run, and has not found itself without events since.
    var isRunning = false
    var isDead = false
    var isClosed = false
    var isWoken = false
    /// Flows whose last writes are held back, a list through `Flow.nextHeld`.
    var heldHead = none
    /// The link that it last wrote over: most likely the next one's.
    var lastLink = none
    /// Bits to be flipped in what comes next to the rank, in the world or a group; kept in its state of the world.
    var flips = 0
    /// Ascending by peer.
    var links: [Int32] = []
    var regions: [RegionState] = []
    /// What `RemoteRegion.identifier` stands for.
    var attachments: [Attachment] = []
    /// Memory that is the trainer's; only kept when checking.
    var claims: [Claim] = []
    /// Own writes that are not acknowledged, and peers' writes that are in memory and not taken; only kept when checking.
    var outstanding: [Int32] = []
    var unread: [Int32] = []
}

// SAFETY: the network owns the block until the region is released; the keeper or the owner of memory that was lent keeps that until then.
@safe
struct RegionState {
    var base: UnsafeMutableRawPointer
    var byteCount: Int
    /// Where the block begins of which the region is a part; nil where the network did not allocate it.
    var block: UnsafeMutableRawPointer?
    var keeper: AnyObject?
    var isLive = true
}

struct Attachment {
    var peer: Int32
    var region: Int32
    var isLive: Bool
}

struct Claim: Equatable {
    var region: Int32
    var range: Range<Int>
}

/// One rank's view of a peer.
struct PeerLink {
    enum Fate: UInt8 {
        case closed, died, unreachable
    }

    var rank: Int32
    var peer: Int32
    /// The peer's link to this rank.
    var reverse: Int32
    var firstFlow: Int32
    var wires: Hops
    var wireCount: Int32
    var latency: UInt64
    var jitter: UInt64
    /// This rank has connected.
    var isOpen = false
    /// Nothing leaves or comes any more; the rank is to be told, or has been.
    var isBroken = false
    /// The rank has been told.
    var isGone = false
    /// What the rank is to be told at the time in the queue.
    var fate = Fate.closed
    /// Nothing leaves for want of a wire.
    var isStuck = false
}

/// One channel of a link, as its sender has it. Counters are tickets: how far the writes have come. What every write touches stands first, so that it
/// shares cache lines.
struct Flow {
    var link: Int32
    var index: Int32
    var posted: UInt64 = 0
    /// Have left the sender, of those that are not held back.
    var departed: UInt64 = 0
    var held: UInt64 = 0
    /// Until when its wires carry what has departed.
    var freeAt: UInt64 = 0
    /// The latest time that was given out for a placing, so that nothing overtakes inside the channel.
    var lastFlight: UInt64 = 0

    /// The first write of each stage, where there is one.
    var departing = none
    var flying = none
    var last = none
    /// Whether nobody else has ever used its wires: 0 not known yet, 1 yes, 2 no. See `departAlone`.
    var alone: UInt8 = 0
    /// Whether it takes a share of its wires.
    var isActive = false
    var isHeldListed = false
    var isCompletionReady = false

    /// Are in the peer's memory.
    var placed: UInt64 = 0
    /// Are there for the peer to take.
    var arrived: UInt64 = 0
    var taken: UInt64 = 0
    /// Are there for the sender to be told of.
    var acknowledged: UInt64 = 0
    var reported: UInt64 = 0
    /// Where acknowledgements are counted only: how far the next one reaches, and when it comes.
    var acknowledgedNext: UInt64 = 0
    /// The latest time that was given out for an acknowledgement.
    var lastAcknowledgement: UInt64 = 0
    /// The same for an arrival; where acknowledgements are counted only, when a write was placed that comes with none on its way.
    var lastArrival: UInt64 = 0

    var arriving = none
    var acknowledging = none
    var nextHeld = none
    /// Its place in the list of each wire.
    var places: Hops = Hops()
    /// Of the write that departs now.
    var rate = 0.0
    var remaining = 0.0
    /// Bytes before it that its wires had taken on when they were another flow's alone.
    var backlog = 0.0
    var since: UInt64 = 0
}

/// One direction of a cable, an uplink, or a node's memory, shared equally by the flows that are active on it.
struct WireState {
    var bytesPerNanosecond: Double
    var fraction = 1.0
    /// Cuts that are in force.
    var cuts = 0
    var active: [Int32] = []
    /// The only flow that ever used it, where there is one.
    var user = none
    var isShared = false

    var share: Double { cuts > 0 ? 0 : bytesPerNanosecond * fraction / Double(max(1, active.count)) }
}

/// A write on its way, or an event for a rank to take; from a pool that grows only while the world gets busier than it ever was.
struct Message {
    enum Kind: UInt8 {
        case free, write, completion, closed, failure
    }

    var kind = Kind.free
    var isPlaced = false
    var isTaken = false
    var isAcknowledged = false
    /// A peer has since written where it came from.
    var isOverwritten = false
    /// The flow of a write or completion, the link of anything else.
    var owner = none
    /// In the flow, or in the list of free ones.
    var next = none
    var nextReady = none
    var immediate: UInt32 = 0
    var sourceRegion = none
    var destinationRegion = none
    var sourceOffset = 0
    var destinationOffset = 0
    var byteCount = 0
    var ticket: UInt64 = 0
    /// When it is next to do something: leave, be in memory, arrive; and be acknowledged.
    var due: UInt64 = 0
    var acknowledgementDue: UInt64 = 0
    /// Of its bytes when it was posted.
    var checksum: UInt64 = 0
}
