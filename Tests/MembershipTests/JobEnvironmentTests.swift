import Testing

@testable import Membership

@Suite struct JobEnvironmentTests {
    private func parse(_ variables: [String: String]) throws -> JobEnvironment { try JobEnvironment(variables: variables) }

    @Test func nothingSetIsAWorldOfOne() throws {
        let job = try parse(["PATH": "/bin", "SLURM_NTASKS": "4"])
        #expect(job.source == .none && job.rank == 0 && job.worldSize == 1 && job.localRank == 0)
    }

    @Test func torchrunsVariables() throws {
        let job = try parse([
            "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "node0", "MASTER_PORT": "1234",
            "VERBENA_SECRET": "s", "OMPI_COMM_WORLD_RANK": "7",
        ])
        let wanted = JobEnvironment(
            rank: 5, worldSize: 8, localRank: 1, localWorldSize: 4, masterAddress: "node0", masterPort: 1234, secret: JobSecret("s"),
            source: .torchrun)
        #expect(job == wanted)
        #expect(job.listenAddress == "::")
        #expect(try parse(job.variables) == job)
    }

    @Test func torchrunsAgentKeepsItsPort() throws {
        let variables = [
            "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node1", "MASTER_PORT": "29400", "TORCHELASTIC_USE_AGENT_STORE": "True",
        ]
        #expect(try JobEnvironment(variables: variables).masterPort == 29401)
    }

