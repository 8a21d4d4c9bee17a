internal import Collectives
internal import Fabric
internal import Foundation
public import Logging
internal import Rendezvous
internal import SharedMemoryFabric
internal import Synchronization
internal import VerbsFabric

extension Communicator {
    /// How long each stage after the ranks have found each other may take: swapping introductions, endpoints and descriptors.
    private static let stageTimeoutSeconds: Double = 60
    /// How long connecting to the neighbours may take; they are all there by then.
    private static let connectMilliseconds: UInt64 = 20_000

    /// Joins the job that the environment describes and connects to the others. Blocks: for finding the others at most the join
    /// timeout, then at most 60 s for each of three swaps and 20 s for connecting, all of which take milliseconds as a rule.
    ///
    /// - Parameter logger: told what was chosen, at `info`.
    /// - Throws: what is wrong and how to mend it. When one rank cannot join, every rank is told why.
    public static func join(
        _ configuration: Configuration, logger: Logger = Logger(label: "verbena")
    ) throws(VerbenaError) -> Communicator {
        let job = try wrapping { () throws(RendezvousError) in try JobEnvironment(variables: configuration.environment) }
        let verdicts = VerdictBox()
        let (rendezvous, coordinator) = try meet(job, configuration, verdicts, logger)
        do throws(VerbenaError) {
            return try build(rendezvous, coordinator, configuration, verdicts, logger)
        } catch {
            let agreed = error.agreed(with: rendezvous, during: "joining")
            rendezvous.leave()
            coordinator?.stop(waitingAtMostSeconds: leaveTimeoutSeconds)
            throw agreed
        }
    }

    /// Finds the other ranks. Rank 0 hosts the coordinator, unless the launcher does.
    private static func meet(
        _ job: JobEnvironment, _ configuration: Configuration, _ verdicts: VerdictBox, _ logger: Logger
    ) throws(VerbenaError) -> (Rendezvous, Coordinator?) {
        guard job.worldSize > 1 else { return (Rendezvous.alone(), nil) }
        let bounds = RendezvousBounds(
            joinTimeoutSeconds: configuration.joinTimeoutSeconds, livenessTimeoutSeconds: configuration.livenessTimeoutSeconds)
        return try wrapping { () throws(RendezvousError) in
            var coordinator: Coordinator?
            if job.rank == 0, configuration.environment[LocalJob.launcherVariable] == nil {
                coordinator = try Coordinator.start(
                    host: job.listenAddress, port: job.masterPort, worldSize: job.worldSize, secret: job.secret, version: version,
                    bounds: bounds, logger: logger)
            }
            do throws(RendezvousError) {
                // The host itself needs no name service to find the coordinator.
                let loopback = job.listenAddress.contains(":") ? "::1" : "127.0.0.1"
                let rendezvous = try Rendezvous.join(
                    rank: job.rank, worldSize: job.worldSize, host: coordinator == nil ? job.masterAddress : loopback, port: job.masterPort,
                    secret: job.secret,
                    version: version, joinTimeoutSeconds: configuration.joinTimeoutSeconds, logger: logger,
                    onVerdict: { verdicts.put($0) })
                return (rendezvous, coordinator)
            } catch {
                // The others get their own answer from the coordinator before it goes.
                coordinator?.stop(waitingAtMostSeconds: leaveTimeoutSeconds)
                throw error
            }
        }
    }

    /// What every rank says of itself before anything is opened.
    private struct Introduction: Codable {
        var host: String
        var fabric: String
        var channelsPerPeer: Int
    }

    private static func build(
        _ rendezvous: Rendezvous, _ coordinator: Coordinator?, _ configuration: Configuration, _ verdicts: VerdictBox, _ logger: Logger
    ) throws(VerbenaError) -> Communicator {
        let all = try introduce(rendezvous, configuration)
        let neighbours = all.indices.filter { all[$0].host == all[rendezvous.rank].host }
        let localRank = neighbours.firstIndex(of: rendezvous.rank) ?? 0
        let isOneMachine = neighbours.count == all.count
        func settings(_ topology: Topology) -> ExecutorSettings {
            ExecutorSettings(
                topology: topology, channelsPerPeer: configuration.channelsPerPeer, stallMilliseconds: configuration.stallMilliseconds)
        }
        // A caller that waits for its own operation may keep its core, unless another rank needs it to get on.
        let isCrowded = neighbours.count > ProcessInfo.processInfo.activeProcessorCount
        let spins = isCrowded ? 2 : 4_000
        let engine: RunningEngine
        switch configuration.fabric {
        case .sharedMemory where !isOneMachine:
            let far = all.firstIndex { $0.host != all[0].host } ?? 0
            throw VerbenaError(
                .configuration,
                "--fabric shm needs all ranks on one machine, but rank \(far) is not on that of rank 0; use --fabric verbs or auto")
        case .automatic where isOneMachine, .sharedMemory:
            let settings = settings(.oneMachine(worldSize: rendezvous.worldSize))
            var options = SharedMemoryConfiguration(
                rank: rendezvous.rank, worldSize: rendezvous.worldSize, channelsPerPeer: settings.channelsPerPeer,
                arrivalDepth: settings.arrivalDepth, jobKey: rendezvous.sessionKey(label: "fabric", byteCount: 16),
                spins: isCrowded ? 0 : 50, yields: isCrowded ? 500 : 10)
            options.reportsCompletions = false
            let fabric = try wrapping { () throws(FabricError) in try SharedMemoryFabric(options) }
            engine = .sharedMemory(try start(fabric, settings, rendezvous, spins))
        case .automatic, .verbs:
            let settings = settings(.apart(worldSize: rendezvous.worldSize))
            var options = VerbsFabricConfiguration(
                rank: rendezvous.rank, worldSize: rendezvous.worldSize,
                deviceName: configuration.devices.isEmpty ? nil : configuration.devices[localRank % configuration.devices.count],
                localRank: localRank, jobKey: rendezvous.sessionKey(label: "fabric", byteCount: 16), epoch: settings.epoch)
            options.channelsPerPeer = settings.channelsPerPeer
            options.arrivalDepth = settings.arrivalDepth
            options.writeDepth = settings.arrivalDepth
            let fabric = try wrapping { () throws(FabricError) in try VerbsFabric(options) }
            engine = .verbs(try start(fabric, settings, rendezvous, spins))
        }
        engine.start()
        verdicts.connect(to: engine.control)
        logger.info(
            "joined",
            metadata: [
                "rank": "\(rendezvous.rank)", "ranks": "\(rendezvous.worldSize)", "fabric": "\(engine.control.fabricName)",
                "device": "\(engine.control.deviceName)",
            ])
        return Communicator(
            rendezvous: rendezvous, coordinator: coordinator, engine: engine, localRank: localRank, localWorldSize: neighbours.count)
    }

