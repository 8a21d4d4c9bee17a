internal import Collectives
internal import Fabric
internal import Foundation
public import Logging
internal import Rendezvous
internal import Synchronization

extension Communicator {
    /// How long each stage after the ranks have found each other may take: swapping introductions, endpoints and descriptors.
    static let stageTimeoutSeconds: Double = 60
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

    private static func build(
        _ rendezvous: Rendezvous, _ coordinator: Coordinator?, _ configuration: Configuration, _ verdicts: VerdictBox, _ logger: Logger
    ) throws(VerbenaError) -> Communicator {
        let plan = try FabricPlan(try Introduction.exchange(rendezvous, configuration), rendezvous, configuration)
        let engine: RunningEngine
        switch plan.kind {
        case .sharedMemory: engine = .sharedMemory(try start(try plan.sharedMemory(alone: true), plan, rendezvous))
        case .verbs: engine = .verbs(try start(try plan.verbs(), plan, rendezvous))
        case .mixed: engine = .mixed(try start(try plan.mixed(), plan, rendezvous))
        }
        engine.start()
        verdicts.connect(to: engine.control)
        var costs = try configuration.loadedCosts
        if costs == nil { costs = try measuredCosts(engine, rendezvous, plan) }
        if let costs { try engine.control.adopt(costs) }
        logger.info(
            "joined",
            metadata: [
                "rank": "\(rendezvous.rank)", "ranks": "\(rendezvous.worldSize)", "fabric": "\(engine.control.fabricName)",
                "device": "\(engine.control.deviceName)",
            ])
        return Communicator(
            rendezvous: rendezvous, coordinator: coordinator, engine: engine, localRank: plan.localRank,
            localWorldSize: plan.localWorldSize)
    }

    /// Connects a fabric to all other ranks and sets the engine on it.
    private static func start<F: Fabric & ~Copyable>(
        _ opened: consuming F, _ plan: FabricPlan, _ rendezvous: Rendezvous
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
        var executor = try executor(on: fabric, plan.settings)
        let descriptor = executor.descriptor(of: .landing)
        let descriptors = try wrapping { () throws(RendezvousError) in
            try rendezvous.allGather(descriptor, label: "landing memory", timeoutSeconds: stageTimeoutSeconds)
        }
        do throws(FabricError) {
            try executor.attach(.landing, descriptors: descriptors)
        } catch {
            throw VerbenaError(error)
        }
        return Engine(executor: executor, rendezvous: rendezvous, spins: plan.isCrowded ? 2 : 2_000)
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
