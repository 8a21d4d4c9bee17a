internal import Collectives
public import Engine
internal import Fabric
internal import FoundationEssentials
public import Logging
internal import Membership
internal import Platform
internal import Synchronization

extension Communicator {
    /// How long each stage after the ranks have found each other may take: swapping introductions, endpoints and descriptors.
    static let stageTimeoutSeconds: Double = 60
    /// How long connecting to the neighbours may take; they are all there by then.
    private static let connectMilliseconds: UInt64 = 60_000

    /// Joins the job that the environment describes and connects to the others. Blocks: for finding the others at most the join
    /// timeout, then at most 60 s for each of a few swaps and for connecting, all of which take milliseconds as a rule.
    ///
    /// Raises the process's soft limit on open files to the hard one.
    ///
    /// - Parameter logger: told what was chosen, at `info`.
    /// - Throws: what is wrong and how to mend it. When one rank cannot join, every rank is told why.
    public static func join(
        _ configuration: Configuration, logger: Logger = Logger(label: "verbena")
    ) throws(VerbenaError) -> Communicator {
        OpenFiles.raiseLimit()
        let job = try wrapping { () throws(RendezvousError) in try JobEnvironment(variables: configuration.environment) }
        for warning in job.warnings { logger.warning("\(warning)") }
        let listeners = VerdictListeners()
        let (client, coordinator) = try meet(job, configuration, listeners, logger)
        let group = RankGroup(all: client)
        do throws(VerbenaError) {
            let introductions = try Introduction.exchange(group, configuration)
            let pool = MemoryPool(isShared: FabricPlan.sharesMemory(introductions, configuration))
            let facts = JobFacts(
                introductions: introductions, configuration: configuration, listeners: listeners, pool: pool, logger: logger)
            return try build(group, facts, membership: JobMembership(client: client, coordinator: coordinator, pool: pool))
        } catch {
            let agreed = error.agreed(with: group, during: "joining")
            client.leave()
            coordinator?.stop(waitingAtMostSeconds: leaveTimeoutSeconds)
            throw agreed
        }
    }

    /// Finds the other ranks. Rank 0 hosts the coordinator, unless the launcher does.
    private static func meet(
        _ job: JobEnvironment, _ configuration: Configuration, _ listeners: VerdictListeners, _ logger: Logger
    ) throws(VerbenaError) -> (ControlPlaneClient, Coordinator?) {
        guard job.worldSize > 1 else { return (ControlPlaneClient.alone(), nil) }
        let bounds = RendezvousBounds(
            joinTimeoutSeconds: configuration.joinTimeoutSeconds, livenessTimeoutSeconds: configuration.livenessTimeoutSeconds)
        let isHost = job.rank == 0 && configuration.environment[JobEnvironment.localLauncherVariable] == nil
        if isHost, let shortage = OpenFiles.shortage(forRanks: job.worldSize) { throw VerbenaError(.configuration, shortage) }
        return try wrapping { () throws(RendezvousError) in
            var coordinator: Coordinator?
            if isHost {
                coordinator = try Coordinator.start(
                    host: job.listenAddress, port: job.masterPort, expectedAt: job.masterAddress, worldSize: job.worldSize,
                    secret: job.secret, version: version,
                    bounds: bounds, logger: logger)
            }
            do throws(RendezvousError) {
                // The host itself needs no name service to find the coordinator.
                let client = try ControlPlaneClient.join(
                    rank: job.rank, worldSize: job.worldSize, host: coordinator?.ownAddress ?? job.masterAddress, port: job.masterPort,
                    secret: job.secret, version: version, joinTimeoutSeconds: configuration.joinTimeoutSeconds, logger: logger,
                    onVerdict: { listeners.hear($0) })
                return (client, coordinator)
            } catch {
                // The others get their own answer from the coordinator before it goes.
                coordinator?.stop(waitingAtMostSeconds: leaveTimeoutSeconds)
                throw error
            }
        }
    }

