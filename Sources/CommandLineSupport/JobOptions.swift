public import ArgumentParser
internal import Foundation
internal import Launch
public import Verbena

extension FabricChoice: ExpressibleByArgument {}
extension ProgressChoice: ExpressibleByArgument {}

extension EmulatedLink: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

/// The options by which every command starts or joins a job.
public struct JobOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: "Start this many ranks on this machine. Without it, this process is the rank that RANK, WORLD_SIZE, ... say, or alone.")
    public var ranks: Int?

    @Option(
        parsing: .unconditional,
        help: "With --ranks: let them act as if they were on so many machines, that is, use verbs between these. For tests.")
    public var nodes: Int?
    /// The old spelling.
    @Option(parsing: .unconditional, help: .hidden)
    public var machines: Int?

    @Option(help: "What carries the data: auto (shared memory inside a machine, verbs between machines), verbs or shm.")
    public var fabric: FabricChoice?

    @Option(
        help: ArgumentHelp(
            "RDMA devices for verbs, separated by commas, taken in turn by the ranks of a machine. All usable ones by default.",
            discussion: "rxe1@10.10.0.1 or rxe1@10.10.0.0/24 says which address of a device to take."))
    public var device: String?

    @Option(
        parsing: .unconditional,
        help: "How many RDMA devices each rank uses; its messages are spread over them. 1 by default; the same on all ranks.")
    public var devicesPerRank: Int?

    @Option(
        help: ArgumentHelp(
            "Which thread carries out what is started: thread (one of the engine), hooks (the caller's, as it calls) or auto.",
            discussion: "auto: hooks where all ranks share memory and have no core to spare, thread otherwise."))
    public var progress = ProgressChoice.automatic

    @Option(
        parsing: .unconditional,
        help:
            "Emulate a network on shared memory: bandwidth in Mbit or Gbit, 1Mbit to 1000Gbit, and latency in us or ms, at most 1000ms, such as 10Gbit,5us."
    )
    public var link: EmulatedLink?

    @Option(
        parsing: .unconditional,
        help: "Memory for what peers send beyond the buffers, at most, such as 8M: less means smaller messages. 64M by default.")
    public var receiveBuffers: ByteCount?
    /// The old spelling.
    @Option(parsing: .unconditional, help: .hidden)
    public var landing: ByteCount?

    public init() {}

    public mutating func validate() throws {
        if let ranks, !(1...LocalJob.maxRanks ~= ranks) {
            throw ValidationError("--ranks \(ranks): give a number from 1 to \(LocalJob.maxRanks)")
        }
        (nodes, receiveBuffers) = (nodes ?? machines, receiveBuffers ?? landing)
        if let nodes, !(1...(ranks ?? 1) ~= nodes) {
            throw ValidationError("--nodes \(nodes): give a number from 1 to that of --ranks")
        }
        if let devicesPerRank, !(1...Configuration.maxDevicesPerRank ~= devicesPerRank) {
            throw ValidationError("--devices-per-rank \(devicesPerRank): give a number from 1 to \(Configuration.maxDevicesPerRank)")
        }
        if let device, device.allSatisfy({ $0 == "," }) {
            throw ValidationError("--device '\(device)': give a device's name, such as mlx5_0, or leave it out")
        }
        if fabric == .sharedMemory, device != nil || devicesPerRank != nil {
            throw ValidationError("--fabric shm has no devices; leave out --device and --devices-per-rank, or take --fabric verbs")
        }
        if link != nil, fabric == .verbs || (nodes ?? 1) > 1 {
            throw ValidationError("--link emulates a network on shared memory; leave it out, or leave out --fabric verbs and --nodes")
        }
        if ranks != nil, !LocalJob.isRank, let launcher = LocalJob.foreignLauncher() {
            throw ValidationError("--ranks starts ranks, but \(launcher); leave out --ranks, or unset the launcher's variables")
        }
    }

    /// Whether this process only starts the ranks: the place for checks that are worth saying once.
    public var startsRanks: Bool { (ranks ?? 1) > 1 && !LocalJob.isRank }

    /// Runs `body` as a rank: in this process, or in as many copies of it as `--ranks` says.
    /// - Parameters:
    ///   - body: throws a `Failure` of usage, or one that says so, only for what every rank finds as well.
    ///   - configuring: what a command changes of how its ranks join.
    /// - Returns: the exit status.
    public func run(
        _ body: (Communicator) throws -> Int32, configuring: (inout Configuration) -> Void = { _ in }
    ) throws -> Int32 {
        var configuration = try Configuration(fabric: fabric, devices: device.map { $0.split(separator: ",").map(String.init) })
        configuration.devicesPerRank = devicesPerRank ?? configuration.devicesPerRank
        configuration.link = link
        configuration.progress = progress
        if let receiveBuffers { configuration.receiveBufferByteLimit = receiveBuffers.value }
        // A world of one is wanted: whatever a launcher's variables may mean is no matter.
        if ranks == 1 { configuration.environment = [:] }
        configuring(&configuration)
        if let ranks, startsRanks {
            try configuration.checkFabric()
            return try LocalJob.run(
                ranks: ranks, nodes: nodes ?? 1, joinTimeoutSeconds: configuration.joinTimeoutSeconds,
                livenessTimeoutSeconds: configuration.livenessTimeoutSeconds)
        }
        let communicator = try Communicator.join(configuration)
        let status: Int32
        do {
            status = try body(communicator)
        } catch let failure as Failure where failure.isOfEveryRank {
            // All ranks were given the same options and find the same wrong with them: one says so.
            try communicator.close()
            if communicator.rank == 0 { throw failure }
            return failure.status
        } catch {
            if (error as? VerbenaError)?.isKnownToAll != true { communicator.abort(reason: "\(error)") }
            communicator.leave()
            throw error
        }
        try communicator.close()
        return status
    }
}
