/// The ring, one-sided and pipelined: allreduce, reduce-scatter and allgather, and the halves of a striped allreduce.
///
/// N ranks stand in a ring; each writes to its right neighbour only. The buffer is cut into N segments. In the N-1 hops of a
/// *reduce-scatter* a segment travels once around: each rank adds its own part and passes it on. In the N-1 hops of an *allgather* the
/// finished segments travel around and are kept. An allreduce is the one after the other:
///
///     at hop h of an allreduce or allgather, rank r sends segment (r - h) mod N; of a reduce-scatter (r - 1 - h) mod N, so that it ends
///     with segment r. What it receives at hop h is what its left neighbour sent at hop h.
///
/// Every rank sends 2(N-1)/N of the buffer in an allreduce, the least possible, and all links are busy all the time.
///
/// *Chunks.* A segment is cut into chunks, so that a rank passes on the first while the next is still under way. `P` chunks
/// of each segment make a *round*; the rounds of a large buffer follow each other without a gap, since a rank begins the next
/// round's hop 0 while the last hop of this one is still coming in. With H hops, send number m of a rank is therefore
///
///     round m / (H P),  hop (m / P) mod H,  chunk m mod P
///
/// and it comes after receive number m - P: at a later hop that is the same chunk one hop earlier, whose sum it passes on; at hop 0 of
/// a later round it is the round before's last hop, and only the order matters.
///
/// *Begin.* A rank writes nothing before its right neighbour has invited it, that is, has begun the same operation.
///
/// *Stripes.* Chunk c of segment s of a striped operation is the c-th stripe of owner s inside the operation's range (`Stripes`); the first and the last may
/// be parts of one, and a chunk may be empty. An allreduce begins one station later then, as a reduce-scatter does, so that segment s ends its way at its
/// owner: what a reduceStripes leaves there is what an allreduce hands on from there, and what a gatherStripes begins with. The halves work in place, and a
/// partial sum lies in the output, of which a reduceStripes promises only the own stripes.
///
/// *No credits.* What makes a slot free, with nobody saying so:
/// 1. Receive m of a rank is its left neighbour's send m. Every rank posts send m after its receive m - P, by the list of its steps.
/// 2. So rank r posts send m after its left neighbour's receive m - 2P, and, N - 1 times to the left, after its right neighbour's receive m - NP.
/// 3. A chunk to be reduced is written into a slot of the right neighbour, a finished one straight into its output. The slot of send m is free when the
///    neighbour has consumed its receive m - NP or an earlier one: by 2, NP slots used in turn are never written too early.
/// 4. A reduceScatter and a reduceStripes of several rounds use NP slots in turn. A round of an allreduce is 2(N-1)P sends long, no less than NP, so
///    (N-1)P slots do, one for each reducing hop and chunk of a round; in one round each slot is used once.
/// 5. By 2, no more than NP chunks are unread.
///
/// *Overwriting.* What a write replaces is read by nobody any more:
/// 6. A slot from which a partial sum was sent (reduceScatter) is written again by the left neighbour's send k + NP, if it was filled by its send k. By 2, that
///    is posted after the right neighbour's receive k + P, which is the partial sum.
/// 7. The output of a partial sum (allreduce, reduceStripes) is written once before it is sent, by the rank itself, because each chunk comes to a rank once
///    in the reducing hops.
/// 8. A finished chunk comes to a rank only after all ranks have added to it, that is after the right neighbour has received what this rank
///    sent from there. So the source of that write may be replaced: a duplicate of a retransmission is dropped.
/// 9. In a gatherStripes a chunk replaces scratch of a rank that has invited its left neighbour. It is read there only by the write that passes it on,
///    after it has come, and comes once.
///
/// *Machines.* In a hierarchical allreduce, and in its halves, the ring runs between nodes, one ring for each place that all nodes have: place l takes slice l
/// of the buffer, of stripes those of the owners at place l, and what it adds to a segment is the sum over its node, taken in one pass over the mapped inputs
/// at the moment when it is needed. A finished chunk is stored into all outputs of the node, by a gatherStripes also the own one. It all begins when the
/// node's ranks have begun, and ends when they are done: nobody else touches slice l of this node's memory meanwhile. Ranks at places that a smaller node
/// does not have only say so: others work for them.
///
/// *Bits.* Segment bounds depend on the count and the world alone, owners of stripes on the place in the buffer and the world alone: so the order in
/// which an element is summed does not depend on the size of chunks.
///
/// Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69 (2009).
public struct Ring: Equatable, Sendable {
    let shape: Shape
    /// N: stations of the ring, ranks or nodes.
    let stations: Int
    /// This rank's place in it.
    let position: Int
    /// Ranks of this node, 1 in a flat ring, and this rank's place among them.
    let local: Int
    let localSize: Int
    /// Rings side by side: places that all nodes have.
    let places: Int
    /// P: chunks of a segment that travel together.
    public let chunksPerRound: Int
    public let rounds: Int
    /// Elements of a chunk; the last chunks of a segment may have fewer, or none, and of stripes the first.
    public let chunkElements: Int