    /// Swaps introductions; options that must agree are checked here, before anything is opened.
    private static func introduce(_ rendezvous: Rendezvous, _ configuration: Configuration) throws(VerbenaError) -> [Introduction] {
        let own = Introduction(
            host: HostIdentity.current(), fabric: configuration.fabric.rawValue, channelsPerPeer: configuration.channelsPerPeer)
        let encoded = (try? JSONEncoder().encode(own)).map { [UInt8]($0) } ?? []
        let gathered = try wrapping { () throws(RendezvousError) in
            try rendezvous.allGather(encoded, label: "introductions", timeoutSeconds: stageTimeoutSeconds)
        }
        var all: [Introduction] = []
        for (rank, bytes) in gathered.enumerated() {
            guard let introduction = try? JSONDecoder().decode(Introduction.self, from: Data(bytes)) else {
                throw VerbenaError(
                    .rendezvous, rank: rank, "rank \(rank) introduced itself in another format; run the same build on all ranks")
            }
            guard introduction.fabric == own.fabric, introduction.channelsPerPeer == own.channelsPerPeer else {
                throw VerbenaError(
                    .configuration, rank: rank,
                    "rank \(rank) was started with fabric \(introduction.fabric) and \(introduction.channelsPerPeer) channels, rank "
                        + "\(rendezvous.rank) with \(own.fabric) and \(own.channelsPerPeer); give all ranks the same options")
            }
            all.append(introduction)
        }
        return all
    }

    /// Connects a fabric to all other ranks and sets the engine on it.
    private static func start<F: Fabric & ~Copyable>(
        _ opened: consuming F, _ settings: ExecutorSettings, _ rendezvous: Rendezvous, _ spins: Int
    ) throws(VerbenaError) -> Engine<F> {
        var fabric = opened
        let own = fabric.endpoint
        let endpoints = try wrapping { () throws(RendezvousError) in
            try rendezvous.allGather(own, label: "endpoints", timeoutSeconds: stageTimeoutSeconds)
        }
        let peers = endpoints.indices.filter { $0 != rendezvous.rank }
        let deadline = fabric.now().advanced(milliseconds: connectMilliseconds)
        do throws(FabricError) {
            try fabric.connect(to: Dictionary(uniqueKeysWithValues: peers.map { ($0, endpoints[$0]) }), deadline: deadline)
        } catch {
            throw VerbenaError(error)
        }
        var executor = try executor(on: fabric, settings)
        let descriptor = executor.descriptor(of: .landing)
        let descriptors = try wrapping { () throws(RendezvousError) in
            try rendezvous.allGather(descriptor, label: "landing memory", timeoutSeconds: stageTimeoutSeconds)
        }
        do throws(FabricError) {
            try executor.attach(.landing, descriptors: descriptors)
        } catch {
            throw VerbenaError(error)
        }
        return Engine(executor: executor, rendezvous: rendezvous, spins: spins)
    }
}

private func executor<F: Fabric & ~Copyable>(on fabric: consuming F, _ settings: ExecutorSettings) throws(VerbenaError) -> Executor<F> {
    do throws(FabricError) {
        return try Executor(fabric: fabric, settings: settings)
    } catch {
        throw VerbenaError(error)
    }
}

/// Carries a verdict from the rendezvous to the engine, whichever is there first.
final class VerdictBox: Sendable {
    private struct State {
        /// Not owned: the engine holds the rendezvous, which holds this.
        weak var engine: (any EngineControl)?
        var verdict: Verdict?
    }

    private let state = Mutex(State())

    func put(_ verdict: Verdict) {
        let engine = state.withLock { state in
            state.verdict = state.verdict ?? verdict
            return state.engine
        }
        engine?.deliver(verdict)
    }

    func connect(to engine: any EngineControl) {
        let verdict = state.withLock { state in
            state.engine = engine
            return state.verdict
        }
        if let verdict { engine.deliver(verdict) }
    }
}
