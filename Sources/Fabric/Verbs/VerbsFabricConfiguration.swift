public import Fabric

/// What a `VerbsFabric` must be told at its start. All ranks of a job agree on everything but `rank`, `localRank` and `deviceNames`.
public struct VerbsFabricConfiguration: Sendable {
    /// Bytes of `jobKey`.
    public static let jobKeyByteCount = 16

    public var rank: Int
    public var worldSize: Int
    /// As `ibv_devices` names them, or with the address to take or a prefix of it: `rxe1@10.10.0.1`, `rxe1@10.10.0.0/24`; empty for all usable
    /// ones. Local ranks take them in turn.
    public var deviceNames: [String]
    /// How many devices this rank uses. Channel i of every peer goes over the rank's device i mod their number, at both ends.
    public var devicesPerRank = 1
    /// This rank's number among those on the same machine.
    public var localRank: Int
    public var channelsPerPeer = 1
    /// Arrivals on one channel that may be on their way or unread.
    public var arrivalDepth = 1024
    /// Writes on one channel that may be posted and not completed.
    public var writeDepth = 512
    /// Of it, `deviceYieldNanoseconds`.
    public var waits = WaitPolicy()
    /// Derived from the job's secret: 16 bytes. It tells peers from strangers, and travels in the clear.
    public var jobKey: [UInt8]
    /// Counts the re-formations of the job: a peer that is left over from an earlier one is refused.
    public var epoch: UInt32
    /// Smaller ones let a test meet them.
    var limits = VerbsLimits()

    public init(rank: Int, worldSize: Int, deviceNames: [String] = [], localRank: Int, jobKey: [UInt8], epoch: UInt32 = 0) {
        self.rank = rank
        self.worldSize = worldSize
        self.deviceNames = deviceNames
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
        if devicesPerRank < 1 || devicesPerRank > channelsPerPeer {
            fatalError("VerbsFabricConfiguration: devicesPerRank \(devicesPerRank) is not in 1...\(channelsPerPeer), the channels per peer")
        }
        if arrivalDepth < 1 || arrivalDepth > 1 << 20 || writeDepth < 1 || writeDepth > 1 << 20 {
            fatalError("VerbsFabricConfiguration: depths \(arrivalDepth), \(writeDepth) are not in 1...2^20")
        }
    }
}
