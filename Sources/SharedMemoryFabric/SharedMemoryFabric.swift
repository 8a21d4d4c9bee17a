internal import CPlatform
public import Fabric

/// What a rank must know to open its end of shared memory.
public struct SharedMemoryConfiguration: Sendable {
    public var rank: Int
    public var worldSize: Int
    public var channelsPerPeer: Int
    /// Arrivals on one channel that the reader may be behind; a power of two.
    public var arrivalDepth: Int
    /// 16 bytes that only ranks of this job know; peers with another are refused.
    public var jobKey: [UInt8]
    /// How often to look before going to sleep. Small where ranks outnumber cores: who spins then keeps the other from running.
    public var spins: Int

    public init(
        rank: Int, worldSize: Int, channelsPerPeer: Int = 1, arrivalDepth: Int = 1024, jobKey: [UInt8], spins: Int = 200
    ) {
        self.rank = rank
        self.worldSize = worldSize
        self.channelsPerPeer = channelsPerPeer
        self.arrivalDepth = arrivalDepth
        self.jobKey = jobKey
        self.spins = spins
    }
}

/// The contract of a fabric between processes (or threads) of one machine.
///
/// Every region is a memfd that peers map, so a write is one memcpy into the peer's memory, done when `write` returns.
/// Nothing has a name in a file system and nothing survives the last process. A peer's end is seen by its process descriptor.
public struct SharedMemoryFabric: Fabric, ~Copyable {
    public let name = "shm"
    public let deviceName = "memory"
    public let rank: Int
    public let worldSize: Int
    public let channelsPerPeer: Int
    public var writeDepth: Int { control.layout.depth }
    public var arrivalDepth: Int { control.layout.depth }

    /// How long a dead peer may go unnoticed while we sleep.
    static let livenessIntervalMilliseconds: UInt64 = 50

    let configuration: SharedMemoryConfiguration
    /// Where the peers leave word for us.
    let control: ControlSegment
    /// Connected peers; the place in this list is the peer's slot.
    var peers: [Peer] = []
    /// Slot of each rank, -1 where it is not connected.
    var slots: [Int]
    /// Our regions and the peers', by identifier; nil once given back. Identifiers are never reused.
    var regions: [SharedMapping?] = []
    var attachments: [SharedMapping?] = []
    /// Tickets given out, and tickets reported as completed; by slot, then channel.
    var posted: [UInt64] = []
    var reported: [UInt64] = []
    /// Writes whose completion is not reported yet, over all channels.
    var unreported = 0
    /// Where `poll` goes on looking.
    var cursor = 0
    var seenDoorbell: UInt32 = 0
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
        /// Its process is gone; what it wrote before is still to be read.
        case dying
        /// Reported as closed or failed.
        case gone(FabricError.Cause)
    }

    public init(_ configuration: SharedMemoryConfiguration) throws(FabricError) {
        let depth = configuration.arrivalDepth
        guard configuration.worldSize > 0, 0..<configuration.worldSize ~= configuration.rank, configuration.channelsPerPeer > 0,
            depth > 0, depth & (depth - 1) == 0
        else {
            throw FabricError(
                .resource, during: .open, detail: "rank \(configuration.rank) of \(configuration.worldSize), depth \(depth)",
                remedy: "ranks count from 0, and the depth is a power of two")
        }
        let control = try ControlSegment(
            allocating: .init(worldSize: configuration.worldSize, channelsPerPeer: configuration.channelsPerPeer, depth: depth))
        self.control = control
        self.configuration = configuration
        rank = configuration.rank
        worldSize = configuration.worldSize
        channelsPerPeer = configuration.channelsPerPeer
        slots = Array(repeating: -1, count: configuration.worldSize)
    }

    deinit {
        // Without `close`, peers are to see a crash at once, even where the process lives on.
        for peer in peers {
            if !isClosed { Self.say(.abandoned, to: peer, from: rank, channels: channelsPerPeer) }
            Self.closeDescriptor(peer.processDescriptor)
        }
    }

    public func now() -> FabricInstant { FabricInstant(nanoseconds: platform_now()) }

    public func waker() -> Waker {
        let control = control
        return Waker { control.ring() }
    }

    static func say(_ state: ControlSegment.PeerState, to peer: Peer, from rank: Int, channels: Int) {
        for channel in 0..<channels {
            peer.control.setState(state, lane: peer.control.lane(peer: rank, channel: channel))
        }
        peer.control.ring()
    }

    public mutating func close(deadline: FabricInstant) {
        guard !isClosed else { return }
        isClosed = true
        for peer in peers { Self.say(.closed, to: peer, from: rank, channels: channelsPerPeer) }
    }
}
