/// What Slurm's variables say of the job that this process belongs to, whoever started the process in it.
struct SlurmJob {
    /// Whether srun started the ranks themselves: then what it says of the step is said of them. Otherwise it started nothing of the job,
    /// or mpirun's daemons, whose numbers must not be taken for the ranks'.
    let isStepOfRanks: Bool
    private let variables: [String: String]

    init(_ claim: LauncherClaim, in variables: [String: String]) {
        self.variables = variables
        // mpirun may have as many daemons as ranks; but it counts the ranks of a machine, which srun does not.
        let isOfDaemons = claim.family.source == .openMPI || variables["MPI_LOCALNRANKS"] != nil
        isStepOfRanks =
            !isOfDaemons && variables["SLURM_STEP_NUM_TASKS"] == "\(claim.worldSize)" && variables["SLURM_PROCID"] == "\(claim.rank)"
    }

    var isOnOneNode: Bool {
        let counts = ["SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"]
        return isStepOfRanks && counts.lazy.compactMap { variables[$0] }.first == "1"
    }

    /// Where rank 0 runs: the first node of the step, or of the job where mpirun starts the ranks.
    var firstHost: String? {
        let lists = (isStepOfRanks ? ["SLURM_STEP_NODELIST"] : []) + ["SLURM_JOB_NODELIST", "SLURM_NODELIST"]
        return lists.lazy.compactMap { variables[$0] }.first.flatMap(Self.firstHost(ofNodeList:))
    }

    /// A port for this step of this job, so that jobs that share a node do not meet; nil outside of Slurm.
    var port: Int? {
        guard let job = variables["SLURM_JOB_ID"].flatMap({ Int($0) }), (0...Int(UInt32.max)).contains(job) else { return nil }
        let step = variables["SLURM_STEP_ID"].flatMap { Int($0) }.map { max(0, min($0, Int(UInt32.max))) } ?? 0
        return Self.ports.lowerBound + (job * Self.portsBetweenJobs + step) % Self.ports.count
    }

    /// Not reserved for the system (below 1024), not in the range from which Linux takes ports for outgoing connections (from 32768 on),
    /// clear of the ports of the network file systems and databases that nodes of clusters have, and a prime number of them: two jobs meet
    /// only if their numbers differ by a multiple of it.
    static let ports = 20203..<24000
    /// Steps of a job that may run at once before one takes the port of the next job's first.
    private static let portsBetweenJobs = 32

    /// The first host of Slurm's short form: `node[03-05,9],other` begins with `node03`.
    static func firstHost(ofNodeList list: String) -> String? {
        let prefix = list.prefix { $0 != "[" && $0 != "," }
        let rest = list.dropFirst(prefix.count)
        guard rest.first == "[" else { return prefix.isEmpty ? nil : String(prefix) }
        let number = rest.dropFirst().prefix { $0.isNumber }
        let suffix = rest.drop { $0 != "]" }.dropFirst().prefix { $0 != "," && $0 != "[" }
        return number.isEmpty ? nil : "\(prefix)\(number)\(suffix)"
    }
}
