internal import Collectives
public import Engine
internal import Fabric
public import FoundationEssentials
internal import VerbsFabric

/// How this process joins its job. The initial values are right in the common case: who it is comes from the variables that launchers
/// set (`RANK`, `WORLD_SIZE`, ... of torchrun; those of mpirun, srun and mlx.launch; none: a world of one).
public struct Configuration: Sendable {
    public var fabric: FabricChoice
    /// RDMA devices to use, in turn by local rank; empty for every usable one. Only verbs looks at it. After an @ the address of the device to
    /// take, or a prefix of it: `mlx5_0@10.1.0.7`, `mlx5_0@10.1.0.0/16`; else the two that reach each other without a router are taken.
    public var devices: [String]
    /// How many RDMA devices each rank uses, 1 to `maxDevicesPerRank`, the same number on all ranks: for ranks that are fewer than the
    /// devices of their machine. Of `devices`, or of the usable ones, each rank of a machine takes the next so many. Messages are spread over
    /// all of them; the first of one rank reaches the first of another, and so on. Memory counts against the limit of locked memory once for each.
    public var devicesPerRank = 1
    /// More than any machine has for one rank.
    public static let maxDevicesPerRank = 16
    /// Ordered connections (QPs) to each other rank; nil for as many as the fabric gains by.
    public var channelsPerPeer: Int?
    /// Which thread carries out started operations.
    public var progress = ProgressChoice.automatic
    /// How long the ranks may take to find each other. Of this and the next, those of the process that hosts the rendezvous count for all: rank 0, or
    /// the launcher (`LocalJob.run`); this rank's own say only how long it looks for that process. Infinity and NaN are taken for a day.
    public var joinTimeoutSeconds = defaultJoinTimeoutSeconds
    /// How long a rank that does not answer may go unnoticed; a rank that dies is noticed at once. At least 0.1 s.
    public var livenessTimeoutSeconds = defaultLivenessTimeoutSeconds
    public static let defaultJoinTimeoutSeconds: Double = 120
    public static let defaultLivenessTimeoutSeconds: Double = 30
    /// How long an operation may stand still before it has failed; a rank may be that much slower than the others.
    public var stallTimeoutSeconds: Double = 600
    /// Memory that peers write into beyond the caller's buffers, at most, in bytes: of each communicator; of a job on one machine its share of 256 MiB,
    /// if that is less. Less of it means smaller messages. Of less than the default, what the ranks cannot do with is refused; see `MemoryReport`.
    public var receiveBufferByteLimit = ExecutorSettings.receiveBufferByteLimit
    /// The machine that this rank is to be taken as part of, where that is less than the host that it runs on: ranks of other names are reached by
    /// verbs, though their memory could be mapped. For tests of what happens between nodes.
    public var node: String?
    /// A link to emulate on shared memory, the same on all ranks: bytes take the time of such a network, and ranks do not see each other's memory, so that
    /// algorithms, costs and overlap are those of a network. Refused where ranks are not all on one machine, and with `fabric` verbs. Each communicator
    /// that `split` makes has a link of its own.
    public var link: EmulatedLink?
    /// A file of what algorithms are chosen by: a `Costs` as JSON, as `rdma-allreduce --save-costs` writes it, the same for all ranks. Nil for what is
    /// measured when the ranks have joined.
    public var costsFile: String?
    /// The variables to read; replaced in tests.
    public var environment: [String: String]

    /// `VERBENA_FABRIC` (auto, verbs, shm) and `VERBENA_DEVICE` (names, separated by commas) stand in for values not given;
    /// `VERBENA_DEVICES_PER_RANK`, `VERBENA_NODE` and `VERBENA_COSTS` (a file) set `devicesPerRank`, `node` and `costsFile`.
    public init(
        fabric: FabricChoice? = nil, devices: [String]? = nil, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(VerbenaError) {
        self.environment = environment
        let named = environment["VERBENA_FABRIC"].flatMap { $0.isEmpty ? nil : $0 }
        if let named, FabricChoice(rawValue: named) == nil {
            throw VerbenaError(
                .configuration,
                "VERBENA_FABRIC is '\(named)'; set it to one of \(FabricChoice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.fabric = fabric ?? named.flatMap(FabricChoice.init(rawValue:)) ?? .automatic
        node = environment["VERBENA_NODE"].flatMap { $0.isEmpty ? nil : $0 }
        costsFile = environment["VERBENA_COSTS"].flatMap { $0.isEmpty ? nil : $0 }
        if let number = environment["VERBENA_DEVICES_PER_RANK"], !number.isEmpty {
            guard let count = Int(number), 1...Self.maxDevicesPerRank ~= count else {
                throw VerbenaError(
                    .configuration, "VERBENA_DEVICES_PER_RANK is '\(number)'; set it to a number from 1 to \(Self.maxDevicesPerRank)")
            }
            devicesPerRank = count
        }
        self.devices = devices ?? environment["VERBENA_DEVICE"]?.split(separator: ",").map(String.init) ?? []
    }
}

extension Configuration {
    /// The stall timeout as the executor takes it: any number is taken, within 0 and 1e9 seconds.
    var stallMilliseconds: UInt64 { stallTimeoutSeconds > 0 ? UInt64(min(stallTimeoutSeconds, 1e9) * 1000) : 0 }

    /// Whether this machine has what the chosen fabric needs, and the file of costs, where one is named, holds some; asked before ranks are
    /// started, so that a lack is said once.
    public func checkFabric() throws(VerbenaError) {
        _ = try loadedCosts
        guard fabric == .verbs else { return }
        try wrapping { () throws(FabricError) in
            try VerbsFabric.checkDevices(named: devices, devicesPerRank: devicesPerRank)
        }
    }
}
