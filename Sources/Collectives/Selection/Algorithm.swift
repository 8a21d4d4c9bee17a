internal import Reduction

/// How a collective is carried out. Each is described in the file of its schedule.
public enum Algorithm: String, Sendable, CaseIterable {
    /// One pass over mapped buffers, on one node.
    case direct
    /// Everyone writes to everyone, small messages.
    case oneShot = "oneshot"
    /// Small messages at many ranks.
    case bruck
    /// Middling messages between many ranks: sums swapped in pairs.
    case recursiveDoubling = "recursive-doubling"
    /// Pipelined around all ranks; a chain where there is a root.
    case ring
    /// Binomial, where there is a root.
    case tree
    /// Block by block.
    case pairwise
    /// Inside the nodes through their memory, between them one ring for each place.
    case hierarchical
    /// Straight to each owner and back in a wire format; carries out what has one, and nothing else.
    case compressed
    /// Tile by tile through receive buffers, where ranks do not see each other's memory.
    case tiled
    /// Large buffers between many ranks: halves of what is left swapped in pairs, and back.
    case halvingDoubling = "halving-doubling"

    /// Whether peers write into eager slots, unasked.
    package var isEager: Bool { self == .oneShot || self == .bruck || self == .recursiveDoubling }

    var code: UInt8 { UInt8(Self.allCases.firstIndex(of: self)!) }

    /// Whether the algorithm can carry out the collective.
    /// - Parameters:
    ///   - byteCount: of one rank's part: `count` elements, of the largest where they differ.
    ///   - isUneven: whether they do.
    ///   - isStriped: whether the operation has stripes. In a nested world all that carry one out sum it node by node: there is no flat ring.
    ///   - isPrivate: whether peers see neither input nor output.
    func supports(
        _ collective: Collective, byteCount: Int, isUneven: Bool = false, isStriped: Bool = false, isPrivate: Bool = false,
        in settings: ExecutorSettings
    ) -> Bool {
        let fitsSlot = byteCount <= settings.eagerBytes
        if isPrivate, settings.worldSize > 1, !isEager, self != .tiled { return false }
        switch (self, collective) {
        case (_, .send), (_, .receive): return self == .pairwise
        case (_, _) where settings.worldSize == 1: return true
        case (_, .allToAll) where isUneven: return self == .pairwise
        case (.direct, .barrier): return false
        case (.direct, _): return settings.topology.isOneNode
        case (.oneShot, .barrier), (.bruck, .barrier): return true
        case (.oneShot, .allReduce) where isStriped, (.bruck, .allReduce) where isStriped:
            return fitsSlot && !settings.topology.isDeep
        case (.oneShot, .allReduce), (.oneShot, .reduceScatter), (.oneShot, .allGather), (.oneShot, .allToAll): return fitsSlot
        case (.oneShot, .broadcast), (.oneShot, .reduce), (.oneShot, .gather), (.oneShot, .scatter):
            // Between more than two they would have to wait for each other without need.
            return fitsSlot && settings.worldSize == 2
        case (.bruck, .allReduce), (.bruck, .allGather): return fitsSlot
        case (.recursiveDoubling, .allReduce) where !isStriped || (settings.topology.isDeep && !settings.topology.isNested):
            let (ranks, slots) = (settings.worldSize, RecursiveDoubling.slots(worldSize: settings.worldSize))
            return ranks >= RecursiveDoubling.minRanks && byteCount <= ranks * settings.eagerBytes / slots
        case (.ring, .allReduce) where isStriped, (.ring, .reduceStripes), (.ring, .gatherStripes):
            return !settings.topology.isNested && !settings.topology.isDeep && settings.hasRoomForRing
        case (.hierarchical, .allReduce) where isStriped, (.hierarchical, .reduceStripes), (.hierarchical, .gatherStripes):
            return settings.topology.isNested && !settings.topology.isDeep
        case (.halvingDoubling, .allReduce) where isStriped, (.halvingDoubling, .reduceStripes), (.halvingDoubling, .gatherStripes):
            return settings.topology.isDeep
        case (.halvingDoubling, .allReduce): return settings.topology.isPaired
        case (.ring, .allReduce), (.ring, .reduceScatter), (.ring, .allGather): return settings.hasRoomForRing
        case (.ring, .broadcast), (.ring, .reduce): return true
        case (.hierarchical, .allReduce): return settings.topology.isNested
        case (.tree, .broadcast): return byteCount <= settings.messageBytes
        case (.tree, .reduce): return byteCount <= settings.chunkBytes
        case (.tiled, .allReduce), (.tiled, .reduceScatter), (.tiled, .allGather), (.tiled, .allToAll): return !isStriped
        case (.pairwise, .allToAll), (.pairwise, .gather), (.pairwise, .scatter): return true
        default: return false
        }
    }

