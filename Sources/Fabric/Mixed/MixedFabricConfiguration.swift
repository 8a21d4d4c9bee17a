/// What a `MixedFabric` must be told beside its two fabrics.
public struct MixedFabricConfiguration: Sendable {
    /// Ranks that are reached through the near fabric, this one included or not. All ranks agree on who is near whom.
    public var nearRanks: Set<Int>
    /// How often `wait` looks at both fabrics before it gives the core away, and how often it looks after that, each time letting whoever
    /// else can run have the core, before it sleeps. Few and many where ranks outnumber cores.
    public var spins: Int
    public var yields: Int

    public init(nearRanks: Set<Int>, spins: Int = 50, yields: Int = 10) {
        self.nearRanks = nearRanks
        self.spins = spins
        self.yields = yields
    }
}
