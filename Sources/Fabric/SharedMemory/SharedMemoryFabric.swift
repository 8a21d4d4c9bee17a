internal import CPlatform
public import Fabric

/// The contract of a fabric between processes (or threads) of one machine.
///
/// Every region is a memfd that peers map, so a write is one memcpy into the peer's memory, done when `write` returns; a write of at most
/// `inlineLimit` bytes travels in its arrival and is put into the region by the reader's `poll`. So destinations of writes in
/// flight at the same time must not overlap, on one channel neither.
/// Nothing has a name in a file system and nothing survives the last process. A peer's end is seen by its process descriptor.
///
/// With a link in the configuration the ranks act as if they were on machines of their own: see `LinkBooks`.
///
/// A write that is refused with `.queueFull` may be tried again after each `poll`: room comes by the peer's reading, which is no event here,
/// so `wait` does not end by it.
public struct SharedMemoryFabric: Fabric, ~Copyable {
    public let name = "shm"
    /// `memory`, or `emulated link 10 Gbit/s 5 us`.
    public let deviceName: String
    public let rank: Int
    public let worldSize: Int
    public let channelsPerPeer: Int
    public var writeDepth: Int { control.layout.ring.depth }
    public var arrivalDepth: Int { control.layout.ring.depth }
    public var writesCompleteAtOnce: Bool { !isLinked }
    public var gathersEvents: Bool { isLinked }
    /// Bytes that a write may have to cost no more than its arrival.
    public static var inlineLimit: Int { ArrivalEntry.inlineLimit }

    /// How long a dead peer may go unnoticed while we sleep.
    var livenessIntervalMilliseconds: UInt64 = 50

    static let maxDepth = 1 << 20

    let configuration: SharedMemoryConfiguration
    /// Where the peers leave word for us.
    let control: ControlSegment
    /// Connected peers; the place in this list is the peer's slot.
    var peers: [Peer] = []
    /// Slot of each rank, -1 where it is not connected.
    var slots: [Int]
    /// Every channel to every slot: slot x channelsPerPeer + channel.
    var channels: ChannelTable
    /// Our regions and the peers', by identifier; nil once given back. Identifiers are never reused.
    var regions: [LentMemory?] = []
    var attachments: [SharedMapping?] = []
    /// The same for the data path.
    var regionMemory: [MappedMemory] = []
    var attachedMemory: [MappedMemory] = []
    /// The channel at which `poll` begins.
    var cursor = 0
    /// Whether writes have been posted since the sleepers among the peers were last woken.
    var owesWake = false
    /// Whether a peer that goes to sleep makes our cores fence, so that a write need not.
    let isFencedBySleepers = platform_join_fences() != 0
    /// Whether the last preparation for sleep fenced the peers.
    var isSleepFenced = true
    /// Peers that have left or died, and are not yet reported.
    var leaving = 0
    /// Whether a link is emulated: then `books` has its times, and `SharedMemoryFabric+Link` does what is done otherwise in `+DataPath` and `+Life`.
    let isLinked: Bool
    var books: LinkBooks
    var lastSleepEnd = FabricInstant(nanoseconds: 0)
    var sharing = CoreSharing()
    var lastLivenessCheck = FabricInstant(nanoseconds: 0)
    var isClosed = false

    struct Peer {
        var rank: Int
        var control: ControlSegment
        /// Readable once the peer's process has ended.
        var processDescriptor: Int32
        var status = Status.open
    }

    enum Status {
        case open
        /// It took leave, or its process is gone; what it wrote before is still to be read.
        case leaving(FabricError)
        /// Reported as closed or failed.
        case gone(FabricError.Cause)
    }

    public init(_ configuration: SharedMemoryConfiguration) throws(FabricError) {
        let depth = configuration.arrivalDepth
        guard configuration.worldSize > 0, 0..<configuration.worldSize ~= configuration.rank, configuration.channelsPerPeer > 0,
            1...Self.maxDepth ~= depth
        else {
            throw FabricError(
                .resource, during: .open, detail: "rank \(configuration.rank) of \(configuration.worldSize), depth \(depth)",
                remedy: "ranks count from 0, and the depth is at most \(Self.maxDepth)")
        }
        if configuration.link != nil, configuration.sleepsOnDescriptor {
            throw FabricError(
                .resource, during: .open, detail: "an emulated link cannot be slept on together with another fabric",
                remedy: "use shared memory alone")
        }
        let control = try ControlSegment(
            allocating: .init(
                worldSize: configuration.worldSize, channelsPerPeer: configuration.channelsPerPeer, ring: ArrivalRingSize(depth: depth)),
            pipe: configuration.sleepsOnDescriptor ? try WakePipe() : nil)
        self.control = control
        self.configuration = configuration
        channels = ChannelTable(capacity: (configuration.worldSize - 1) * configuration.channelsPerPeer)
        deviceName = configuration.link.map { "emulated link \($0)" } ?? "memory"
        isLinked = configuration.link != nil
        books = LinkBooks(configuration.link, maxWrites: (configuration.worldSize - 1) * configuration.channelsPerPeer * depth)
        rank = configuration.rank
        worldSize = configuration.worldSize
        channelsPerPeer = configuration.channelsPerPeer
        slots = Array(repeating: -1, count: configuration.worldSize)
    }

    deinit {
        // Without `close`, peers are to see a crash at once, even where the process lives on.
        if !isClosed { takeLeave(.abandoned) }
        for peer in peers { Self.closeDescriptor(peer.processDescriptor) }
    }

    public func now() -> FabricInstant { FabricInstant(nanoseconds: platform_now()) }

    public func waker() -> Waker {
        let control = control
        return Waker { control.bell.ring() }
    }

    public mutating func close(deadline: FabricInstant) {
        guard !isClosed else { return }
        isClosed = true
        takeLeave(.closed)
    }
}