    /// Opens a fabric between the members of a group and sets an engine on it. Collective over the group.
    /// - Parameter membership: the job's, for the communicator of all ranks.
    static func build(
        _ group: RankGroup, _ job: JobFacts, membership: JobMembership? = nil, parent: Communicator? = nil
    ) throws(VerbenaError) -> Communicator {
        let plan = try FabricPlan(job.introductions, group, job.configuration)
        let ownBytes = plan.settings.receiveBufferByteCount + probeByteCount(plan.settings)
        try job.agreeOnMemory("receive buffers", byteCount: ownBytes, group, "give a smaller --receive-buffers")
        let engine: RunningEngine
        switch plan.kind {
        case .sharedMemory: engine = .sharedMemory(try start(try plan.sharedMemory(alone: true), plan, group, job.listeners))
        case .verbs: engine = .verbs(try start(try plan.verbs(), plan, group, job.listeners))
        case .mixed: engine = .mixed(try start(try plan.mixed(), plan, group, job.listeners))
        }
        engine.start()
        do throws(VerbenaError) {
            job.listeners.add(engine.control, group.status)
            var costs = job.introductions[group.jobRanks[group.rank]].costs
            if costs == nil { costs = try measuredCosts(engine, group, plan, job.pool) }
            if let costs { try engine.control.adopt(costs) }
            job.logger.info(
                "joined",
                metadata: [
                    "rank": "\(group.rank)", "ranks": "\(group.worldSize)", "group": "\(group)", "fabric": "\(engine.control.fabricName)",
                    "device": "\(engine.control.deviceName)",
                ])
            return try Communicator(group: group, job: job, membership: membership, parent: parent, engine: engine, plan: plan)
        } catch {
            engine.control.stop(orderly: false)
            throw error
        }
    }

    /// Connects a fabric to all other ranks and sets the engine on it.
    private static func start<F: Fabric & ~Copyable>(
        _ opened: consuming F, _ plan: FabricPlan, _ group: RankGroup, _ listeners: VerdictListeners
    ) throws(VerbenaError) -> ProgressEngine<F, SystemHost> {
        var fabric = opened
        let own = Meeting(writeByteLimit: fabric.writeByteLimit, endpoint: fabric.endpoint).encoded
        let gathered = try wrapping { () throws(RendezvousError) in
            try group.allGather(own, label: "endpoints", timeoutSeconds: stageTimeoutSeconds)
        }
        let meetings = gathered.map(Meeting.init(decoding:))
        let endpoints = meetings.map(\.endpoint)
        var settings = plan.settings
        settings.messageBytes = meetings.reduce(settings.messageBytes) { min($0, $1.writeByteLimit) }
        let peers = endpoints.indices.filter { $0 != group.rank }
        let deadline = fabric.now().advanced(milliseconds: connectMilliseconds)
        // A verdict ends the wait for a peer that will not come.
        let connecting = listeners.beginConnecting(fabric.waker(), group.status)
        defer { listeners.endConnecting(connecting) }
        do throws(FabricError) {
            try fabric.connect(to: Dictionary(uniqueKeysWithValues: peers.map { ($0, endpoints[$0]) }), deadline: deadline)
        } catch {
            if case .failed(let verdict) = group.status { throw VerbenaError(verdict, during: "joining") }
            throw VerbenaError(error)
        }
        var executor = try executor(on: fabric, settings)
        let descriptor = executor.descriptor(of: .receiveBuffers)
        let descriptors = try wrapping { () throws(RendezvousError) in
            try group.allGather(descriptor, label: "receive buffers", timeoutSeconds: stageTimeoutSeconds)
        }
        do throws(FabricError) {
            try executor.attach(.receiveBuffers, descriptors: descriptors)
        } catch {
            throw VerbenaError(error)
        }
        return ProgressEngine(executor: executor, group: group, waits: plan.waits, usesHooks: plan.usesHooks, host: SystemHost())
    }
}

/// What a rank says of its fabric before it is connected. On the wire: bytes of the longest write 8, then the endpoint.
private struct Meeting {
    var writeByteLimit: Int
    var endpoint: [UInt8]

    init(writeByteLimit: Int, endpoint: [UInt8]) { (self.writeByteLimit, self.endpoint) = (writeByteLimit, endpoint) }

    /// Of too few bytes it makes an endpoint that the fabric refuses, with the rank's number.
    init(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        writeByteLimit = reader.read(Int64.self).map { Int($0) } ?? .max
        endpoint = Array(bytes.dropFirst(8))
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(Int64(writeByteLimit))
        writer.append(endpoint)
        return writer.bytes
    }
}

private func executor<F: Fabric & ~Copyable>(on fabric: consuming F, _ settings: ExecutorSettings) throws(VerbenaError) -> Executor<F> {
    do throws(FabricError) {
        return try Executor(fabric: fabric, settings: settings)
    } catch {
        throw VerbenaError(error)
    }
}
