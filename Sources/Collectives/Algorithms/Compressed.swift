import Reduction

/// Striped operations whose elements travel in a wire format: allReduce, reduceStripes, gatherStripes.
///
/// A ring would round at every hop. Here each element is encoded twice at most: each rank encodes its part of the stripes of every owner and
/// writes it to that owner; the owner decodes and adds all parts to its own in `float`, encodes the sum, takes as its result what that decodes
/// to, and writes the encoded sum to all others. So all ranks hold the same bits, and every rank sends 2(N-1)/N of the encoded buffer, as in a ring.
///
/// *Windows.* What one message carries is a window: some consecutive stripes of one owner. The number of windows is the same for all owners.
/// In turn t of its steps, a rank
///
///     1. takes the sums of window t - depth from all owners, and decodes them
///     2. encodes its parts of window t, and writes them to the owners
///     3. takes the parts of window t - lag from all ranks, adds them up, and writes the encoded sum to all
///
/// so that the wire has `lag` windows to carry while the rank computes. A reduceStripes is 2 and 3 without sums that travel; a gatherStripes is 3
/// without parts, in turn t itself, and 1 with t - lag. Messages are taken in the order in which their sender posts them.
///
/// *Begin.* A rank writes nothing to another that has not invited it, that is, has begun the same operation.
///
/// *Memory.* Messages are encoded into the lane's gated slots, and land there. Window c uses place c mod `depth`: for each peer a *part slot*, into
/// which the peer writes its part; for each peer a *sum slot*, from which this rank sends its part to that peer, and into which that peer writes the
/// sum; and one slot of this rank's own sum.
///
/// *Slots without credits*, allReduce, depth = 2 lag + 1:
/// 1. A sum of window c goes to a rank after that rank's part of window c has been received: the sum slot, from which the part came, may be overwritten.
/// 2. A rank encodes its part of window c + depth (step 2) after it has decoded the sum of window c (step 1 of the same turn): the sum slot is free again.
/// 3. An owner sends the sum of window c after it has added up all parts of window c. So by 2, whoever sends a part of window c + depth to it knows that
///    its part slot of window c has been read.
/// 4. An owner encodes the sum of window c + depth after the parts of that window have come from all ranks, each of which has by 2 decoded the sum of
///    window c: the slot of its own sum is read no more.
///
/// *Halves*, depth = 2 lag + 2. There is no sum that answers a part, so what a rank sends in a later turn answers:
/// 5. A message of turn t leaves its sender after all that the sender did in turn t - 1, in which it consumed window t - 1 - lag of all ranks.
/// 6. A rank sends its message of turn t after it has taken those of turn t - 1 - lag of all ranks. By 5 these have consumed window t - 2 - 2 lag = t - depth
///    before: slots that are written to, and slots that were sent from, are free again.
/// A rank that has nothing to send in a half sends a message without bytes for that reason.
///
/// *Overwriting.* A sum slot from which a part was sent is written by the sum that answers it, as in `Ring`: what a retransmission carries after that is dropped.
/// Where this rank itself encodes into a slot again, its writes of the turns before have completed: it waits for that once a turn (`drain`).
/// 7. Window c takes the slots of window c - depth. Of these the last message left in turn c - depth + lag, before turn c begins, as `lag` < depth.
/// 8. The own sum of window c is encoded in turn c + lag, or in c by a gatherStripes. Turn c + lag waits itself, or is the first without a window of its own: then the
///    turn before has waited, after turn c + lag - depth, in which the own slot was sent from last, because depth is more than 1 where `lag` is not 0.
///
/// *Bits.* A sum begins with its owner's part, which is not encoded, and goes on with the rank after it. Blocks are those of stripes. So neither windows nor, where it
/// is cut at multiples of `WireFormat.blockElements`, the operation's begin and end change a bit.
public struct Compressed: Equatable, Sendable {
    let shape: Shape
    /// Stripes of an owner in a window.
    let stripesPerWindow: Int
    let windows: Int
    /// Turns by which adding up is behind sending.
    let lag: Int
    /// Turns from sending a part of a window until its slots are used again.
    let depth: Int
    /// Windows that have slots at once: as many as `depth`, unless a test wants to see one too few.
    var places: Int
    let slotBytes: Int

