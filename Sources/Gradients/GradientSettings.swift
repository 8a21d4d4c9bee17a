public import Reduction

/// How gradients are exchanged. Equal on every rank.
public struct GradientSettings: Sendable, Equatable {
    /// Where gradients are cut into buckets.
    public enum BucketSize: Sendable, Equatable {
        /// Where the planner expects the shortest step by what it has seen of the first steps; it looks again when twice as many have passed.
        case planned
        /// Every so many bytes, at least 1.
        case fixed(Int)
        /// By the rule of PyTorch's DDP: whole gradients, 1 MiB for the first bucket and 25 MiB for all others.
        case ddp
    }

    /// How a bucket travels.
    public enum Schedule: String, Sendable, CaseIterable {
        /// By one allreduce, in backprop.
        case allReduce = "allreduce"
        /// By its two halves: reduced in backprop, and gathered in the next forward pass, first layers first.
        case split
    }

    /// What becomes of the ranks' gradients.
    public enum Combination: String, Sendable, CaseIterable {
        /// Their sum over the number of ranks; weighted, in steps that begin with `setWeight`.
        case average
        case sum
    }

    public var bucketSize: BucketSize
    /// Nil for the one that the planner expects to be faster; where it has no say, `allReduce`.
    public var schedule: Schedule?
    public var combination: Combination
    /// Whether a gradient that was not announced when backprop ends counts as zero, instead of being an error; as DDP's `find_unused_parameters`. Then the
    /// ranks also tell each other which parameters they used (`wasUsed`): a byte for each in one more operation a step.
    public var allowsUnused: Bool
    /// How the elements of fp32 gradients travel between ranks; with another format than plain all gradients must be fp32. `int8` keeps residuals, which take as
    /// much memory as the gradients. Nil: plain, until steps show that they become shorter by bf16 (`WireSelection`).
    public var wire: WireFormat?

    public init(
        bucketSize: BucketSize = .planned, schedule: Schedule? = nil, combination: Combination = .average,
        allowsUnused: Bool = false, wire: WireFormat? = .plain
    ) {
        self.bucketSize = bucketSize
        self.schedule = schedule
        self.combination = combination
        self.allowsUnused = allowsUnused
        self.wire = wire
    }

    /// As `--wire` takes it.
    public var wireName: String { wire?.description ?? "auto" }
}