    init(_ shape: Shape, isHierarchical: Bool) {
        self.shape = shape
        let topology = shape.topology
        stations = isHierarchical ? topology.nodeCount : shape.worldSize
        position = isHierarchical ? topology.node(of: shape.rank) : shape.rank
        local = isHierarchical ? topology.local(of: shape.rank) : 0
        localSize = isHierarchical ? topology.size(ofNode: position) : 1
        places = isHierarchical ? topology.places : 1
        // The longest segment of any rank, so that all cut alike.
        let slice = shape.collective == .allReduce ? (shape.count + places - 1) / places : shape.count
        let segment = shape.collective == .allReduce ? (slice + stations - 1) / stations : slice
        let chunks = shape.isStriped ? shape.stripes.mostOfAnOwner : (segment + shape.chunkElements - 1) / shape.chunkElements
        if chunks <= shape.maxChunks {
            // One round: as many chunks as are worth it.
            let worthwhile = shape.isStriped ? 0 : segment / max(1, shape.minChunkElements)
            chunksPerRound = min(shape.maxChunks, max(1, chunks, worthwhile))
            rounds = 1
        } else {
            let most = shape.onlyReduces ? min(shape.maxChunks, shape.gatedSlots / stations) : shape.maxChunks
            rounds = (chunks + most - 1) / most
            chunksPerRound = (chunks + rounds - 1) / rounds
        }
        chunkElements = shape.isStriped ? shape.stripes.elements : (segment + rounds * chunksPerRound - 1) / (rounds * chunksPerRound)
    }

    /// Steps: a beginning; two for each transfer (what comes in, what goes out), of which the last P go out only and the first P come in
    /// only; an end.
    public var count: Int { opening + 2 * turns + 2 * (localSize - 1) }

    public subscript(index: Int) -> Step {
        if index < opening { return openingStep(index) }
        let (transfer, part) = (index - opening).quotientAndRemainder(dividingBy: 2)
        if transfer < turns {
            if part == 0 { return transfer < chunksPerRound ? Step() : receive(transfer - chunksPerRound) }
            return transfer < transfers ? send(transfer) : Step()
        }
        var step = shape.nodeStep(index - opening - 2 * turns)
        step.isPatient = !isInRing
        return step
    }

    /// Elements of segment `index`, in the coordinates of the whole buffer. Of a striped operation it is the stripes of one owner, and not in one piece.
    func segment(_ index: Int) -> Range<Int> {
        guard shape.collective == .allReduce else { return shape.block(index) }
        return part(index, of: stations, in: part(local, of: places, in: 0..<shape.count))
    }

    /// Elements of chunk `number` of segment `index`.
    private func chunk(_ number: Int, of index: Int) -> Range<Int> {
        if shape.isStriped { return shape.stripes.stripe(number, of: index * places + local) }
        let segment = segment(index)
        let start = min(segment.upperBound, segment.lowerBound + number * chunkElements)
        return start..<min(segment.upperBound, start + chunkElements)
    }

    // MARK: beginning and end

    /// Inside the node, say and hear that all have begun; in a ring, then invite the left neighbour and hear the right one's invitation.
    private var opening: Int { 2 * (localSize - 1) + (isInRing ? 2 : 0) }

    private var isInRing: Bool { local < places }

    private func openingStep(_ index: Int) -> Step {
        switch index - 2 * (localSize - 1) {
        case 0: Step(action: own, send: .signal(left))
        case 1: Step(receive: right)
        default: shape.nodeStep(index)
        }
    }

    /// An allgather's own block lies in the output too.
    private var own: Action? { shape.collective == .allGather ? shape.copyOwn(from: 0, to: shape.block(shape.rank).lowerBound) : nil }

    private var left: Int { station((position + stations - 1) % stations) }
    private var right: Int { station((position + 1) % stations) }
    private func station(_ position: Int) -> Int {
        stations == shape.worldSize ? position : shape.topology.rank(local, ofNode: position)
    }
    private func size(ofStation position: Int) -> Int { stations == shape.worldSize ? 1 : shape.topology.size(ofNode: position) }

    // MARK: transfers