    init(_ shape: Shape) {
        self.shape = shape
        let stripes = shape.stripes
        let stripeBytes = shape.wire.byteCount(of: stripes.elements)
        let chunkBytes = shape.chunkElements * MemoryLayout<Float>.size
        let peers = shape.worldSize - 1
        func slots(_ depth: Int) -> Int {
            switch shape.collective {
            case .reduceStripes: 2 * peers * depth
            case .gatherStripes: (peers + 1) * depth
            default: (2 * peers + 1) * depth
            }
        }
        func depth(_ lag: Int) -> Int { 2 * lag + (shape.collective == .allReduce ? 1 : 2) }
        func room(_ lag: Int) -> Int { min(shape.gatedSlots * chunkBytes / slots(depth(lag)), chunkBytes) / 64 * 64 }
        lag = room(1) >= stripeBytes ? 1 : 0
        self.depth = depth(lag)
        places = self.depth
        slotBytes = room(lag)
        // Enough windows that computing and the wire take turns, none too small to be a message.
        let worthwhile = max(
            (stripes.mostOfAnOwner + Self.worthwhileWindows - 1) / Self.worthwhileWindows,
            shape.minChunkElements * MemoryLayout<Float>.size / stripeBytes)
        stripesPerWindow = max(1, min(worthwhile, slotBytes / stripeBytes))
        windows = (stripes.mostOfAnOwner + stripesPerWindow - 1) / stripesPerWindow
    }

    static func canCarryOut(_ operation: Operation, in settings: ExecutorSettings) -> Bool {
        operation.collective.canBeStriped && operation.type == .float32 && operation.isInPlace && operation.stripe > 0
            && operation.stripe % WireFormat.blockElements == 0
            && (operation.algorithm ?? .compressed) == .compressed && settings.stripeBytes >= 4 * operation.stripe
    }

    /// Windows that an operation is cut into before their messages become as large as slots allow.
    private static let worthwhileWindows = 8

    // MARK: steps

    /// Invitations, also where nothing is to be reduced: so that ranks which do something else at this place of the order are noticed. Then the turns, of which the last
    /// ones take only.
    public var count: Int { 2 * peers + (windows > 0 ? turns * stepsOfTurn : 0) }

    private var peers: Int { shape.worldSize - 1 }
    private func peer(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }
    private var turns: Int { windows + (shape.collective == .allReduce ? depth : lag) }

    private var sendsParts: Bool { shape.collective != .gatherStripes }
    private var sendsSums: Bool { shape.collective != .reduceStripes }

    /// For each peer a sum that comes and a part that goes; then for each a part that comes, one step of adding up, for each a sum that goes.
    private var stepsOfTurn: Int {
        switch shape.collective {
        case .reduceStripes: 2 * peers + 1
        case .gatherStripes: 2 * peers + 1
        default: 4 * peers + 1
        }
    }

    public subscript(index: Int) -> Step {
        if index < peers { return Step(send: .signal(peer(index))) }
        if index < 2 * peers { return Step(receive: peer(index - peers)) }
        let (turn, step) = (index - 2 * peers).quotientAndRemainder(dividingBy: stepsOfTurn)
        switch shape.collective {
        case .reduceStripes:
            if step < peers { return sendPart(turn, to: peer(step), drain: step == 0 && reuses(turn)) }
            return step < 2 * peers ? takePart(turn - lag, from: peer(step - peers)) : addUp(turn - lag)
        case .gatherStripes:
            if step == 0 { return addUp(turn, drain: reuses(turn)) }
            return step <= peers ? sendSum(turn, to: peer(step - 1)) : takeSum(turn - lag, from: peer(step - 1 - peers))
        default:
            if step < peers { return takeSum(turn - depth, from: peer(step)) }
            if step < 2 * peers { return sendPart(turn, to: peer(step - peers), drain: step == peers && reuses(turn)) }
            if step < 3 * peers { return takePart(turn - lag, from: peer(step - 2 * peers)) }
            return step == 3 * peers ? addUp(turn - lag) : sendSum(turn - lag, to: peer(step - 3 * peers - 1))
        }
    }

