import Fabric
import Verbs

/// What a fabric knows of a rank.
struct PeerState {
    enum Phase { case unconnected, connecting, open, closed, failed }

    var phase = Phase.unconnected
    /// The first of its channels' slots; they are contiguous.
    var firstSlot = 0
    /// Channels on which it has taken leave.
    var goodbyes = 0
    /// Why it failed; what later writes to it are answered with.
    var failure: FabricError?
}

/// One channel: a connection and its queue pair, found by slot.
struct ChannelState {
    /// How far the connection is. The last three stages are of the initiator, lower rank first.
    enum Stage: String {
        case awaitingRequest = "waiting for its request"
        case accepting = "waiting for its confirmation"
        case resolvingAddress = "resolving its address"
        case resolvingRoute = "resolving the route to it"
        case requesting = "waiting for its answer"
        case established = "connected"
    }

    let channel: Channel
    var stage = Stage.awaitingRequest
    /// Where the initiator finds the peer.
    var destination: SocketAddress?
    var connection: Connection?
    var queuePair: QueuePair?
    /// Tickets given out.
    var posted: UInt64 = 0
    /// The highest ticket that has completed.
    var completed: UInt64 = 0
    /// It is in the fabric's list of those whose chain waits.
    var isHeldBack = false
    /// Receives taken from the queue and not posted again yet.
    var consumedReceives = 0
    /// The connection was ended by the other side.
    var isDisconnected = false
    var hasGoodbyeCompleted = false

    init(channel: Channel) { self.channel = channel }
}

/// One of our own regions; the owner is in a table of its own so that the data path touches numbers only.
@safe
struct LocalRegionEntry {
    let base: UnsafeRawPointer
    let byteCount: Int
    let key: LocalKey
    var isLive = true
}

/// A peer's region.
struct RemoteRegionEntry {
    let peer: Int
    let address: UInt64
    let byteCount: Int
    let key: RemoteKey
    var isLive = true
}
