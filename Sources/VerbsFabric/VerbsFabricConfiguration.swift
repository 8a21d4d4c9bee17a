/// What a `VerbsFabric` must be told at its start. All ranks of a job agree on everything but `rank`, `localRank` and `deviceName`.
public struct VerbsFabricConfiguration: Sendable {
    /// Bytes of `jobKey`.
    public static let jobKeyByteCount = 16

    public var rank: Int
    public var worldSize: Int
    /// As `ibv_devices` names it; nil takes the usable devices in turn by local rank.
    public var deviceName: String?
    /// This rank's number among those on the same machine.
    public var localRank: Int
    public var channelsPerPeer = 1
    /// Arrivals on one channel that may be on their way or unread.
    public var arrivalDepth = 1024
    /// Writes on one channel that may be posted and not completed.
    public var writeDepth = 512
    /// Derived from the job's secret: 16 bytes. It tells peers from strangers, and travels in the clear.
    public var jobKey: [UInt8]
    /// Counts the re-formations of the job: a peer that is left over from an earlier one is refused.
    public var epoch: UInt32

    public init(rank: Int, worldSize: Int, deviceName: String? = nil, localRank: Int, jobKey: [UInt8], epoch: UInt32 = 0) {
        self.rank = rank
        self.worldSize = worldSize
        self.deviceName = deviceName
        self.localRank = localRank
        self.jobKey = jobKey
        self.epoch = epoch
    }

    /// Programmers' errors: trapped at the start, with the value.
    func validate() {
        if worldSize < 1 || worldSize > 1 << 20 { fatalError("VerbsFabricConfiguration: worldSize \(worldSize) is not in 1...2^20") }
        if rank < 0 || rank >= worldSize { fatalError("VerbsFabricConfiguration: rank \(rank) is not in 0..<\(worldSize)") }
        if localRank < 0 { fatalError("VerbsFabricConfiguration: localRank \(localRank) is negative") }
        if jobKey.count != Self.jobKeyByteCount { fatalError("VerbsFabricConfiguration: jobKey has \(jobKey.count) bytes, not 16") }
        if channelsPerPeer < 1 || channelsPerPeer > 256 {
            fatalError("VerbsFabricConfiguration: channelsPerPeer \(channelsPerPeer) is not in 1...256")
        }
        if arrivalDepth < 1 || arrivalDepth > 1 << 20 || writeDepth < 1 || writeDepth > 1 << 20 {
            fatalError("VerbsFabricConfiguration: depths \(arrivalDepth), \(writeDepth) are not in 1...2^20")
        }
    }
}

/// The sizes that follow from the configuration. Each is a sum that says what it makes room for.
struct QueueSizes: Equatable {
    /// Arrivals read by the owner whose receives are posted again together: a quarter of the depth, 1 at least and 64 at most.
    let replenishBatch: Int
    /// Receives posted on one channel: every arrival that may be on its way or unread, those read and not yet posted again,
    /// and the peer's goodbye. So a peer that keeps to `arrivalDepth` never finds the receiver not ready.
    let receives: Int
    /// Sends on one channel: every write in flight, and our goodbye.
    let sends: Int

    init(arrivalDepth: Int, writeDepth: Int) {
        replenishBatch = min(max(arrivalDepth / 4, 1), 64)
        receives = arrivalDepth + replenishBatch + 1
        sends = writeDepth + 1
    }

    /// Completions that may be unread at once: every request on every channel ends in one, flushed or not.
    func completions(channels: Int) -> Int { channels * (receives + sends) }
}
