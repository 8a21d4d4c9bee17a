/// The names that one launcher gives to the same numbers. Of several names the first that is set counts.
struct VariableFamily {
    let source: JobEnvironment.Source
    /// All of them set: the family speaks of this process.
    let markers: [String]
    let rank: String
    let worldSize: [String]
    let localRank: [String]
    let localWorldSize: [String]
    /// What tells this job from another; part of the derived secret.
    let jobIdentifiers: [String]

    /// In the order in which they count where several say the same.
    static let all = [
        VariableFamily(
            source: .torchrun, markers: ["RANK"], rank: "RANK", worldSize: ["WORLD_SIZE"], localRank: ["LOCAL_RANK"],
            localWorldSize: ["LOCAL_WORLD_SIZE"], jobIdentifiers: ["TORCHELASTIC_RUN_ID"]),
        VariableFamily(
            source: .openMPI, markers: ["OMPI_COMM_WORLD_RANK"], rank: "OMPI_COMM_WORLD_RANK", worldSize: ["OMPI_COMM_WORLD_SIZE"],
            localRank: ["OMPI_COMM_WORLD_LOCAL_RANK"], localWorldSize: ["OMPI_COMM_WORLD_LOCAL_SIZE"],
            jobIdentifiers: ["PMIX_NAMESPACE"]),
        VariableFamily(
            source: .mlx, markers: ["MLX_RANK"], rank: "MLX_RANK", worldSize: ["MLX_WORLD_SIZE"], localRank: [MLXVariables.localRank],
            localWorldSize: [MLXVariables.localWorldSize], jobIdentifiers: []),
        VariableFamily(
            source: .pmix, markers: ["PMIX_RANK"], rank: "PMIX_RANK",
            worldSize: ["OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "WORLD_SIZE"],
            localRank: ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID"],
            localWorldSize: ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"], jobIdentifiers: ["PMIX_NAMESPACE"]),
        VariableFamily(
            source: .pmi, markers: ["PMI_RANK"], rank: "PMI_RANK", worldSize: ["PMI_SIZE"], localRank: ["MPI_LOCALRANKID"],
            localWorldSize: ["MPI_LOCALNRANKS"], jobIdentifiers: ["PMI_JOBID", "I_MPI_HYDRA_UUID", "SLURM_JOB_ID", "SLURM_STEP_ID"]),
        // Slurm sets the rank, and even the number of tasks, also in batch scripts and in salloc's shell, which are no ranks.
        VariableFamily(
            source: .slurm, markers: ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"], rank: "SLURM_PROCID",
            worldSize: ["SLURM_STEP_NUM_TASKS"], localRank: ["SLURM_LOCALID"], localWorldSize: [],
            jobIdentifiers: ["SLURM_JOB_ID", "SLURM_STEP_ID"]),
    ]
}

/// What one family says of this process.
struct LauncherClaim {
    let family: VariableFamily
    let rank: Int
    let worldSize: Int

    init(_ family: VariableFamily, in variables: [String: String]) throws(RendezvousError) {
        self.family = family
        worldSize = try Self.worldSize(family, in: variables)
        rank = try Self.rank(family, worldSize: worldSize, in: variables)
    }

    private static func worldSize(_ family: VariableFamily, in variables: [String: String]) throws(RendezvousError) -> Int {
        guard let (name, value) = try JobEnvironment.number(family.worldSize, in: variables) else {
            let remedy =
                switch family.source {
                case .torchrun: "set WORLD_SIZE to the number of ranks, or unset RANK"
                case .mlx: "set MLX_WORLD_SIZE to the number of ranks"
                case .pmix: "start the ranks with mpirun or srun, or set WORLD_SIZE to their number (prterun -x WORLD_SIZE=2 -np 2 ...)"
                default: "set \(family.worldSize[0]) to the number of ranks"
                }
            let lacking = family.source == .pmix ? "no variable tells the number of ranks" : "\(family.worldSize[0]) is not"
            throw .environment("\(family.rank) is set, but \(lacking)", remedy: remedy)
        }
        guard (1...JobEnvironment.worldSizeLimit).contains(value) else {
            throw .environment("\(name)=\(value) is no number of ranks", remedy: "set \(name) to 1 ... \(JobEnvironment.worldSizeLimit)")
        }
        return value
    }

    private static func rank(
        _ family: VariableFamily, worldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int {
        guard let (name, value) = try JobEnvironment.number([family.rank], in: variables) else {
            throw .environment("\(family.rank) is not set", remedy: "set \(family.rank) to 0 ... \(worldSize - 1)")
        }
        guard (0..<worldSize).contains(value) else {
            throw .environment(
                "\(name)=\(value) is outside a world of \(worldSize)",
                remedy: "set \(name) to 0 ... \(worldSize - 1), or raise \(family.worldSize[0])")
        }
        return value
    }
}

extension LauncherClaim {
    /// What all families say of this process.
    /// - Throws: what is wrong with `RANK` and `WORLD_SIZE`, which people set by hand; of the others only if none of them makes sense.
    static func all(in variables: [String: String]) throws(RendezvousError) -> [LauncherClaim] {
        var claims: [LauncherClaim] = []
        var problem: RendezvousError?
        for family in VariableFamily.all where family.markers.allSatisfy({ variables[$0] != nil }) {
            do throws(RendezvousError) {
                claims.append(try LauncherClaim(family, in: variables))
            } catch {
                if family.source == .torchrun { throw error }
                problem = problem ?? error
            }
        }
        guard claims.isEmpty else { return claims }
        if let problem { throw problem }
        if variables["WORLD_SIZE"] != nil {
            throw .environment(
                "WORLD_SIZE is set, but RANK is not", remedy: "set RANK in each process to another number from 0, or unset WORLD_SIZE")
        }
        return []
    }

    /// The claim that counts where a launcher runs inside another's variables: that of the one which set its variables last.
    ///
    /// 1. Slurm starts the daemons of mpirun, never the other way round; so it comes last, unless only it makes several ranks.
    /// 2. torchrun's agent (`TORCHELASTIC_RUN_ID`) is started by the others, never the other way round; so it comes first.
    /// 3. `RANK` and `WORLD_SIZE` set by hand are either left over from before the launcher, or set for each rank after it. A world of
    ///    one is left over; one that is larger than the launcher's comes after it. Between these nobody can tell which was meant.
    static func last(of claims: [LauncherClaim], in variables: [String: String]) throws(RendezvousError) -> LauncherClaim? {
        let others = claims.filter { $0.family.source != .torchrun }
        let launcher = others.first { $0.worldSize > 1 } ?? others.first
        guard let torch = claims.first(where: { $0.family.source == .torchrun }) else { return launcher }
        guard let launcher, !torch.isOfTorchElastic(variables), torch.worldSize <= launcher.worldSize else { return torch }
        if torch.worldSize == launcher.worldSize, torch.rank == launcher.rank {
            // The launcher knows more: who else is on this machine, and the job's id.
            let isAllOfIt = (torch.family.localRank + torch.family.localWorldSize).allSatisfy { variables[$0] == nil }
            return isAllOfIt ? launcher : torch
        }
        if torch.worldSize == 1 { return launcher }
        throw .environment(
            "RANK and WORLD_SIZE make this process rank \(torch.rank) of \(torch.worldSize), but \(launcher.family.rank) makes it rank "
                + "\(launcher.rank) of \(launcher.worldSize)",
            remedy: "unset RANK and WORLD_SIZE, or \(launcher.family.rank)")
    }

    /// Whether torchrun's agent started this process: a launcher that knows what it says, not two variables set by hand.
    func isOfTorchElastic(_ variables: [String: String]) -> Bool {
        family.source == .torchrun && variables["TORCHELASTIC_RUN_ID"] != nil
    }
}

extension RendezvousError {
    static func environment(_ detail: String, remedy: String) -> RendezvousError {
        RendezvousError(.environment, detail, remedy: remedy)
    }
}