    private var hops: Int { shape.collective == .allReduce ? 2 * (stations - 1) : stations - 1 }
    /// Hops that reduce; they come first.
    private var reducingHops: Int { shape.collective == .allGather || shape.collective == .gatherStripes ? 0 : stations - 1 }
    /// Stations by which a segment begins after the one that it is named after: where that one is to have the sum, the next one begins.
    private var shift: Int { shape.collective == .reduceScatter || (shape.isStriped && shape.collective != .gatherStripes) ? 1 : 0 }
    /// Sends, and receives, of a rank.
    private var transfers: Int { rounds * hops * chunksPerRound }
    /// Pairs of steps that they take; see `count`.
    private var turns: Int { isInRing ? transfers + chunksPerRound : 0 }

    private struct PointToPoint {
        var hop: Int
        /// Chunks take the channels in turn, each the same one at every hop.
        var channel: Int
        var slot: Int
        var range: Range<Int>
    }

    /// What send number `index` of the rank at `sender` carries.
    private func transfer(_ index: Int, from sender: Int) -> PointToPoint {
        let (round, inRound) = index.quotientAndRemainder(dividingBy: hops * chunksPerRound)
        let (hop, chunk) = inRound.quotientAndRemainder(dividingBy: chunksPerRound)
        let range = self.chunk(round * chunksPerRound + chunk, of: (sender - shift - hop + 2 * stations) % stations)
        let slot = shape.onlyReduces ? index % (stations * chunksPerRound) : inRound
        return PointToPoint(hop: hop, channel: chunk % shape.channels, slot: slot, range: range)
    }

    private func send(_ index: Int) -> Step {
        let transfer = transfer(index, from: position)
        let start = transfer.range.lowerBound
        let target: Send.Target = transfer.hop < reducingHops ? .gated(slot: transfer.slot) : .output(start)
        let source: Location
        var action: Action?
        switch shape.collective {
        case .reduceScatter:
            let slots = stations * chunksPerRound
            source = transfer.hop == 0 ? .input(start) : .gated(slot: (transfer.slot + slots - chunksPerRound) % slots)
        case .allGather: source = transfer.hop == 0 ? .input(start - shape.block(shape.rank).lowerBound) : .output(start)
        default:
            source = transfer.hop == 0 && localSize == 1 ? .input(start) : .output(start)
            if transfer.hop == 0, localSize > 1, reducingHops == 0 {
                action = .spread(from: .output(start), start: start, except: shape.rank, count: transfer.range.count)
            } else if transfer.hop == 0, localSize > 1 {
                action = .fold(
                    Fold(
                        .node(partial: nil, start: start, first: 0), into: .location(.output(start)), count: transfer.range.count,
                        isFinal: false))
            }
        }
        return Step(
            action: action, send: Send(peer: right, from: source, to: target, count: transfer.range.count), channel: transfer.channel)
    }

    private func receive(_ index: Int) -> Step {
        let transfer = transfer(index, from: (position + stations - 1) % stations)
        let (start, count) = (transfer.range.lowerBound, transfer.range.count)
        guard transfer.hop < reducingHops else {
            let spreading = Action.spread(from: .output(start), start: start, except: shape.rank, count: count)
            return Step(receive: left, action: localSize > 1 ? spreading : nil, channel: transfer.channel)
        }
        let slot = Location.gated(slot: transfer.slot)
        let isFinal = transfer.hop == reducingHops - 1
        let target: Fold.Target
        switch shape.collective {
        case .reduceScatter: target = .location(isFinal ? .output(start - shape.block(shape.rank).lowerBound) : slot)
        case .allReduce where isFinal && localSize > 1: target = .node(start: start)
        default: target = .location(.output(start))
        }
        let sources: Fold.Sources =
            localSize > 1 ? .node(partial: slot, start: start, first: 0) : .pair(slot, .input(start))
        // A station of one rank begins with what that has.
        let isRaw = transfer.hop == 0 && size(ofStation: (position + stations - 1) % stations) == 1
        let fold = Fold(sources, into: target, count: count, isFinal: isFinal, partials: isRaw ? 0 : 1)
        return Step(receive: left, action: .fold(fold), channel: transfer.channel)
    }
}

extension ExecutorSettings {
    /// How the ring cuts an operation: chunks of a segment that travel together, and rounds of them.
    package func ringChunks(of operation: Operation) -> (chunks: Int, rounds: Int) {
        let ring = Ring(shape(of: operation, rank: 0, layout: receiveBuffers), isHierarchical: operation.algorithm == .hierarchical)
        return (ring.chunksPerRound, ring.rounds)
    }
}
