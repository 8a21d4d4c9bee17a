extension JobEnvironment {
    /// What the variables leave in doubt, each with its remedy.
    func doubts(_ claims: [LauncherClaim], in variables: [String: String]) -> [String] {
        if worldSize > 1 { return rank == 0 ? sharedSecretDoubt(in: variables).map { [$0] } ?? [] : [] }
        return [loneTorchDoubt(claims, in: variables), slurmDoubt(in: variables)].compactMap(\.self) + unknownRankDoubts(in: variables)
    }

    /// Rank 0 says it, where a stranger would connect to.
    private func sharedSecretDoubt(in variables: [String: String]) -> String? {
        guard secret == .derived(fromJobIdentifiers: []), !Self.isLoopback(masterAddress) else { return nil }
        return
            "VERBENA_SECRET is not set and the launcher gives the job no id, so any other job or program that reaches port \(masterPort) of "
            + "this machine can take part; set VERBENA_SECRET to the same random text on all ranks"
            + (source == .openMPI ? " (mpirun -x VERBENA_SECRET)" : "")
    }

    private func loneTorchDoubt(_ claims: [LauncherClaim], in variables: [String: String]) -> String? {
        guard source == .torchrun, let other = claims.first(where: { $0.worldSize > 1 }) else { return nil }
        return "torchrun makes this process a world of its own, although \(other.family.rank) makes it rank \(other.rank) of "
            + "\(other.worldSize); if one world is meant, give torchrun --nnodes and --rdzv_endpoint, or start the ranks without it"
    }

    /// A batch script, or salloc's shell.
    private func slurmDoubt(in variables: [String: String]) -> String? {
        guard source == .none || source == .slurm, let tasks = variables["SLURM_NTASKS"].flatMap({ Int($0) }), tasks > 1 else { return nil }
        return
            "Slurm has \(tasks) tasks for this job (SLURM_NTASKS), but srun did not start this process as one of them, so it is a world of "
            + "its own; if it is meant to be one of them, start it with srun"
    }

    /// Variables that look like those of a launcher which Verbena does not know. Where a known one says that this process is alone, a rank
    /// of 0 is no contradiction.
    private func unknownRankDoubts(in variables: [String: String]) -> [String] {
        let known = Set(VariableFamily.all.flatMap { [$0.rank] + $0.localRank })
        let least = source == .none ? 0 : 1
        let ranks = variables.filter { name, value in
            name.hasSuffix("_RANK") && (source == .none || !known.contains(name))
                && Int(value).map { (least..<Self.worldSizeLimit).contains($0) } == true
        }
        let names = ranks.keys.sorted().map { "\($0)=\(variables[$0] ?? "")" }
        if !names.isEmpty {
            return [
                "\(names.joined(separator: ", ")) may mean that this process is one rank of several, but no variable that Verbena knows says of "
                    + "how many, so it is a world of its own; if it is one of several, set RANK, WORLD_SIZE and MASTER_ADDR"
            ]
        }
        guard source == .none, variables["MASTER_ADDR"] != nil else { return [] }
        return [
            "MASTER_ADDR is set, but neither RANK nor WORLD_SIZE, so this process is a world of its own; if it is one rank of several, set "
                + "these, too (torchrun does), or start the ranks with mpirun or srun"
        ]
    }
}
