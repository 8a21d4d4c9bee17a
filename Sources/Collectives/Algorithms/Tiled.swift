/// Collectives through receive buffers alone: no rank touches another's input or output, which may lie in memory that only its owner sees.
///
/// Parts go in tiles, a slot of the receive buffers each, so that what passes through those stays in the caches. Every rank owns a part: its segment of an
/// allReduce, its block of the others. It *gives* the tiles of all other parts to their owners, which fold them, or copy them where nothing is
/// reduced; and it *returns* the tiles of its own part to all others: of an allReduce the results, of an allGather what it has. A large allReduce of two
/// ranks is one pass: each gives all of its tiles and adds all of the other's. No more goes through the slots, and no result is read again.
///
/// *Slots.* A rank has two for each peer and pass, used in turn; of two passes only one where the lane has fewer than four. After the opening invitations no
/// message is needed to free them: (1) a rank gives tile t only after the results of tile t - slots have come, whose owner has folded what was given
/// before; (2) it returns tile t only after the peer has given its tile t, which comes after that one has copied result t - slots; (3) with
/// one pass alone, it sends tile t after the peer's tile t - 1 has come, which that one sent after it had taken tile t - 2.
///
/// *Bits.* Sums are taken in the order of the ring; of two ranks, whose order makes no difference, in one pass each begins with its own part.
public struct Tiled: Equatable, Sendable {
    let shape: Shape
    /// Elements of a tile, and tiles of the longest part.
    private let tileElements: Int
    private let tiles: Int
    /// Whether what was given is returned: an allReduce that is not one pass.
    private let isTwoPass: Bool
    /// For each peer and pass.
    private let slots: Int
    /// Of those, the ones that are used: all, unless a simulation makes a mistake of it.
    var places: Int

    init(_ shape: Shape) {
        self.shape = shape
        tileElements = min(shape.chunkElements, shape.messageElements)
        isTwoPass = shape.collective == .allReduce && (shape.worldSize > 2 || shape.count < Self.onePassChunks * shape.chunkElements)
        let longest = isTwoPass ? part(0, of: shape.worldSize, in: 0..<shape.count).count : shape.count
        tiles = max(1, (longest + tileElements - 1) / tileElements)
        slots = isTwoPass && shape.gatedSlots < 4 * (shape.worldSize - 1) ? 1 : 2
        places = slots
    }

    /// From 16 MiB on, where chunks are as large as they come: below, what is returned is in a cache yet.
    private static let onePassChunks = 64

    private var others: Int { shape.worldSize - 1 }
    /// The rank whose slot is `turn`-th among its receiver's, and the slot that this rank has with it.
    private func peer(_ turn: Int) -> Int { (shape.rank + 1 + turn) % shape.worldSize }
    private func turn(at peer: Int) -> Int { (shape.rank - peer - 1 + shape.worldSize) % shape.worldSize }

    private var stepsPerTile: Int { isTwoPass ? 4 * others + 1 : 2 * others + 1 }

    public var count: Int { 1 + 2 * others + (tiles + (isTwoPass ? slots : 1)) * stepsPerTile }

    public subscript(index: Int) -> Step {
        var index = index
        if index == 0 { return Step(action: own) }
        index -= 1
        if index < others { return Step(send: .signal(peer(index))) }
        index -= others
        if index < others { return Step(receive: peer(index)) }
        let (turn, step) = (index - others).quotientAndRemainder(dividingBy: stepsPerTile)
        return isTwoPass ? reducing(step, turn) : moving(step, turn)
    }

    /// What an allGather or an allToAll leaves with its owner.
    private var own: Action? {
        let block = shape.block(shape.rank).lowerBound
        return switch shape.collective {
        case .allGather: shape.copyOwn(from: 0, to: block)
        case .allToAll: shape.copyOwn(from: block, to: block)
        default: nil
        }
    }

    // MARK: two passes