    /// What may be chosen without being asked for. Algorithms that sum in another order, or round more often, are never rivals: then a fixed
    /// size decides, and the bits of a result do not depend on what was measured.
    /// - Parameter largestByteCount: nil where all parts are of `byteCount`, which is their mean otherwise.
    static func candidates(
        for collective: Collective, byteCount: Int, largestByteCount: Int? = nil, isStriped: Bool = false, isPrivate: Bool = false,
        type: ElementType, in settings: ExecutorSettings
    ) -> [Algorithm] {
        let possible = allCases.filter {
            (isPrivate || $0 != .tiled)
                && $0.supports(
                    collective, byteCount: largestByteCount ?? byteCount, isUneven: largestByteCount != nil, isStriped: isStriped,
                    isPrivate: isPrivate, in: settings)
        }
        if settings.worldSize == 1 || possible.count == 1 { return [possible[0]] }
        if settings.topology.isOneNode || isPrivate {
            return possible.filter { ![.recursiveDoubling, .ring, .tree, .pairwise].contains($0) || collective.peer != nil }
        }
        switch collective {
        case .reduce: return [byteCount <= fixedSmallBytes && possible.contains(.tree) ? .tree : .ring]
        case .allReduce, .reduceScatter:
            let large: Algorithm = settings.topology.isNested && collective == .allReduce ? .hierarchical : .ring
            let small = possible.filter { $0 == .oneShot || $0 == .bruck }
            let (ranks, hops) = (settings.worldSize, RecursiveDoubling.hops(worldSize: settings.worldSize))
            // Guests cost two hops more, in which more can be gathered.
            let gathered = (ranks.nonzeroBitCount == 1 ? fixedGatheredBytes : 4 * fixedGatheredBytes) / (ranks - 1)
            if collective == .allReduce, settings.topology.isDeep {
                if !isStriped, !small.isEmpty, byteCount <= gathered { return small }
                // Both add up in the same pairs, unless a node's ranks come first.
                return possible.filter { $0 == .halvingDoubling || ($0 == .recursiveDoubling && !settings.topology.isNested) }
            }
            // No size may decide about a striped operation, for what it is a part of may be cut into any sizes.
            if isStriped { return type.byteCount == 2 ? [large] : small + [large] }
            if collective == .allReduce, !settings.topology.isNested, hops < ranks - 1 {
                if !small.isEmpty, byteCount <= gathered { return small }
                return byteCount <= fixedDoublingBytes && possible.contains(.recursiveDoubling) ? [.recursiveDoubling] : [large]
            }
            guard type.byteCount == 2 else { return small + [large] }
            return byteCount <= fixedSmallBytes && !small.isEmpty ? small : [large]
        default: return possible
        }
    }

    /// Where size alone decides.
    static let fixedSmallBytes = 8 << 10
    /// Where everyone's part is gathered as long as a rank gets no more than this; then sums are swapped. A wire of 100 Gb/s would gather
    /// more (by `Costs.typical` up to 32 KiB between 4 ranks, 19 KiB between 8), soft-RoCE less: there each message costs a core.
    static let fixedGatheredBytes = 8 << 10
    /// Up to here the messages that `recursive-doubling` saves weigh more than the bytes that it sends twice.
    static let fixedDoublingBytes = 64 << 10
}