    @Test func aLauncherOfOneMachineNeedsNoMasterAddress() throws {
        let openMPI = try parse([
            "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "3",
            "PMIX_RANK": "2", "PMIX_NAMESPACE": "job-1",
        ])
        #expect(openMPI.source == .openMPI && openMPI.rank == 2 && openMPI.worldSize == 3 && openMPI.localRank == 2)
        #expect(openMPI.masterAddress == "127.0.0.1" && openMPI.listenAddress == "127.0.0.1")
        #expect(openMPI.masterPort == JobEnvironment.defaultMasterPort)
        let pmi = try parse(["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"])
        #expect(pmi.source == .pmi && pmi.rank == 1 && pmi.masterAddress == "127.0.0.1" && pmi.localRank == 1)
        let slurm = try parse(["SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "1", "SLURM_NNODES": "1"])
        #expect(slurm.source == .slurm && slurm.masterAddress == "127.0.0.1" && slurm.localWorldSize == 2)
        let pmix = try parse([
            "PMIX_RANK": "3", "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "MASTER_ADDR": "10.0.0.1",
        ])
        #expect(pmix.source == .pmix && pmix.rank == 3 && pmix.worldSize == 4 && pmix.localRank == 1)
    }

    @Test func slurmsFirstNodeIsTheMaster() throws {
        let job = try parse([
            "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_NNODES": "2",
            "SLURM_JOB_NODELIST": "gpu[03-05,9],login",
        ])
        #expect(job.masterAddress == "gpu03")
        #expect(SlurmJob.firstHost(ofNodeList: "a,b") == "a")
        #expect(SlurmJob.firstHost(ofNodeList: "rack[1-2]-ib,x") == "rack1-ib")
        #expect(SlurmJob.firstHost(ofNodeList: "n[") == nil)
        #expect(SlurmJob.firstHost(ofNodeList: "") == nil)
    }

    @Test func theLocalRankIsAssumedWhereItCanBe() throws {
        #expect(try parse(["RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"]).localRank == 3)
        #expect(try parse(["RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "a", "LOCAL_WORLD_SIZE": "2"]).localRank == 1)
        #expect(try parse(["RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "a"]).localRank == 0)
        #expect(try parse(["RANK": "0", "WORLD_SIZE": "1"]).masterAddress == "127.0.0.1")
    }

    /// What is meant, what rank 0 listens on, and whether all ranks are on one machine then.
    @Test(
        arguments: [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1", true), ("127.0.1.1", "127.0.1.1", "127.0.1.1", true),
            ("10.0.0.1", "10.0.0.1", "0.0.0.0", false), ("0.0.0.0", "0.0.0.0", "0.0.0.0", false),
            ("::1", "::1", "::1", true), ("[::1]", "::1", "::1", true), ("0:0:0:0:0:0:0:1", "0:0:0:0:0:0:0:1", "0:0:0:0:0:0:0:1", true),
            ("fd00::1", "fd00::1", "::", false), ("[fd00::1]", "fd00::1", "::", false), ("fe80::1%eth0", "fe80::1%eth0", "::", false),
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1", true), ("[::FFFF:10.0.0.1]", "10.0.0.1", "0.0.0.0", false),
            ("localhost", "localhost", "localhost", true), ("LocalHost.", "LocalHost.", "LocalHost.", true),
            ("ip6-localhost", "ip6-localhost", "ip6-localhost", true), ("a.localhost", "a.localhost", "a.localhost", true),
            ("node1", "node1", "::", false), ("node_1.cluster-2.example.", "node_1.cluster-2.example.", "::", false),
            ("127.example.org", "127.example.org", "::", false), ("b\u{fc}ro", "b\u{fc}ro", "::", false),
        ] as [(String, String, String, Bool)])
    func aMasterAddressIsALiteralOrAName(written: String, meant: String, listen: String, isLoopback: Bool) throws {
        let job = try parse(["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": written])
        #expect(job.masterAddress == meant && job.listenAddress == listen && JobEnvironment.isLoopback(meant) == isLoopback)
        #expect(job.localRank == (isLoopback ? 1 : 0))
    }

    @Test(arguments: [
        "300.1.1.1", "1.2.3", "127.1", "1.2.3.4.5", "10.0.0.1:29500", "node1:29500", "[node1]", "[10.0.0.1]", "[::1", "::1]", "fd00:::1",
        "fd00::g",
        "[::1]:29500", "http://node1", "node1/24", "node1,node2", "a b", "10.0.0.1%eth0", "fe80::1%", ".", "[]", "2130706433",
    ])
    func whatIsNeitherIsRefusedAtOnce(written: String) throws {
        let error = #expect(throws: RendezvousError.self) { try parse(["RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": written]) }
        #expect(error?.cause == .configuration)
        for word in ["MASTER_ADDR=\"\(written)\"", "MASTER_PORT"] { #expect(error?.description.contains(word) == true, "\(written)") }
    }

    @Test func aDerivedSecretFollowsTheJob() throws {
        func secret(_ job: String) throws -> JobSecret {
            try parse(["SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_JOB_ID": job]).secret
        }
        #expect(try secret("7") == secret("7"))
        #expect(try secret("7") != secret("8"))
        #expect(try secret("7").isDerived)
        let given = try parse(["VERBENA_SECRET": "hush"]).secret
        #expect(!given.isDerived && given == JobSecret("hush"))
        #expect(!"\(given)".contains("hush") && !String(reflecting: given).contains("hush"))
        #expect(JobSecret.random().text.count == 64 && JobSecret.random() != JobSecret.random())
    }

    /// Changes to a right environment, and the words that the error must hold.
    @Test(
        arguments: [
            (["RANK": "4"], ["RANK=4", "world of 4", "0 ... 3"]),
            (["RANK": "-1"], ["RANK=-1", "0 ... 3"]),
            (["RANK": "x"], ["RANK=\"x\"", "whole number"]),
            (["RANK": ""], ["RANK=\"\"", "whole number"]),
            (["RANK": "1.0"], ["RANK=\"1.0\""]),
            (["RANK": "99999999999999999999"], ["RANK=\"99999999999999999999\""]),
            (["RANK": nil], ["RANK is not", "WORLD_SIZE is set"]),
            (["WORLD_SIZE": nil], ["RANK is set", "WORLD_SIZE is not"]),
            (["WORLD_SIZE": "0"], ["WORLD_SIZE=0", "1 ..."]),
            (["WORLD_SIZE": "-3"], ["WORLD_SIZE=-3"]),
            (["WORLD_SIZE": "1000000"], ["WORLD_SIZE=1000000"]),
            (["LOCAL_WORLD_SIZE": "5"], ["LOCAL_WORLD_SIZE=5", "world of 4"]),
            (["LOCAL_RANK": "4"], ["LOCAL_RANK=4"]),
            (["LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "2"], ["LOCAL_RANK=2", "0 ... 1"]),
            (["MASTER_PORT": "0"], ["MASTER_PORT=0", "65535"]),
            (["MASTER_PORT": "70000"], ["MASTER_PORT=70000"]),
            (["MASTER_PORT": "http"], ["MASTER_PORT=\"http\""]),
            (["MASTER_ADDR": nil], ["MASTER_ADDR", "127.0.0.1"]),
            (["MASTER_ADDR": ""], ["MASTER_ADDR=\"\""]),
            (["VERBENA_SECRET": ""], ["VERBENA_SECRET", "empty"]),
        ] as [([String: String?], [String])])
    func aWrongValueIsNamedWithItsRemedy(changes: [String: String?], words: [String]) throws {
        var variables = ["RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"]
        #expect(throws: Never.self) { try parse(variables) }
        for (name, value) in changes { variables[name] = value }
        let error = #expect(throws: RendezvousError.self) { try parse(variables) }
        #expect(error?.cause == .configuration)
        #expect(error?.remedy.isEmpty == false)
        for word in words { #expect(error?.description.contains(word) == true, "\(String(describing: error))") }
    }

    @Test(arguments: [
        ([3], "rank 3"), ([1, 0], "ranks 0, 1"), ([2, 5, 6, 7], "ranks 2, 5-7"), ([0, 1, 2, 4], "ranks 0-2, 4"),
        (Array(stride(from: 0, to: 100, by: 2)), "ranks 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, and 38 more"),
    ])
    func ranksAreListedInShort(ranks: [Int], text: String) {
        #expect(RankList(ranks).description == text)
    }

    @Test func textsStayOnOneLineAndWithinTheirLimit() {
        #expect(oneLine("a\nb\tc", byteLimit: 10) == "a b c")
        #expect(oneLine("äöü", byteLimit: 5) == "äö")
        #expect(Verdict(rank: 0, cause: .died, String(repeating: "x", count: 1000), during: "").detail.count == 400)
    }
}
