/// A write to a peer. A count of 0 is a signal: only the fact travels.
public struct Send: Equatable, Sendable {
    public enum Target: Equatable, Sendable {
        case gated(slot: Int)
        case gatedElement(Int)
        /// The slot of this rank, or of the one whose data it passes on; of `RecursiveDoubling` as in `Location`.
        case eager(rank: Int)
        /// In the peer's gated slots, as in `Location`. The send's count is of bytes.
        case encoded(Int)
        /// Counted from where the peer's own output begins.
        case output(Int)
        /// Tells the peer where to write: in a transfer, or an allToAll of uneven counts.
        case invitation
        /// Where the peer's invitation said, so many elements further.
        case invited(Int)
    }

    public var peer: Int
    public var source: Location
    public var target: Target
    public var count: Int

    var countsBytes: Bool { if case .encoded = target { true } else { false } }

    public init(peer: Int, from source: Location, to target: Target, count: Int) {
        self.peer = peer
        self.source = source
        self.target = target
        self.count = count
    }

    /// Whether it reads nothing, or memory that is not the user's.
    var readsOwnMemory: Bool {
        if case .eager = source { return true }
        return count == 0
    }

    /// Tells a peer where it is to write.
    static func invitation(_ peer: Int) -> Send { Send(peer: peer, from: .input(0), to: .invitation, count: 0) }

    /// Says to a peer: I have come so far.
    public static func signal(_ peer: Int) -> Send { Send(peer: peer, from: .input(0), to: .output(0), count: 0) }
}
