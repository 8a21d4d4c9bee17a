/// Who this process is in its job, read from the variables that launchers set.
///
/// A pure value: it reads what it is given and touches nothing else. Of several launchers the one counts that set its variables last (see
/// `LauncherClaim.last`). Without any the process is a world of its own.
public struct JobEnvironment: Sendable, Equatable {
    /// Which family of variables the values came from.
    public enum Source: String, Sendable, CaseIterable {
        /// No launcher: a world of one.
        case none
        /// `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`.
        case torchrun
        /// `OMPI_COMM_WORLD_RANK`, `_SIZE`, `_LOCAL_RANK`, `_LOCAL_SIZE`.
        case openMPI
        /// `MLX_RANK`, `MLX_HOSTFILE` or `MLX_WORLD_SIZE`.
        case mlx
        /// `PMIX_RANK`, with the size of Open MPI, PMIx, PMI or Slurm, or `WORLD_SIZE`.
        case pmix
        /// `PMI_RANK`, `PMI_SIZE`, `MPI_LOCALRANKID`, `MPI_LOCALNRANKS`.
        case pmi
        /// `SLURM_PROCID`, `SLURM_STEP_NUM_TASKS`, `SLURM_LOCALID`.
        case slurm
    }

    /// The port where `MASTER_PORT` is not set and Slurm gives no id to derive one from: the one that torch users know.
    public static let defaultMasterPort = 29500
    /// Set for the ranks that `LocalJob` starts: its process number.
    public static let localLauncherVariable = "VERBENA_LAUNCHER"

    /// `0 ..< worldSize`.
    public var rank: Int
    /// At least 1.
    public var worldSize: Int
    /// This rank's number among those of its machine. Where no variable says it: `rank` if all ranks are known to be on one
    /// machine, `rank % localWorldSize` if that is known, otherwise 0.
    public var localRank: Int
    /// How many ranks this machine has, where a variable says so.
    public var localWorldSize: Int?
    /// Where the coordinator, in rank 0's process, is to be reached.
    public var masterAddress: String
    /// `1 ... 65535`.
    public var masterPort: Int
    /// `VERBENA_SECRET`, or one derived from the job's ids. The derived one protects against accidents only.
    public var secret: JobSecret
    public var source: Source
    /// What may be other than the user thinks, each with its remedy, for this process to say.
    public var warnings: [String] = []

    public init(
        rank: Int, worldSize: Int, localRank: Int, localWorldSize: Int? = nil, masterAddress: String, masterPort: Int,
        secret: JobSecret, source: Source
    ) {
        self.rank = rank
        self.worldSize = worldSize
        self.localRank = localRank
        self.localWorldSize = localWorldSize
        self.masterAddress = masterAddress
        self.masterPort = masterPort
        self.secret = secret
        self.source = source
    }

    /// What rank 0 listens on: loopback for a job of one machine, otherwise every address of the machine (`::` means those of IPv4 as well),
    /// because the name of a machine often means another address on itself than on its neighbours.
    public var listenAddress: String {
        guard let address = MasterAddress(masterAddress) else { return "::" }
        if address.isLoopback { return address.text }
        return address.kind == .ipv4 ? "0.0.0.0" : "::"
    }

    /// The variables that make a child process this rank: what a launcher adds to its environment.
    public var variables: [String: String] {
        var variables = [
            "RANK": "\(rank)", "WORLD_SIZE": "\(worldSize)", "LOCAL_RANK": "\(localRank)", "MASTER_ADDR": masterAddress,
            "MASTER_PORT": "\(masterPort)", "VERBENA_SECRET": secret.text,
        ]
        variables["LOCAL_WORLD_SIZE"] = localWorldSize.map { "\($0)" }
        return variables
    }

    static func isLoopback(_ address: String) -> Bool {
        MasterAddress(address)?.isLoopback ?? false
    }
}
