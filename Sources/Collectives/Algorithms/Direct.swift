/// Collectives between ranks that see each other's memory: nothing travels but signals, and a small reduction's parts.
///
/// Every rank says that its memory is ready to those who will touch it, and waits for those whose memory it touches; then it does its
/// share in one pass over the mapped buffers; then it says that it is done, and waits for those who touch its memory. A reduction is shared
/// by segments, or by stripes: rank r reduces segment r over all inputs and stores it into every output that wants it. What all ranks get, of an allgather
/// or of stripes, its owner reads once and stores into all outputs. So the owner does with a block of an all-to-all. In an all-to-all in place every two
/// ranks swap their blocks, each of them one half, chunk by chunk through a receive slot of its own, which stays in its cache.
///
/// *Roots.* A gather's blocks are stored by their owners, who leave then; what a root gives is fetched from it. Between two ranks nobody looks on where a
/// share is worth a message: each stores half of a broadcast into all outputs, and moves half of a gather's or a scatter's block in place. Of more
/// than two only the root would look on, and for that all would have to wait for each other. What is too small to be shared by more than two is
/// reduced by the root, from slots that it invites the others to write: they leave then, too.
///
/// *Bits.* Sums are taken in the order of the ring, of the chain where there is a root.
public struct Direct: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    private var others: Int { shape.worldSize - 1 }
    private func peer(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }

    /// Whose memory this rank touches: all, or only the root's; nobody's.
    private enum Reach { case all, root, none }

    /// Whether both of two ranks move a half of what one of them could move alone.
    private var isShared: Bool {
        guard shape.worldSize == 2 else { return false }
        return switch shape.collective {
        case .broadcast: shape.count >= 2 * shape.minChunkElements
        case .gather, .scatter: shape.isInPlace && shape.count >= shape.minChunkElements
        default: false
        }
    }

    /// Whether a reduction's root does it alone.
    private var isReducedByRoot: Bool {
        guard case .reduce = shape.collective else { return false }
        return shape.worldSize > 2 && shape.count < min(shape.minChunkElements, shape.chunkElements + 1)
    }

    private var touches: Reach {
        switch shape.collective {
        case .broadcast where isShared: .all
        case .scatter(let root) where isShared: root == shape.rank ? .all : .root
        case .broadcast(let root), .scatter(let root): root == shape.rank ? .none : .root
        case .gather(let root): root != shape.rank ? .root : isShared ? .all : .none
        case .reduce(let root) where isReducedByRoot: root == shape.rank ? .none : .root
        default: .all
        }
    }

    /// Who touches this rank's memory.
    private var isTouchedBy: Reach {
        switch shape.collective {
        case .broadcast where isShared: .all
        case .scatter(let root) where isShared: root == shape.rank ? .all : .root
        case .broadcast(let root), .scatter(let root): root == shape.rank ? .all : .none
        case .gather(let root): root == shape.rank ? .all : isShared ? .root : .none
        case .reduce(let root) where isReducedByRoot: root == shape.rank ? .all : .none
        default: .all
        }
    }

    private func count(_ reach: Reach) -> Int {
        switch reach {
        case .all: others
        case .root: 1
        case .none: 0
        }
    }

    private func peer(_ index: Int, in reach: Reach) -> Int { reach == .root ? shape.collective.root : peer(index) }

    public var count: Int {
        2 * count(touches) + 2 * count(isTouchedBy) + work + (isReducedByRoot && shape.collective.root == shape.rank ? 1 : 0)
    }

    public subscript(index: Int) -> Step {
        let (mine, theirs) = (count(isTouchedBy), count(touches))
        var index = index
        if index < mine { return Step(send: .signal(peer(index, in: isTouchedBy))) }
        index -= mine
        if index < theirs { return Step(receive: peer(index, in: touches)) }
        index -= theirs
        if index < work { return Step(action: action(index)) }
        index -= work
        if index < theirs { return Step(send: isReducedByRoot ? partOfSum(for: shape.collective.root) : .signal(peer(index, in: touches))) }
        index -= theirs
        return index < mine ? Step(receive: peer(index, in: isTouchedBy)) : Step(action: sumOfParts)
    }

    /// What a reduction's root sums up, in the order of its chain, and how it gets it.
    private var sumOfParts: Action {
        .fold(Fold(.slotsAndInput(slots: 0..<others, start: 0), into: .location(.output(0)), count: shape.count, isFinal: true))
    }

    private func partOfSum(for root: Int) -> Send {
        let turn = (shape.rank - root - 1 + shape.worldSize) % shape.worldSize
        return Send(peer: root, from: .input(0), to: .gated(slot: turn), count: shape.count)
    }

    /// Actions of this rank's share.
    private var work: Int {
        switch shape.collective {
        case .allReduce where shape.isStriped, .reduceStripes, .gatherStripes: shape.stripes.count(of: shape.rank)
        case .reduce: isReducedByRoot ? 0 : 1
        case .allReduce, .reduceScatter, .allGather, .broadcast, .gather, .scatter: 1
        case .allToAll where shape.swaps: 3 * others * swapsPerBlock
        case .allToAll: shape.worldSize
        case .barrier, .send, .receive: 0
        }
    }

    private func action(_ index: Int) -> Action? {
        let (rank, count, own) = (shape.rank, shape.count, shape.block(shape.rank))
        switch shape.collective {
        case .allReduce where shape.isStriped, .reduceStripes:
            let range = shape.stripes.stripe(index, of: rank)
            let target: Fold.Target = shape.collective == .allReduce ? .node(start: range.lowerBound) : .location(.output(range.lowerBound))
            return fold(from: range.lowerBound, into: target, count: range.count, first: (rank + 1) % shape.worldSize)
        case .gatherStripes:
            // Read once and stored into all other outputs, where a fetch would read each stripe as often as there are ranks.
            let range = shape.stripes.stripe(index, of: rank)
            return .spread(from: .output(range.lowerBound), start: range.lowerBound, except: rank, count: range.count)
        case .allReduce:
            let range = part(rank, of: shape.worldSize, in: 0..<count)
            return fold(from: range.lowerBound, into: .node(start: range.lowerBound), count: range.count, first: rank)
        case .reduce(let root):
            let range = part(rank, of: shape.worldSize, in: 0..<count)
            let target: Location = root == rank ? .output(range.lowerBound) : .peerOutput(range.lowerBound, rank: root)
            return fold(from: range.lowerBound, into: .location(target), count: range.count, first: (root + 1) % shape.worldSize)
        case .reduceScatter:
            return fold(from: own.lowerBound, into: .location(.output(0)), count: own.count, first: (rank + 1) % shape.worldSize)
        case .allGather:
            return .spread(from: .input(0), start: own.lowerBound, except: shape.isInPlace ? rank : nil, count: own.count)
        case .gather(let root):
            let share = rootsShare(of: own)
            guard root == rank else {
                let target = Location.peerOutput(own.lowerBound + share, rank: root)
                return .copy(from: .input(share), to: target, count: own.count - share)
            }
            guard isShared else { return shape.copyOwn(from: 0, to: own.lowerBound) }
            let block = shape.block(peer(0))
            return .copy(from: .peerInput(0, rank: peer(0)), to: .output(block.lowerBound), count: rootsShare(of: block))
        case .allToAll where shape.swaps: return swap(index)
        case .allToAll:
            guard index < others else { return shape.copyOwn(from: own.lowerBound, to: own.lowerBound) }
            let block = shape.block(peer(index))
            return .copy(from: .input(block.lowerBound), to: .peerOutput(own.lowerBound, rank: peer(index)), count: block.count)
        case .broadcast(let root) where isShared:
            let range = part(rank, of: shape.worldSize, in: 0..<count)
            let source = root == rank ? Location.input(range.lowerBound) : .peerInput(range.lowerBound, rank: root)
            return .spread(from: source, start: range.lowerBound, except: shape.isInPlace ? root : nil, count: range.count)
        case .broadcast(let root):
            return root == rank ? shape.copyOwn(from: 0, to: 0) : .copy(from: .peerInput(0, rank: root), to: .output(0), count: count)
        case .scatter(let root):
            guard root == rank else {
                let share = rootsShare(of: own)
                return .copy(from: .peerInput(own.lowerBound + share, rank: root), to: .output(share), count: own.count - share)
            }
            guard isShared else { return shape.copyOwn(from: own.lowerBound, to: 0) }
            let block = shape.block(peer(0))
            return .copy(from: .input(block.lowerBound), to: .peerOutput(0, rank: peer(0)), count: rootsShare(of: block))
        case .barrier, .send, .receive: return nil
        }
    }

    /// How much of another rank's block, from its beginning on, a gather's or a scatter's root moves.
    private func rootsShare(of block: Range<Int>) -> Int { isShared ? part(0, of: shape.worldSize, in: block).count : 0 }

    /// Chunks of the longer half of a block.
    private var swapsPerBlock: Int { ((shape.count + 1) / 2 + shape.chunkElements - 1) / shape.chunkElements }

    /// Of the three copies of a swap the one whose turn it is.
    private func swap(_ index: Int) -> Action? {
        let (turn, copy) = index.quotientAndRemainder(dividingBy: 3)
        let (peer, chunk) = (peer(turn / swapsPerBlock), turn % swapsPerBlock)
        let half = part(shape.rank < peer ? 0 : 1, of: 2, in: 0..<shape.count)
        let start = half.lowerBound + chunk * shape.chunkElements
        let count = min(half.upperBound - start, shape.chunkElements)
        guard count > 0 else { return nil }
        let mine = Location.output(shape.block(peer).lowerBound + start)
        let theirs = Location.peerOutput(shape.block(shape.rank).lowerBound + start, rank: peer)
        switch copy {
        case 0: return .copy(from: theirs, to: .gated(slot: 0), count: count)
        case 1: return .copy(from: mine, to: theirs, count: count)
        default: return .copy(from: .gated(slot: 0), to: mine, count: count)
        }
    }

    private func fold(from start: Int, into target: Fold.Target, count: Int, first: Int) -> Action {
        .fold(Fold(.node(partial: nil, start: start, first: first), into: target, count: count, isFinal: true))
    }
}
