/// The bounds of an executor, all computed from the size of the world, so that every rank comes to the same.
public struct ExecutorSettings: Sendable, Equatable {
    /// Operations that run at once; the others wait their turn. Divides the operation field of `Immediate`.
    public static let lanes = 4
    /// The largest piece: long enough that a message's fixed cost vanishes, short enough to stay in a core's cache.
    public static let largestPieceBytes = 256 << 10
    /// A smaller piece is not worth a message of its own.
    public static let smallestPieceBytes = 32 << 10
    /// Pieces of a segment that travel together, where landing memory and queues allow it.
    public static let mostPieces = 8
    /// Landing memory of a rank, at most.
    public static let landingByteLimit = 64 << 20

    public var worldSize: Int
    /// Life of the group; only its low 4 bits travel.
    public var epoch: UInt32
    /// Channels to each peer; operation i uses channel i mod channels.
    public var channelsPerPeer: Int
    /// P of `RingAllreduce`.
    public var pieces: Int
    /// Size of a landing slot, a multiple of 64.
    public var pieceBytes: Int
    /// An operation that does not move for so long has failed.
    public var stallMilliseconds: UInt64

    public init(worldSize: Int, epoch: UInt32 = 1, channelsPerPeer: Int = 1, stallMilliseconds: UInt64 = 300_000) {
        self.worldSize = worldSize
        self.epoch = epoch
        self.channelsPerPeer = channelsPerPeer
        self.stallMilliseconds = stallMilliseconds
        // Landing memory = lanes x (N-1) x P x piece. First fewer pieces, then smaller ones, until it fits.
        let hops = max(1, worldSize - 1)
        let perHop = Self.landingByteLimit / (Self.lanes * hops)
        pieces = max(2, min(Self.mostPieces, perHop / Self.largestPieceBytes))
        pieceBytes = max(4096, min(Self.largestPieceBytes, perHop / pieces / 64 * 64))
    }

    public var landingByteCount: Int { Self.lanes * landingBytesPerLane }
    var landingBytesPerLane: Int { max(0, worldSize - 1) * pieces * pieceBytes }

    /// Arrivals that one channel may hold unread: at most N x P a lane. Within one operation that is the ring's own bound. The left neighbour
    /// may have begun the lane's next operation, which it can only after the one before has ended for it; if j of the N ranks have got so
    /// far, the walk around the ring leaves at most (N-1-j)P pieces of the old operation unread, and (j+1)P of the new. One N more
    /// is reserve. The fabric's queues must hold it: a full queue on shared memory drains by the peer's reading, of which nobody tells us.
    public var arrivalDepth: Int {
        var depth = 64
        while depth < Self.lanes * (worldSize + 1) * pieces { depth *= 2 }
        return depth
    }
}
