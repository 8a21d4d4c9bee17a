/// `target = source 1 ∘ source 2 ∘ ...`, in this order.
public struct Fold: Equatable, Sendable {
    public enum Sources: Equatable, Sendable {
        /// A sum so far, then what this rank adds.
        case pair(Location, Location)
        /// The inputs of this node's ranks in their order, beginning with its `first`-th and going around; before them a sum so far.
        case node(partial: Location?, start: Int, first: Int)
        /// What every rank wrote into its eager slot, from element `start` of it, in the order of ranks beginning with `first`; this rank's
        /// own part is its input from `inputStart`.
        case eager(first: Int, start: Int, inputStart: Int)
        /// The same, node by node, beginning with node `first`; what this rank adds is its input.
        case eagerNodes(first: Int, start: Int)
        /// This rank's input, then gated slots; or those first.
        case inputAndSlots(start: Int, slots: Range<Int>)
        case slotsAndInput(slots: Range<Int>, start: Int)
    }

    public enum Target: Equatable, Sendable {
        case location(Location)
        /// The outputs of all ranks of this node.
        case node(start: Int)
    }

    public var sources: Sources
    public var target: Target
    public var count: Int
    /// Whether every rank's part is in: then an average is divided.
    public var isFinal: Bool
    /// Bit i says that source i, in their order, is the result of a fold that was not final, and no rank's own part; see `Averaging`.
    public var partials: UInt64

    public init(_ sources: Sources, into target: Target, count: Int, isFinal: Bool, partials: UInt64 = 0) {
        self.sources = sources
        self.target = target
        self.count = count
        self.isFinal = isFinal
        self.partials = partials
    }
}
