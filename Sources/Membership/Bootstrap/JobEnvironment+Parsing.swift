import FoundationEssentials

extension JobEnvironment {
    /// The largest world that a variable may ask for; more is taken for a slip.
    static let worldSizeLimit = 1 << 16

    /// - Parameter variables: a process's environment.
    /// - Throws: `.configuration`, with the variable's name, its value and the remedy.
    public init(variables: [String: String]) throws(RendezvousError) {
        try self.init(variables: variables, contents: { try? String(contentsOfFile: $0, encoding: .utf8) })
    }

    /// - Parameter contents: the text of the file of a name, nil where it cannot be read: `mlx.launch` names one.
    init(variables environment: [String: String], contents: (String) -> String?) throws(RendezvousError) {
        let given = Self.ofOwnLauncher(environment) ?? environment
        let variables = given.merging(try MLXVariables.derived(from: given, contents: contents)) { given, _ in given }
        let secret = try Self.secret(in: variables)
        let claims = try LauncherClaim.all(in: variables)
        if let claim = try LauncherClaim.last(of: claims, in: variables) {
            try self.init(claim, secret, in: variables)
        } else {
            self.init(
                rank: 0, worldSize: 1, localRank: 0, localWorldSize: 1, masterAddress: "127.0.0.1", masterPort: Self.defaultMasterPort,
                secret: secret ?? .derived(fromJobIdentifiers: []), source: .none)
        }
        warnings = doubts(claims, in: variables)
    }

    private init(_ claim: LauncherClaim, _ secret: JobSecret?, in variables: [String: String]) throws(RendezvousError) {
        let worldSize = claim.worldSize
        let slurm = SlurmJob(claim, in: variables)
        let localWorldSize = try Self.localWorldSize(claim, slurm, in: variables)
        let masterAddress = try Self.masterAddress(claim, slurm, localWorldSize: localWorldSize, in: variables)
        let isOneNode = localWorldSize == worldSize || Self.isLoopback(masterAddress)
        let assumedLocalRank = isOneNode ? claim.rank : localWorldSize.map { claim.rank % $0 } ?? 0
        self.init(
            rank: claim.rank, worldSize: worldSize,
            localRank: try Self.localRank(claim, slurm, localWorldSize: localWorldSize ?? worldSize, in: variables) ?? assumedLocalRank,
            localWorldSize: localWorldSize, masterAddress: masterAddress,
            masterPort: try Self.masterPort(claim, slurm, isOneNode: localWorldSize == worldSize, in: variables),
            secret: secret ?? .derived(fromJobIdentifiers: Self.jobIdentifiers(claim, slurm, in: variables)), source: claim.family.source)
    }

