/// Where the parts of an operation lie: the elements of its input that each rank gives, and those of its output that its result fills, counted
/// from the operation's places. See `Collective` for their sizes.
///
/// A buffer that holds a block for each rank has them back to back in the order of ranks, all of one size or each of its own (`BlockCounts`).
/// In place, a rank's own block is block `rank` of the larger of the two buffers.
public struct Extents: Equatable, Sendable {
    public let collective: Collective
    public let worldSize: Int
    /// Elements of a block, of the largest where they differ; of the whole, where there are no blocks.
    public let count: Int
    public let isInPlace: Bool
    private let uneven: UnownedCounts

    /// - Parameter counts: where blocks differ in size; kept alive by the caller.
    public init(_ collective: Collective, worldSize: Int, count: Int, isInPlace: Bool, counts: BlockCounts? = nil) {
        self.init(collective, worldSize: worldSize, count: counts?.largest ?? count, isInPlace: isInPlace, UnownedCounts(counts))
    }

    @inline(__always)
    init(_ collective: Collective, worldSize: Int, count: Int, isInPlace: Bool, _ uneven: UnownedCounts) {
        self.uneven = uneven
        self.collective = collective
        self.worldSize = worldSize
        self.count = count
        self.isInPlace = isInPlace
    }

    /// Elements of the input that a rank gives; empty for one that gives nothing.
    public func input(of rank: Int) -> Range<Int> {
        switch collective {
        case .allReduce, .reduce, .reduceStripes, .gatherStripes, .send: 0..<count
        case .broadcast(let root): 0..<(rank == root ? count : 0)
        case .reduceScatter, .allToAll: 0..<block(worldSize - 1).upperBound
        case .scatter(let root): 0..<(rank == root ? block(worldSize - 1).upperBound : 0)
        case .allGather, .gather: own(rank)
        case .barrier, .receive: 0..<0
        }
    }

    /// Elements of the output that a rank's result fills; empty for one that gets none.
    public func output(of rank: Int) -> Range<Int> {
        switch collective {
        case .allReduce, .broadcast, .reduceStripes, .gatherStripes, .receive: 0..<count
        case .reduce(let root): 0..<(rank == root ? count : 0)
        case .allGather, .allToAll: 0..<received(from: worldSize - 1).upperBound
        case .gather(let root): 0..<(rank == root ? block(worldSize - 1).upperBound : 0)
        case .reduceScatter, .scatter: own(rank)
        case .barrier, .send: 0..<0
        }
    }

    /// Elements of input and output that a rank's buffers must have: as many as the root's, where there is one, so that all ranks refuse alike.
    package func needs(of rank: Int) -> (input: Int, output: Int) {
        let rank = collective.root < 0 ? rank : collective.root
        return (input(of: rank).upperBound, output(of: rank).upperBound)
    }

    /// Whether blocks differ in size.
    @inline(__always)
    var isUneven: Bool { !uneven.isNone }

    /// Block `rank` of the buffer that holds one for each rank; of an allToAll that of the input, which goes to that rank.
    @inline(__always)
    package func block(_ rank: Int) -> Range<Int> {
        isUneven ? unevenBlock(rank, \.input) : rank * count..<(rank + 1) * count
    }

    /// What an allToAll receives from a rank: a block of the output.
    @inline(__always)
    func received(from rank: Int) -> Range<Int> {
        isUneven ? unevenBlock(rank, \.output) : rank * count..<(rank + 1) * count
    }

    @inline(never)
    private func unevenBlock(_ rank: Int, _ part: (BlockCounts) -> [Int]) -> Range<Int> {
        guard let starts = uneven.counts.map(part) else { return 0..<0 }
        return starts[rank]..<starts[rank + 1]
    }

    /// A rank's own block, in a buffer of its own or among the others.
    private func own(_ rank: Int) -> Range<Int> { isInPlace ? block(rank) : 0..<block(rank).count }
}

extension Operation {
    @inline(__always)
    public func extents(worldSize: Int) -> Extents {
        Extents(collective, worldSize: worldSize, count: count, isInPlace: isInPlace, uneven)
    }
}
