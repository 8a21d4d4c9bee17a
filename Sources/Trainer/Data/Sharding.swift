/// Which samples a rank sees in which step.
///
/// An epoch's order is a shuffle that depends on seed and epoch alone. The global batch of step t is the t-th part of it of
/// `worldSize * batchPerRank` samples, and rank r takes the r-th `batchPerRank` of those. So every rank has its own part, no
/// sample comes twice in an epoch, and two ranks with batch B see in each step just what one rank with batch 2B sees.
/// The samples that fill no whole global batch are left out of that epoch, other ones in each epoch.
public struct Sharding: Sendable {
    public let sampleCount: Int
    public let worldSize: Int
    public let batchPerRank: Int
    public let seed: UInt64

    /// Traps unless `worldSize` and `batchPerRank` are positive.
    public init(sampleCount: Int, worldSize: Int, batchPerRank: Int, seed: UInt64) {
        invariant(
            sampleCount >= 0 && worldSize > 0 && batchPerRank > 0, "\(sampleCount) samples, \(worldSize) ranks, batch \(batchPerRank)")
        self.sampleCount = sampleCount
        self.worldSize = worldSize
        self.batchPerRank = batchPerRank
        self.seed = seed
    }

    public var globalBatch: Int { worldSize * batchPerRank }

    /// Whole global batches in an epoch; 0 where there are too few samples for one.
    public var stepsPerEpoch: Int { sampleCount / globalBatch }

    /// All sample numbers in the order of one epoch, the same on every rank. Fisher-Yates, O(sampleCount).
    public func order(epoch: Int) -> [Int] {
        var generator = SeededGenerator(seed: seed, purpose: .shuffle, index: UInt64(epoch))
        var order = Array(0..<sampleCount)
        for last in stride(from: sampleCount - 1, to: 0, by: -1) { order.swapAt(last, generator.below(last + 1)) }
        return order
    }

    /// One rank's part of one step's global batch: always `batchPerRank` samples of `order`, without copying.
    public func samples(in order: [Int], step: Int, rank: Int) -> ArraySlice<Int> {
        invariant(step >= 0 && step < stepsPerEpoch && rank >= 0 && rank < worldSize, "step \(step) of \(stepsPerEpoch), rank \(rank)")
        let start = step * globalBatch + rank * batchPerRank
        return order[start..<start + batchPerRank]
    }

    /// A rank's part of `count` things that are all to be used: the parts are disjoint, cover all, and differ by one at most.
    public static func part(of count: Int, rank: Int, worldSize: Int) -> Range<Int> {
        count * rank / worldSize..<count * (rank + 1) / worldSize
    }
}
