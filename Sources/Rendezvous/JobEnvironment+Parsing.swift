/// The names that one launcher gives to the same four numbers. Of several names the first that is set counts.
private struct VariableFamily {
    let source: JobEnvironment.Source
    /// Any of them present: the family is meant.
    let markers: [String]
    let rank: String
    let worldSize: [String]
    let localRank: [String]
    let localWorldSize: [String]
    /// What tells this job from another; part of the derived secret.
    let jobIdentifiers: [String]

    static let all = [
        VariableFamily(
            source: .torchrun, markers: ["RANK", "WORLD_SIZE"], rank: "RANK", worldSize: ["WORLD_SIZE"], localRank: ["LOCAL_RANK"],
            localWorldSize: ["LOCAL_WORLD_SIZE"], jobIdentifiers: ["TORCHELASTIC_RUN_ID"]),
        VariableFamily(
            source: .openMPI, markers: ["OMPI_COMM_WORLD_RANK"], rank: "OMPI_COMM_WORLD_RANK", worldSize: ["OMPI_COMM_WORLD_SIZE"],
            localRank: ["OMPI_COMM_WORLD_LOCAL_RANK"], localWorldSize: ["OMPI_COMM_WORLD_LOCAL_SIZE"],
            jobIdentifiers: ["PMIX_NAMESPACE"]),
        VariableFamily(
            source: .pmix, markers: ["PMIX_RANK"], rank: "PMIX_RANK",
            worldSize: ["OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "PMI_SIZE", "SLURM_NTASKS"],
            localRank: ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"],
            localWorldSize: ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"], jobIdentifiers: ["PMIX_NAMESPACE"]),
        VariableFamily(
            source: .pmi, markers: ["PMI_RANK"], rank: "PMI_RANK", worldSize: ["PMI_SIZE"], localRank: ["MPI_LOCALRANKID"],
            localWorldSize: ["MPI_LOCALNRANKS"], jobIdentifiers: ["PMI_JOBID", "SLURM_JOB_ID", "SLURM_STEP_ID"]),
        VariableFamily(
            source: .slurm, markers: ["SLURM_PROCID"], rank: "SLURM_PROCID", worldSize: ["SLURM_NTASKS"], localRank: ["SLURM_LOCALID"],
            localWorldSize: [], jobIdentifiers: ["SLURM_JOB_ID", "SLURM_STEP_ID"]),
    ]
}

extension JobEnvironment {
    /// The largest world that a variable may ask for; more is taken for a slip.
    static let worldSizeLimit = 1 << 16

    /// - Parameter variables: a process's environment.
    /// - Throws: `.environment`, with the variable's name, its value and the remedy.
    public init(variables: [String: String]) throws(RendezvousError) {
        let secret = try Self.secret(in: variables)
        guard let family = VariableFamily.all.first(where: { $0.markers.contains { variables[$0] != nil } }) else {
            self.init(
                rank: 0, worldSize: 1, localRank: 0, localWorldSize: 1, masterAddress: "127.0.0.1", masterPort: Self.defaultMasterPort,
                secret: secret ?? .derived(fromJobIdentifiers: []), source: .none)
            return
        }
        let worldSize = try Self.worldSize(family, in: variables)
        let rank = try Self.rank(family, worldSize: worldSize, in: variables)
        let localWorldSize = try Self.localWorldSize(family, worldSize: worldSize, in: variables)
        let masterAddress = try Self.masterAddress(worldSize: worldSize, localWorldSize: localWorldSize, in: variables)
        let isOneMachine = localWorldSize == worldSize || Self.isLoopback(masterAddress)
        let assumedLocalRank = isOneMachine ? rank : localWorldSize.map { rank % $0 } ?? 0
        self.init(
            rank: rank, worldSize: worldSize,
            localRank: try Self.localRank(family, localWorldSize: localWorldSize ?? worldSize, in: variables) ?? assumedLocalRank,
            localWorldSize: localWorldSize, masterAddress: masterAddress, masterPort: try Self.masterPort(in: variables),
            secret: secret ?? .derived(fromJobIdentifiers: family.jobIdentifiers.compactMap { variables[$0] }), source: family.source)
    }

    private static func worldSize(_ family: VariableFamily, in variables: [String: String]) throws(RendezvousError) -> Int {
        guard let (name, value) = try number(family.worldSize, in: variables) else {
            let names = family.worldSize.joined(separator: " or ")
            throw .environment("\(family.rank) is set, but \(names) is not", remedy: "set \(names) to the number of ranks")
        }
        guard (1...worldSizeLimit).contains(value) else {
            throw .environment("\(name)=\(value) is no number of ranks", remedy: "set \(name) to 1 ... \(worldSizeLimit)")
        }
        return value
    }

    private static func rank(
        _ family: VariableFamily, worldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int {
        guard let (name, value) = try number([family.rank], in: variables) else {
            throw .environment(
                "\(family.worldSize[0]) is set, but \(family.rank) is not",
                remedy: "set \(family.rank) to 0 ... \(worldSize - 1), another in each process")
        }
        guard (0..<worldSize).contains(value) else {
            throw .environment(
                "\(name)=\(value) is outside a world of \(worldSize)",
                remedy: "set \(name) to 0 ... \(worldSize - 1), or raise \(family.worldSize[0])")
        }
        return value
    }

    private static func localWorldSize(
        _ family: VariableFamily, worldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int? {
        guard let (name, value) = try number(family.localWorldSize, in: variables) else {
            // Slurm counts its nodes instead.
            let nodes = ["SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"].lazy.compactMap { variables[$0] }.first
            return family.source == .slurm && nodes == "1" ? worldSize : nil
        }
        guard (1...worldSize).contains(value) else {
            throw .environment("\(name)=\(value) contradicts a world of \(worldSize)", remedy: "set \(name) to 1 ... \(worldSize)")
        }
        return value
    }

    private static func localRank(
        _ family: VariableFamily, localWorldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int? {
        guard let (name, value) = try number(family.localRank, in: variables) else { return nil }
        guard (0..<localWorldSize).contains(value) else {
            throw .environment(
                "\(name)=\(value) is outside the \(localWorldSize) ranks of a machine",
                remedy: "set \(name) to 0 ... \(localWorldSize - 1), or leave it unset")
        }
        return value
    }

    private static func masterPort(in variables: [String: String]) throws(RendezvousError) -> Int {
        guard let (name, value) = try number(["MASTER_PORT"], in: variables) else { return defaultMasterPort }
        guard (1...65535).contains(value) else {
            throw .environment("\(name)=\(value) is no TCP port", remedy: "set \(name) to 1 ... 65535, the same for all ranks")
        }
        // torchrun's agent may keep a store of its own at this port for as long as the job lives; the next one is then ours.
        return variables["TORCHELASTIC_USE_AGENT_STORE"] == "True" && value < 65535 ? value + 1 : value
    }

    private static func masterAddress(
        worldSize: Int, localWorldSize: Int?, in variables: [String: String]
    ) throws(RendezvousError) -> String {
        if let address = variables["MASTER_ADDR"] {
            guard !address.isEmpty, !address.contains(where: \.isWhitespace) else {
                throw .environment(
                    "MASTER_ADDR=\"\(address)\" is no address", remedy: "set MASTER_ADDR to the host name or address of rank 0's machine")
            }
            return address
        }
        if worldSize == 1 || localWorldSize == worldSize { return "127.0.0.1" }
        let nodeLists = ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"]
        if let list = nodeLists.lazy.compactMap({ variables[$0] }).first, let host = firstHost(ofNodeList: list) { return host }
        throw .environment(
            "MASTER_ADDR is not set, and nothing tells that all \(worldSize) ranks are on one machine",
            remedy: "set MASTER_ADDR to the host name or address of rank 0's machine (127.0.0.1 if all ranks are on this one)")
    }

    /// The first host of Slurm's short form: `node[03-05,9],other` begins with `node03`.
    static func firstHost(ofNodeList list: String) -> String? {
        let prefix = list.prefix { $0 != "[" && $0 != "," }
        let rest = list.dropFirst(prefix.count)
        guard rest.first == "[" else { return prefix.isEmpty ? nil : String(prefix) }
        let number = rest.dropFirst().prefix { $0.isNumber }
        let suffix = rest.drop { $0 != "]" }.dropFirst().prefix { $0 != "," && $0 != "[" }
        return number.isEmpty ? nil : "\(prefix)\(number)\(suffix)"
    }

    private static func secret(in variables: [String: String]) throws(RendezvousError) -> JobSecret? {
        guard let text = variables["VERBENA_SECRET"] else { return nil }
        guard !text.isEmpty else {
            throw .environment("VERBENA_SECRET is set, but empty", remedy: "set it to the same random text on all ranks, or unset it")
        }
        return JobSecret(text)
    }

    /// The first of `names` that is set.
    private static func number(
        _ names: [String], in variables: [String: String]
    ) throws(RendezvousError) -> (name: String, value: Int)? {
        for name in names {
            guard let text = variables[name] else { continue }
            guard let value = Int(text) else {
                let shown = oneLine(text, byteLimit: 40)
                throw .environment("\(name)=\"\(shown)\" is not a whole number", remedy: "set \(name) to a number, or unset it")
            }
            return (name, value)
        }
        return nil
    }
}

extension RendezvousError {
    fileprivate static func environment(_ detail: String, remedy: String) -> RendezvousError {
        RendezvousError(.environment, detail, remedy: remedy)
    }
}
