/// What a rank must know to open its end of shared memory.
public struct SharedMemoryConfiguration: Sendable {
    public var rank: Int
    public var worldSize: Int
    public var channelsPerPeer: Int
    /// Arrivals on one channel that the reader may be behind.
    public var arrivalDepth: Int
    /// 16 bytes that only ranks of this job know; peers with another are refused.
    public var jobKey: [UInt8]
    /// How often `wait` looks, with a pause between, before it gives the core away. Few where ranks outnumber cores: who spins then keeps
    /// the rank it waits for from running.
    public var spins: Int
    /// How often it looks after that, each time letting whoever else can run have the core (sched_yield), before it sleeps. Many where
    /// ranks outnumber cores: a yield costs about a microsecond, to sleep and be woken several.
    public var yields: Int
    /// Whether `poll` says when writes have completed, which they have at once. An owner that knows can do without.
    public var reportsCompletions = true
    /// Whether to sleep on a pipe, so that one thread can sleep on this fabric and another one (see `DescriptorWaiting`). A futex is faster.
    public var sleepsOnDescriptor: Bool

    public init(
        rank: Int, worldSize: Int, channelsPerPeer: Int = 1, arrivalDepth: Int = 1024, jobKey: [UInt8], spins: Int = 200, yields: Int = 0,
        sleepsOnDescriptor: Bool = false
    ) {
        self.rank = rank
        self.worldSize = worldSize
        self.channelsPerPeer = channelsPerPeer
        self.arrivalDepth = arrivalDepth
        self.jobKey = jobKey
        self.spins = spins
        self.yields = yields
        self.sleepsOnDescriptor = sleepsOnDescriptor
    }
}
