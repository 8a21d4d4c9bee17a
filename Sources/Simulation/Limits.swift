/// What may be drawn, and what of a drawn scenario is left out: the second makes a failing one shorter.
struct Limits: Equatable, Sendable {
    /// Nil: one to twelve.
    var ranks: Int?
    var faults = FaultKind.all
    /// Groups by number; nil for all, empty for none.
    var groups: Set<Int>?
    /// Operations by number; nil for all.
    var operations: Set<Int>?
    /// Faults by number; nil for all.
    var keptFaults: Set<Int>?
    var hasTraining = true
    /// Worlds of more than three channels are drawn.
    var hasManyChannels = true
    /// Allreduces with stripes, and their halves, are drawn.
    var hasStripes = true
    /// Counts are halved so often.
    var halvings = 0
    /// No jitter, no delays, nothing held back.
    var isCalm = false
    /// A deliberate fault of the protocol, by name; debug builds only.
    var mutation: String?
}
