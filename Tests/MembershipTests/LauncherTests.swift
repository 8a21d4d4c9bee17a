import Foundation
import Testing

@testable import Membership

/// Variables as the launchers set them: Open MPI 4.1 and 5.0, MPICH 4.0, Intel MPI 2021.19, Slurm 22.05, torchrun, mlx.launch 0.32.
private let openMPI = [
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_RANK": "1", "PMIX_NAMESPACE": "574947329",
]
private let mpich = ["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2", "PMI_FD": "8"]
private let slurmJob = [
    "SLURM_JOB_ID": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2", "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "vm",
]
private let srun = slurmJob.merging([
    "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NODELIST": "vm",
]) { $1 }
private let torchrun = [
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node0", "MASTER_PORT": "1234",
    "GROUP_RANK": "1", "ROLE_RANK": "3", "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True",
]

private func parse(_ parts: [String: String]..., files: [String: String] = [:]) throws -> JobEnvironment {
    try JobEnvironment(variables: parts.reduce([:]) { $0.merging($1) { $1 } }, contents: { files[$0] })
}

@Suite struct LaunchersInsideLaunchersTests {
    private func check(_ job: JobEnvironment, _ source: JobEnvironment.Source, rank: Int, of worldSize: Int) {
        #expect(job.source == source && job.rank == rank && job.worldSize == worldSize, "\(job)")
    }

    @Test func aWorldOfOneIsLeftOverFromBeforeTheLauncher() throws {
        let left = ["RANK": "0", "WORLD_SIZE": "1"]
        check(try parse(left, openMPI), .openMPI, rank: 1, of: 2)
        check(try parse(left, mpich), .pmi, rank: 1, of: 2)
        check(try parse(left, srun), .slurm, rank: 1, of: 2)
        check(try parse(["WORLD_SIZE": "8"], openMPI), .openMPI, rank: 1, of: 2)
    }

    @Test func ranksSetByHandAfterTheLauncherCount() throws {
        let same = ["RANK": "1", "WORLD_SIZE": "2"]
        check(try parse(same, ["LOCAL_RANK": "0", "MASTER_ADDR": "a"], openMPI), .torchrun, rank: 1, of: 2)
        // mpirun knows as well that all are on one machine.
        #expect(try parse(same, openMPI) == parse(openMPI))
        check(try parse(["RANK": "5", "WORLD_SIZE": "8", "MASTER_ADDR": "a"], srun), .torchrun, rank: 5, of: 8)
    }