    /// Whether a turn encodes into slots of an earlier window.
    private func reuses(_ turn: Int) -> Bool { depth..<max(depth, windows) ~= turn }

    // MARK: windows

    /// What an owner has in window `index`; empty beyond the last window, before the first, and of a rank that owns nothing.
    func window(_ index: Int, of rank: Int) -> StripeWindow {
        guard 0..<windows ~= index, let owner = shape.topology.owner(rank) else { return StripeWindow(owner: 0) }
        var window = StripeWindow(owner: owner, first: index * stripesPerWindow)
        for stripe in window.first..<window.first + stripesPerWindow {
            let count = shape.stripes.stripe(stripe, of: owner).count
            if count == 0 { break }
            window.stripes += 1
            window.count += count
            window.byteCount += shape.wire.byteCount(of: count)
        }
        return window
    }

    /// Whether a message of this window is sent at all; both ends agree. See the claims about halves.
    private func isSent(_ window: StripeWindow, _ index: Int) -> Bool {
        0..<windows ~= index && (window.count > 0 || shape.collective != .allReduce)
    }

    private func sendPart(_ index: Int, to owner: Int, drain: Bool) -> Step {
        let window = window(index, of: owner)
        guard isSent(window, index) else { return Step(drain: drain) }
        let source = sumSlot(index, of: owner, at: shape.rank)
        return Step(
            drain: drain, action: window.count > 0 ? .encode(window, to: source) : nil,
            send: Send(
                peer: owner, from: .encoded(source), to: .encoded(partSlot(index, of: shape.rank, at: owner)), count: window.byteCount),
            channel: index % shape.channels)
    }

    private func takePart(_ index: Int, from peer: Int) -> Step {
        isSent(window(index, of: shape.rank), index) ? Step(receive: peer, channel: index % shape.channels) : Step()
    }

    private func addUp(_ index: Int, drain: Bool = false) -> Step {
        let window = window(index, of: shape.rank)
        guard window.count > 0 else { return Step(drain: drain) }
        return Step(
            drain: drain,
            action: .addUp(
                EncodedSum(
                    window: window, parts: sendsParts ? peers : 0, firstPart: partSlot(index, of: peer(0), at: shape.rank),
                    stride: depth * slotBytes, result: sendsSums ? ownSlot(index) : nil)))
    }

    private func sendSum(_ index: Int, to peer: Int) -> Step {
        let window = window(index, of: shape.rank)
        guard isSent(window, index) else { return Step() }
        return Step(
            send: Send(
                peer: peer, from: .encoded(ownSlot(index)), to: .encoded(sumSlot(index, of: shape.rank, at: peer)),
                count: window.byteCount),
            channel: index % shape.channels)
    }

    private func takeSum(_ index: Int, from owner: Int) -> Step {
        let window = window(index, of: owner)
        guard isSent(window, index) else { return Step() }
        return Step(
            receive: owner, action: window.count > 0 ? .decode(window, from: sumSlot(index, of: owner, at: shape.rank)) : nil,
            channel: index % shape.channels)
    }

    // MARK: memory

    /// Where what concerns `peer` lies at `rank`: those of the ranks that follow it are next to each other, in the order in which they are added up.
    private func slot(_ index: Int, of peer: Int, at rank: Int) -> Int {
        let turn = (peer - rank - 1 + shape.worldSize) % shape.worldSize
        return (turn * depth + index % places) * slotBytes
    }

    private func sumSlot(_ index: Int, of owner: Int, at rank: Int) -> Int { slot(index, of: owner, at: rank) }

    private func partSlot(_ index: Int, of sender: Int, at owner: Int) -> Int {
        peers * depth * slotBytes + slot(index, of: sender, at: owner)
    }

    /// Behind the sum slots, and the part slots where there are such.
    var endOfSlots: Int { ownSlot(0) + (sendsSums ? depth * slotBytes : 0) }
    private func ownSlot(_ index: Int) -> Int { ((sendsParts ? 2 : 1) * peers * depth + index % places) * slotBytes }
}