    /// In turn t: hear of what was given, copy results of one tile, give another, fold a third and return it. With two slots a peer has given before it
    /// copies, with one it copies before it gives: messages are taken in the order in which they are sent.
    private func reducing(_ index: Int, _ turn: Int) -> Step {
        let lag = slots - 1
        var (phase, item) = index.quotientAndRemainder(dividingBy: others)
        if index < 3 * others { phase = lag > 0 ? phase : (phase + 1) % 3 }
        switch phase {
        case 0: return (0..<tiles).contains(turn - lag) ? Step(receive: peer(item)) : Step()
        case 1:
            guard (0..<tiles).contains(turn - lag - 1) else { return Step() }
            let tile = tile(turn - lag - 1, of: peer(item))
            return copy(from: returned(turn - lag - 1, item), of: peer(item), tile)
        case 2: return turn < tiles ? give(turn, to: peer(item)) : Step()
        default:
            guard (0..<tiles).contains(turn - lag) else { return Step() }
            item = index - 3 * others
            return item == 0 ? Step(action: fold(turn - lag)) : giveBack(turn - lag, to: peer(item - 1))
        }
    }

    // MARK: one pass

    /// In turn t: take tile t - 1 from every peer, and send tile t.
    private func moving(_ index: Int, _ turn: Int) -> Step {
        let takes = turn > 0
        switch index {
        case 0..<others:
            guard takes else { return Step() }
            let peer = peer(index)
            if shape.collective.reduces { return Step(receive: peer) }
            return copy(from: given(turn - 1, index), of: peer, tile(turn - 1, of: peer))
        case others:
            guard takes, shape.collective.reduces else { return Step() }
            // In place a sum takes the place of what was given.
            return Step(drain: shape.isInPlace && shape.collective == .allReduce, action: fold(turn - 1))
        default:
            guard turn < tiles else { return Step() }
            let peer = peer(index - others - 1)
            return shape.collective == .allGather ? returnOwn(turn, to: peer) : give(turn, to: peer)
        }
    }

    // MARK: tiles

    /// Elements of a tile, in the coordinates of the whole buffer.
    private func tile(_ number: Int, of rank: Int) -> Range<Int> {
        let whole =
            switch shape.collective {
            case .allReduce: isTwoPass ? part(rank, of: shape.worldSize, in: 0..<shape.count) : 0..<shape.count
            default: shape.block(rank)
            }
        let start = min(whole.upperBound, whole.lowerBound + number * tileElements)
        return start..<min(whole.upperBound, start + tileElements)
    }

    /// The slot of what a peer gives, and of what it returns.
    private func given(_ tile: Int, _ turn: Int) -> Int { tile % places * others + turn }
    private func returned(_ tile: Int, _ turn: Int) -> Int { (slots + tile % places) * others + turn }

    /// Puts a tile that has come into its place. In place it was sent from there: what comes must not replace what has not left.
    private func copy(from slot: Int, of peer: Int, _ tile: Range<Int>) -> Step {
        Step(
            drain: shape.isInPlace && shape.collective != .allGather, receive: peer,
            action: tile.isEmpty ? nil : .copy(from: .gated(slot: slot), to: .output(tile.lowerBound), count: tile.count))
    }

    private func give(_ number: Int, to peer: Int) -> Step {
        let tile = tile(number, of: peer)
        return Step(
            send: Send(peer: peer, from: .input(tile.lowerBound), to: .gated(slot: given(number, turn(at: peer))), count: tile.count))
    }

    private func giveBack(_ number: Int, to peer: Int) -> Step {
        let tile = tile(number, of: shape.rank)
        return Step(
            send: Send(peer: peer, from: .output(tile.lowerBound), to: .gated(slot: returned(number, turn(at: peer))), count: tile.count))
    }

    private func returnOwn(_ number: Int, to peer: Int) -> Step {
        let tile = tile(number, of: shape.rank)
        let start = tile.lowerBound - shape.block(shape.rank).lowerBound
        return Step(send: Send(peer: peer, from: .input(start), to: .gated(slot: given(number, turn(at: peer))), count: tile.count))
    }

    private func fold(_ number: Int) -> Action? {
        let (tile, first) = (tile(number, of: shape.rank), number % places * others)
        guard !tile.isEmpty else { return nil }
        let (sources, target): (Fold.Sources, Int) =
            shape.collective == .allReduce
            ? (.inputAndSlots(start: tile.lowerBound, slots: first..<first + others), tile.lowerBound)
            : (
                .slotsAndInput(slots: first..<first + others, start: tile.lowerBound),
                tile.lowerBound - shape.block(shape.rank).lowerBound
            )
        return .fold(Fold(sources, into: .location(.output(target)), count: tile.count, isFinal: true))
    }
}
