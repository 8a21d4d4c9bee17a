public import Fabric

/// What a rank must know to open its end of shared memory.
public struct SharedMemoryConfiguration: Sendable {
    public var rank: Int
    public var worldSize: Int
    public var channelsPerPeer: Int
    /// Arrivals on one channel that the reader may be behind.
    public var arrivalDepth: Int
    /// 16 bytes that only ranks of this job know; peers with another are refused.
    public var jobKey: [UInt8]
    /// Of it, `spins` and `yields`; each spin has a pause.
    public var waits: WaitPolicy
    /// Whether `poll` says when writes have completed, which they have at once. An owner that knows can do without.
    public var reportsCompletions = true
    /// Whether to sleep on a pipe, so that one thread can sleep on this fabric and another one (see `DescriptorWaiting`). A futex is faster.
    public var sleepsOnDescriptor: Bool
    /// A link that is emulated between the ranks, the same on all of them; not together with `sleepsOnDescriptor`.
    public var link: EmulatedLink?

    public init(
        rank: Int, worldSize: Int, channelsPerPeer: Int = 1, arrivalDepth: Int = 1024, jobKey: [UInt8],
        waits: WaitPolicy = WaitPolicy(spins: 200), sleepsOnDescriptor: Bool = false
    ) {
        self.rank = rank
        self.worldSize = worldSize
        self.channelsPerPeer = channelsPerPeer
        self.arrivalDepth = arrivalDepth
        self.jobKey = jobKey
        self.waits = waits
        self.sleepsOnDescriptor = sleepsOnDescriptor
    }
}
