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