    @Test(arguments: [["RANK": "0", "WORLD_SIZE": "2"], ["RANK": "1", "WORLD_SIZE": "2", "OMPI_COMM_WORLD_SIZE": "4"]])
    func whatNobodyCanTellIsRefused(hand: [String: String]) throws {
        let error = #expect(throws: RendezvousError.self) { try parse(openMPI, hand) }
        #expect(error?.cause == .configuration)
        for word in ["RANK", "OMPI_COMM_WORLD_RANK", "unset"] { #expect(error?.description.contains(word) == true) }
    }

    @Test func torchrunsAgentIsAlwaysTheLast() throws {
        check(try parse(srun, torchrun), .torchrun, rank: 3, of: 4)
        check(try parse(srun, ["SLURM_STEP_NUM_TASKS": "8"], torchrun), .torchrun, rank: 3, of: 4)
        let one = ["RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "0", "ROLE_RANK": "0"]
        let alone = try parse(srun, torchrun, one)
        check(alone, .torchrun, rank: 0, of: 1)
        #expect(alone.warnings.count == 1 && alone.warnings[0].contains("SLURM_PROCID") && alone.warnings[0].contains("--nnodes"))
    }

    /// Slurm starts a daemon of mpirun on each node; with few ranks there are more daemons than ranks.
    @Test func mpirunsRanksAreNotSlurmsDaemons() throws {
        let daemon = srun.merging(["SLURM_STEP_NUM_TASKS": "5", "SLURM_STEP_NUM_NODES": "5", "SLURM_STEP_NODELIST": "n[2-6]"]) { $1 }
        let job = try parse(
            daemon, openMPI, ["OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0", "SLURM_JOB_NODELIST": "n[1-6]"])
        check(job, .openMPI, rank: 1, of: 2)
        // The first node has no daemon: it is mpirun's own.
        #expect(job.masterAddress == "n1" && job.masterPort == JobEnvironment.defaultMasterPort)
        let hydra = try parse(srun, ["SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"], mpich)
        check(hydra, .pmi, rank: 1, of: 2)
        #expect(hydra.masterAddress == "127.0.0.1" && hydra.localRank == 1)
        check(try parse(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"], srun), .slurm, rank: 1, of: 2)
    }

    /// `RANK` and the like are `LocalJob`'s then; all else is about the process that started the ranks.
    @Test func ranksOfOurOwnLauncherHearNobodyElse() throws {
        let own = JobEnvironment(
            rank: 1, worldSize: 2, localRank: 1, localWorldSize: 2, masterAddress: "127.0.0.1", masterPort: 40000, secret: "s",
            source: .torchrun)
        let around = [torchrun, srun, openMPI, ["MLX_RANK": "1", "MLX_HOSTFILE": "lost", "FOO_RANK": "1", "PMI_RANK": "x"]]
        for outer in around { #expect(try parse(outer, own.variables, ["VERBENA_LAUNCHER": "77"]) == own) }
    }
}

@Suite struct SlurmTests {
    @Test func aBatchScriptAndSallocsShellAreNoRanks() throws {
        for variables in [slurmJob, ["SLURM_JOB_ID": "5", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"]] {
            let job = try parse(variables)
            #expect(job.source == .none && job.worldSize == 1)
            #expect(job.warnings.count == 1 && job.warnings[0].contains("SLURM_NTASKS") && job.warnings[0].contains("srun"))
        }
        let shell = try parse(slurmJob, ["SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_ID": "4294967290"])
        #expect(shell.source == .slurm && shell.worldSize == 1 && shell.warnings.count == 1)
        #expect(try parse(slurmJob, ["SLURM_NTASKS": "1"]).warnings.isEmpty)
        #expect(try parse(srun).warnings.isEmpty)
    }

    /// The node's name need not resolve.
    @Test(arguments: [
        ["PMI_RANK": "1", "PMI_SIZE": "2", "PMI_JOBID": "4.0", "PMI_FD": "13"], ["PMIX_RANK": "1", "PMIX_NAMESPACE": "slurm.pmix.4.0"],
        ["RANK": "1", "WORLD_SIZE": "2"],
    ])
    func oneNodeIsOneMachineInWhateverWords(words: [String: String]) throws {
        let plain = try parse(srun)
        let job = try parse(srun, words)
        #expect(job.worldSize == 2 && job.rank == 1 && job.localRank == 1 && job.localWorldSize == 2)
        #expect(job.masterAddress == "127.0.0.1" && plain.masterAddress == "127.0.0.1")
        #expect(job.masterPort == plain.masterPort)
        #expect(try parse(srun, ["SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "n[3-4]"], words).masterAddress == "n3")
    }

    @Test func jobsAndStepsOfANodeHavePortsOfTheirOwn() throws {
        func port(_ job: Int, _ step: Int, _ more: [String: String] = [:]) throws -> Int {
            try parse(srun, ["SLURM_JOB_ID": "\(job)", "SLURM_STEP_ID": "\(step)"], more).masterPort
        }
        var ports: Set<Int> = []
        for job in 1_000_000..<1_000_100 {
            for step in 0..<30 { ports.insert(try port(job, step)) }
        }
        #expect(ports.count == 3000)
        #expect(ports.allSatisfy { 20_000 < $0 && $0 < 32_768 && $0 != JobEnvironment.defaultMasterPort })
        #expect(try port(4_294_967_295, 4_294_967_290) < 32_768)
        #expect(try port(7, 0, ["SLURM_PROCID": "0", "SLURM_LOCALID": "0"]) == port(7, 0))
        #expect(try port(7, 0, ["MASTER_PORT": "1234"]) == 1234)
        #expect(try parse(["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NNODES": "1"]).masterPort == 29500)
        // mpirun in two scripts on one node.
        #expect(try parse(slurmJob, openMPI).masterPort != parse(slurmJob, ["SLURM_JOB_ID": "5"], openMPI).masterPort)
    }
}

@Suite struct MLXTests {
    @Test func theRingsHostFileHasTheSizeAndTheMaster() throws {
        let ring = ["MLX_RANK": "2", "MLX_HOSTFILE": "/tmp/f"]
        let two = #"[["10.0.0.1:32323", "10.0.1.1:32324"], ["10.0.0.2:32325"], ["10.0.0.2:32326"]]"#
        let job = try parse(ring, files: ["/tmp/f": two])
        #expect(job.source == .mlx && job.rank == 2 && job.worldSize == 3 && job.localRank == 1 && job.localWorldSize == 2)
        #expect(job.masterAddress == "10.0.0.1" && job.masterPort == 29500)
        let local = try parse(ring, ["MLX_RANK": "1"], files: ["/tmp/f": #"[["127.0.0.1:32323"], ["127.0.0.1:32324"]]"#])
        #expect(local.masterAddress == "127.0.0.1" && local.localRank == 1 && local.localWorldSize == 2)
        #expect(try parse(ring, ["MASTER_ADDR": "a"], files: ["/tmp/f": two]).masterAddress == "a")
        #expect(try parse(ring, ["MLX_RANK": "0"], files: ["/tmp/f": #"["[fd00::1]:1", "[fd00::2]:1"]"#]).masterAddress == "fd00::1")
        #expect(try parse(ring, ["MLX_RANK": "0"], files: ["/tmp/f": "\n"]).worldSize == 1)
    }

    @Test func theOtherBackendsSayItOtherwise() throws {
        let nccl = try parse(["MLX_RANK": "1", "MLX_WORLD_SIZE": "2", "NCCL_HOST_IP": "10.0.0.1", "NCCL_PORT": "12345"])
        #expect(nccl.source == .mlx && nccl.rank == 1 && nccl.worldSize == 2 && nccl.masterAddress == "10.0.0.1")
        let jaccl = try parse(
            ["MLX_RANK": "1", "MLX_IBV_DEVICES": "d", "MLX_JACCL_COORDINATOR": "10.0.0.1:32323"],
            files: ["d": #"[[null, "rdma_en5"], ["rdma_en5", null]]"#])
        #expect(jaccl.worldSize == 2 && jaccl.rank == 1 && jaccl.masterAddress == "10.0.0.1")
    }

    @Test(arguments: [
        (["MLX_RANK": "0"], "MLX_WORLD_SIZE is not"), (["MLX_RANK": "0", "MLX_HOSTFILE": "lost"], "MLX_HOSTFILE=lost cannot be read"),
        (["MLX_RANK": "0", "MLX_HOSTFILE": "f"], "no list of ranks"), (["MLX_RANK": "2", "MLX_HOSTFILE": "g"], "MLX_RANK=2"),
    ])
    func whatIsMissingIsNamed(variables: [String: String], words: String) {
        let error = #expect(throws: RendezvousError.self) { try parse(variables, files: ["f": "127.0.0.1", "g": #"[["a:1"], ["b:1"]]"#]) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }

    @Test func theFileIsRead() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("verbena-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(#"[["127.0.0.1:1"], ["127.0.0.1:2"]]"#.utf8).write(to: file)
        #expect(try JobEnvironment(variables: ["MLX_RANK": "1", "MLX_HOSTFILE": file.path]).worldSize == 2)
    }
}

@Suite struct LauncherWarningTests {
    private func warning(_ variables: [String: String]...) throws -> String {
        let warnings = try JobEnvironment(variables: variables.reduce([:]) { $0.merging($1) { $1 } }).warnings
        #expect(warnings.count <= 1)
        return warnings.first ?? ""
    }

    @Test func aSecretThatEverybodyHasIsSaidByRankZero() throws {
        let hand = ["RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"]
        #expect(try warning(hand).contains("VERBENA_SECRET") && warning(hand).contains("1234"))
        #expect(try warning(hand, ["TORCHELASTIC_RUN_ID": "none"]).contains("VERBENA_SECRET"))
        for quiet in [
            ["RANK": "1"], ["VERBENA_SECRET": "hush"], ["MASTER_ADDR": "127.0.0.1"], ["MASTER_ADDR": "localhost"], ["WORLD_SIZE": "1"],
            ["TORCHELASTIC_RUN_ID": "42"],
        ] { #expect(try warning(hand, quiet) == "") }
        let farMPICH = ["PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "1", "MASTER_ADDR": "node1"]
        #expect(try warning(farMPICH).contains("VERBENA_SECRET"))
        #expect(try warning(farMPICH, ["I_MPI_HYDRA_UUID": "de500000-d0e7-dc07-4161-060096d4223f"]) == "")
    }

    @Test func jobsOfIntelMPIHaveSecretsOfTheirOwn() throws {
        func secret(_ id: String) throws -> JobSecret { try parse(mpich, ["I_MPI_HYDRA_UUID": id]).secret }
        #expect(try secret("a") == secret("a"))
        #expect(try secret("a") != secret("b"))
        #expect(try parse(torchrun).secret == parse(["RANK": "0", "WORLD_SIZE": "1"]).secret)
        #expect(try parse(srun).secret != parse(srun, ["SLURM_STEP_ID": "1"]).secret)
    }

    /// Alone in silence is what many processes must not be.
    @Test(arguments: [
        (["FOO_RANK": "0"], ["FOO_RANK=0", "RANK", "WORLD_SIZE"]),
        (["HOROVOD_RANK": "1", "HOROVOD_SIZE": "2"], ["HOROVOD_RANK=1"]),
        (["LOCAL_RANK": "1"], ["LOCAL_RANK=1"]),
        (["RANK": "0", "WORLD_SIZE": "1", "FOO_RANK": "3"], ["FOO_RANK=3"]),
        (["MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "ACCELERATE_USE_CPU": "True"], ["MASTER_ADDR", "torchrun"]),
    ])
    func aRankOfAnUnknownLauncherIsNamed(variables: [String: String], words: [String]) throws {
        let text = try warning(variables)
        for word in words { #expect(text.contains(word), "\(text)") }
        let job = try parse(variables)
        #expect(job.worldSize == 1)
    }

    @Test(arguments: [
        [:], ["PATH": "/bin", "PAGE_RANK": "high"], ["SHLVL": "1", "FRANK": "1"],
        [
            "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "GROUP_RANK": "0", "ROLE_RANK": "0", "TORCHELASTIC_RUN_ID": "x",
            "MASTER_ADDR": "n", "MASTER_PORT": "1",
        ],
        ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_NODE_RANK": "0", "PMIX_RANK": "0"],
    ])
    func aProcessThatIsMeantToBeAloneHearsNothing(variables: [String: String]) throws {
        #expect(try warning(variables) == "")
    }

    /// prterun says no size; a guess would train alone.
    @Test func aRankOfPMIxWithoutASizeIsRefused() throws {
        let prterun = ["PMIX_RANK": "0", "PMIX_NAMESPACE": "prterun-vm-20185@1"]
        let error = #expect(throws: RendezvousError.self) { try parse(prterun) }
        #expect(error?.description.contains("PMIX_RANK") == true && error?.remedy.contains("WORLD_SIZE") == true)
        let told = try parse(prterun, ["PMIX_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"])
        #expect(told.source == .pmix && told.rank == 1 && told.worldSize == 2)
    }
}