    /// What `LocalJob` says to a rank that it started, and nothing else: the launcher may itself run under torchrun, mpirun or srun, whose
    /// variables are about the launcher, but reach its ranks, too.
    /// - Returns: nil in a process that it did not start.
    private static func ofOwnLauncher(_ variables: [String: String]) -> [String: String]? {
        guard variables[localLauncherVariable] != nil else { return nil }
        let own = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "VERBENA_SECRET"]
        return variables.filter { own.contains($0.key) }
    }

    /// Only what all ranks have alike.
    private static func jobIdentifiers(_ claim: LauncherClaim, _ slurm: SlurmJob, in variables: [String: String]) -> [String] {
        let names = claim.family.jobIdentifiers + (slurm.isStepOfRanks ? ["SLURM_JOB_ID", "SLURM_STEP_ID"] : [])
        // torchrun's own word for a job without an id.
        return names.compactMap { variables[$0] }.filter { $0 != "none" }
    }

    private static func localWorldSize(
        _ claim: LauncherClaim, _ slurm: SlurmJob, in variables: [String: String]
    ) throws(RendezvousError) -> Int? {
        let worldSize = claim.worldSize
        // Slurm counts its nodes instead.
        return try number(claim.family.localWorldSize, in: variables, within: 1...worldSize, "contradicts a world of \(worldSize)")
            ?? (slurm.isOnOneNode ? worldSize : nil)
    }

    private static func localRank(
        _ claim: LauncherClaim, _ slurm: SlurmJob, localWorldSize: Int, in variables: [String: String]
    ) throws(RendezvousError) -> Int? {
        let names = claim.family.localRank + (slurm.isStepOfRanks ? ["SLURM_LOCALID"] : [])
        return try number(
            names, in: variables, within: 0...localWorldSize - 1, "is outside the \(localWorldSize) ranks of a machine",
            remedy: ", or leave it unset")
    }

    private static func masterPort(
        _ claim: LauncherClaim, _ slurm: SlurmJob, isOneNode: Bool, in variables: [String: String]
    ) throws(RendezvousError) -> Int {
        let remedy = ", the same for all ranks"
        guard let value = try number(["MASTER_PORT"], in: variables, within: 1...65535, "is no TCP port", remedy: remedy) else {
            // Ranks that mpirun starts on other nodes by ssh do not know Slurm's job.
            return (slurm.isStepOfRanks || isOneNode ? slurm.port : nil) ?? defaultMasterPort
        }
        // torchrun's agent may keep a store of its own at this port for as long as the job lives; the next one is then ours.
        let isOfAgent = claim.family.source == .torchrun && variables["TORCHELASTIC_USE_AGENT_STORE"] == "True"
        return isOfAgent && value < 65535 ? value + 1 : value
    }

    private static func masterAddress(
        _ claim: LauncherClaim, _ slurm: SlurmJob, localWorldSize: Int?, in variables: [String: String]
    ) throws(RendezvousError) -> String {
        let worldSize = claim.worldSize
        if let address = variables["MASTER_ADDR"] {
            guard let meant = MasterAddress(address) else {
                throw .environment(
                    "MASTER_ADDR=\"\(oneLine(address, byteLimit: 80))\" is no host name and no address of IPv4 or IPv6",
                    remedy: "set MASTER_ADDR to the host name or address of rank 0's machine, and its port in MASTER_PORT")
            }
            return meant.text
        }
        if worldSize == 1 || localWorldSize == worldSize { return "127.0.0.1" }
        if claim.family.source == .mlx, let host = variables[MLXVariables.masterAddress] { return host }
        if let host = slurm.firstHost { return host }
        throw .environment(
            "MASTER_ADDR is not set, and nothing tells that all \(worldSize) ranks are on one machine",
            remedy: "set MASTER_ADDR to the host name or address of rank 0's machine (127.0.0.1 if all ranks are on this one)")
    }

    private static func secret(in variables: [String: String]) throws(RendezvousError) -> JobSecret? {
        guard let text = variables["VERBENA_SECRET"] else { return nil }
        guard !text.isEmpty else {
            throw .environment("VERBENA_SECRET is set, but empty", remedy: "set it to the same random text on all ranks, or unset it")
        }
        return JobSecret(text)
    }

    /// The first of `names` that is set.
    /// - Parameters:
    ///   - problem: what is wrong with a number outside of `range`.
    ///   - more: what the remedy says beside the range.
    static func number(
        _ names: [String], in variables: [String: String], within range: ClosedRange<Int>, _ problem: String, remedy more: String = ""
    ) throws(RendezvousError) -> Int? {
        for name in names {
            guard let text = variables[name] else { continue }
            guard let value = Int(text) else {
                let shown = oneLine(text, byteLimit: 40)
                throw .environment("\(name)=\"\(shown)\" is not a whole number", remedy: "set \(name) to a number, or unset it")
            }
            guard range.contains(value) else {
                throw .environment(
                    "\(name)=\(value) \(problem)", remedy: "set \(name) to \(range.lowerBound) ... \(range.upperBound)\(more)")
            }
            return value
        }
        return nil
    }
}
