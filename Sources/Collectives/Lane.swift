/// One of the executor's tracks: at most one operation under way, the next on the same lane comes `lanes` places later.
struct Lane {
    /// The operation that runs here, or that will be the next to.
    var sequence: UInt64
    var request: Allreduce?
    var schedule: RingAllreduce?
    /// First step that is not done; its receive part is done where `received`.
    var step = 0
    var received = false
    /// Which channel of each peer carries this lane.
    var channel = 0
    /// By link.
    var links: [LinkState]
    /// When a step was last done, in the fabric's nanoseconds.
    var lastProgress: UInt64 = 0

    /// What has passed between us and one peer.
    struct LinkState {
        /// Pieces of the operation at `sequence` that arrived, and how many of them were consumed.
        var arrived = 0
        var consumed = 0
        var sent = 0
        /// The last write's ticket; 0 for none.
        var lastTicket: UInt64 = 0
        /// What the peer's first piece said that it is doing.
        var signature: UInt32?
        /// The same for the operation after this on the lane: the peer may be ahead by its first sends.
        var arrivedEarly = 0
        var earlySignature: UInt32?
    }

    var isActive: Bool { request != nil }
    /// The request's signature, 0 without one; made once, when the operation starts.
    var signature: UInt32 = 0

    /// The operation is over; what came early belongs to the next.
    mutating func turn(lanes: Int) {
        request = nil
        schedule = nil
        step = 0
        received = false
        sequence += UInt64(lanes)
        for link in links.indices {
            links[link] = LinkState(arrived: links[link].arrivedEarly, signature: links[link].earlySignature)
        }
    }
}
