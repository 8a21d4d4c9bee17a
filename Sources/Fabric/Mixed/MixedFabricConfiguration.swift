public import Fabric

/// What a `MixedFabric` must be told beside its two fabrics.
public struct MixedFabricConfiguration: Sendable {
    /// Ranks that are reached through the near fabric, this one included or not. All ranks have the same list of near ranks.
    public var nearRanks: Set<Int>
    /// Of it, `spins` and `yields`.
    public var waits: WaitPolicy

    public init(nearRanks: Set<Int>, waits: WaitPolicy) {
        self.nearRanks = nearRanks
        self.waits = waits
    }
}
