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
    /// Over which of our devices it goes, and to which of the peer's: the position among them.
    let device: Int
    /// Where it completes: the part of the completion queue.
    let part: Int
    var stage = Stage.awaitingRequest
    /// The initiator's ways to the peer, the best first; and attempts made at them.
    var routes: [Route] = []
    var attempts = 0
    /// In bytes: what a packet carries at both ends.
    var largestPathMTU = RouteEnd.minMTU
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

    init(channel: Channel, device: Int, part: Int) {
        self.channel = channel
        self.device = device
        self.part = part
    }
}

/// One of our own regions; owners and keys are in tables of their own so that the data path touches numbers only.
@safe
struct LocalRegionEntry {
    let base: UnsafeRawPointer
    let byteCount: Int
    /// In the table of keys: of the region's first piece for the first device.
    let firstKey: Int
    /// Pieces begin every 2^`strideExponent` bytes; of a region in one piece nothing begins in another.
    let strideExponent: Int
    var isLive = true
}

/// A peer's region.
struct RemoteRegionEntry {
    let peer: Int
    let address: UInt64
    let byteCount: Int
    /// As in `LocalRegionEntry`.
    let firstKey: Int
    let strideExponent: Int
    var isLive = true
}
