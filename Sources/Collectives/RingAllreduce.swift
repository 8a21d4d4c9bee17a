/// The ring allreduce, one-sided and pipelined.
///
/// N ranks stand in a ring; each writes to its right neighbour only. The buffer is cut into N segments. In the first N-1
/// hops (*reduce-scatter*) a segment travels once around: each rank adds its own part and passes it on. After that, rank r
/// holds the finished segment r+1. In N-1 more hops (*allgather*) the finished segments travel around and are kept.
///
///     hop h of rank r sends segment (r - h) mod N, for h in 0 ..< 2(N-1);
///     the piece that it receives at hop h is the one that its left neighbour sent at hop h: segment (r - 1 - h) mod N.
///
/// Every rank sends 2(N-1)/N of the buffer, the least possible, and all links are busy all the time.
///
/// *Pieces.* A segment is cut into pieces, so that a rank passes on the first while the next is still under way. `P` pieces
/// of each segment make a *round*; the rounds of a large buffer follow each other without a gap, since a rank begins the next
/// round's hop 0 while the last hop of this one is still coming in. Send number m of a rank is therefore
///
///     round m / (2(N-1)P),  hop (m / P) mod 2(N-1),  piece m mod P
///
/// and it comes after receive number m - P: at a later hop that is the same piece one hop earlier, whose sum it passes on; at hop 0 of
/// a later round it is the round before's last hop, and only the order matters. The first P sends wait for nothing.
///
/// *Landing slots without credits.* A reduce-scatter piece is written into the right neighbour's landing slot, a finished one
/// straight into its buffer. A slot is free for send m when the right neighbour has consumed its receive m - NP. It has:
/// rank r posts send m after its receive m - P, which its left neighbour sent after its receive m - 2P, and so on around the ring
/// to the right neighbour, which sent after its own receive m - NP. So (N-1)P slots, one for each hop and piece of a round,
/// are never written too early, and nobody has to say so. The same walk bounds what may be unread to NP pieces.
///
/// *Overwriting by the final.* A finished segment arrives only after it went around, that is after this rank's own part of it
/// was received by the neighbour: nothing still reads what the write replaces (a duplicate of a retransmission is dropped).
///
/// *Bits.* Segment bounds depend on the element count and N alone, so the order in which an element is summed does not depend
/// on the size of pieces.
///
/// Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69 (2009).
public struct RingAllreduce: Equatable, Sendable {
    public let rank: Int
    public let worldSize: Int
    public let elementCount: Int
    /// P: pieces of a segment that travel together.
    public let piecesPerRound: Int
    public let rounds: Int
    /// Elements of a piece; the last pieces of a segment may have fewer, or none.
    public let pieceElements: Int

    /// - Parameters:
    ///   - worldSize: N, at least 1.
    ///   - elementCount: of the buffer; any number from 0.
    ///   - maximumPieceElements: what a landing slot takes, at least 1.
    ///   - minimumPieceElements: below this size a piece is not worth a message of its own.
    ///   - maximumPieces: the largest P for which slots and queues were set up, at least 1.
    public init(
        rank: Int, worldSize: Int, elementCount: Int, maximumPieceElements: Int, minimumPieceElements: Int, maximumPieces: Int
    ) {
        self.rank = rank
        self.worldSize = worldSize
        self.elementCount = elementCount
        let segment = (elementCount + worldSize - 1) / worldSize
        if segment <= maximumPieces * maximumPieceElements {
            // One round: as many pieces as are worth it.
            let worthwhile = segment / max(1, minimumPieceElements)
            let needed = (segment + maximumPieceElements - 1) / maximumPieceElements
            piecesPerRound = min(maximumPieces, max(1, needed, worthwhile))
            rounds = 1
        } else {
            let pieces = (segment + maximumPieceElements - 1) / maximumPieceElements
            rounds = (pieces + maximumPieces - 1) / maximumPieces
            piecesPerRound = (pieces + rounds - 1) / rounds
        }
        pieceElements = (segment + rounds * piecesPerRound - 1) / (rounds * piecesPerRound)
    }

    /// Steps of this rank: P sends that wait for nothing, then one step a receive. A world of one has nothing to do.
    ///
    /// An empty buffer takes its 2(N-1) empty messages like any other: so no rank gets ahead of another by more than one operation
    /// a lane, which the executor relies on.
    public var count: Int { worldSize == 1 ? 0 : transfers + piecesPerRound }
    /// Slots of landing memory that the left neighbour writes into, of `pieceElements` each.
    public var landingSlots: Int { (worldSize - 1) * piecesPerRound }

    /// Step `index`, in `0 ..< count`, computed on demand: a schedule is a few integers, whatever the size of world and buffer.
    public subscript(index: Int) -> Step {
        Step(
            receive: index < piecesPerRound ? nil : receive(index - piecesPerRound),
            send: index < transfers ? send(index) : nil)
    }

    /// Elements of segment `index`; the first `elementCount mod N` segments have one more.
    public func segment(_ index: Int) -> Range<Int> {
        let (size, rest) = elementCount.quotientAndRemainder(dividingBy: worldSize)
        let start = index * size + min(index, rest)
        return start..<start + size + (index < rest ? 1 : 0)
    }

    /// Sends, and receives, of a rank.
    private var transfers: Int { rounds * hops * piecesPerRound }
    private var hops: Int { 2 * (worldSize - 1) }

    private func send(_ index: Int) -> Send {
        let (hop, slot, range) = transfer(index, firstSegment: rank)
        return Send(peer: (rank + 1) % worldSize, range: range, target: hop < worldSize - 1 ? .landing(slot: slot) : .buffer)
    }

    private func receive(_ index: Int) -> Receive {
        let left = (rank + worldSize - 1) % worldSize
        let (hop, slot, range) = transfer(index, firstSegment: left)
        let action: Receive.Action =
            hop < worldSize - 2 ? .reduce(slot: slot) : hop == worldSize - 2 ? .reduceAndFinish(slot: slot) : .stored
        return Receive(peer: left, range: range, action: action)
    }

    /// What send number `index` of the rank that began with `firstSegment` carries.
    private func transfer(_ index: Int, firstSegment: Int) -> (hop: Int, slot: Int, range: Range<Int>) {
        let (round, inRound) = index.quotientAndRemainder(dividingBy: hops * piecesPerRound)
        let (hop, piece) = inRound.quotientAndRemainder(dividingBy: piecesPerRound)
        let segment = segment((firstSegment - hop + 2 * worldSize) % worldSize)
        let start = min(segment.upperBound, segment.lowerBound + (round * piecesPerRound + piece) * pieceElements)
        return (hop, inRound, start..<min(segment.upperBound, start + pieceElements))
    }
}
