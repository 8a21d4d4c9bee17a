internal import Membership

extension MembershipWorld {
    // MARK: operations

    func begin(_ group: Int, _ number: Int, by rank: Int) {
        begun[group][number, default: []].insert(rank)
        guard isComplete(group, number) else { return }
        for member in scenario.groups[group] { after(delay(), .rank(member)) { [unowned self] in ranks[member].poll() } }
    }

    func isComplete(_ group: Int, _ number: Int) -> Bool { begun[group][number]?.count == scenario.groups[group].count }

    func missing(_ group: Int, _ number: Int) -> [Int] {
        scenario.groups[group].filter { begun[group][number]?.contains($0) != true }
    }

    /// A launcher learns of the end of a process, soon.
    func tellLauncher(_ rank: Int) {
        guard scenario.host == nil else { return }
        after(random.fraction(), .coordinator) { [unowned self] in
            update("the launcher") { $0.processEnded(rank: rank, cause: "its process was ended by signal 9") }
        }
    }

    // MARK: what must be so

    /// A rank's part of a gather: unlike that of any other rank, group and turn.
    func part(of rank: Int, _ gather: GatherID, _ group: Int) -> [UInt8] { [UInt8(rank), UInt8(group), UInt8(gather.sequence)] }

    /// All members get the same parts, in the group's order.
    func judge(_ parts: [[UInt8]], of gather: GatherID, _ group: Int) {
        if parts != scenario.groups[group].map({ part(of: $0, gather, group) }) { find("\(gather) brought \(parts)") }
    }

    /// The first failure wins; the rank that it names is at fault; nothing ends a job in which nothing went wrong.
    func judgeNew(_ failure: Verdict, after known: Verdict?, _ event: String) {
        if let known { find("a second verdict, \(failure), after \(known)") }
        if !scenario.explains(failure) { find("nothing explains \(failure)") }
        if coordinator.isStopping { find("a coordinator that closes finds \(failure)") }
        if event.hasPrefix("the end of"), coordinator.leftRanks.count >= scenario.worldSize - 1 { find("told to nobody: \(failure)") }
        if coordinator.hasStarted, failure.operation == "joining" { find("a running job is ended by \(failure)") }
        if failure.detail == SimulatedRank.conclusionDetail, !coordinatorIsStopped, !isTorn(failure.rank) {
            find("a conclusion wins: \(failure)")
        }
    }

    /// Whether a connection to the rank may end though its process lives: then nobody knows better.
    private func isTorn(_ rank: Int) -> Bool {
        scenario.faults.contains { if case .tornConnection(_, rank, _) = $0 { true } else { false } }
    }

    /// A rank that waited for an agreement in vain keeps its own verdict.
    func judgeLone(_ own: Verdict, of rank: Int) {
        if !coordinatorIsStopped { find("nobody agrees with rank \(rank) on \(own)") }
    }

    private var coordinatorIsStopped: Bool {
        scenario.faults.contains { fault in
            switch fault {
            case .coordinatorStop, .coordinatorCrash, .coordinatorCloses: true
            case .stop(let rank, _, _), .crash(let rank, _), .lateCrash(let rank), .departure(let rank), .departureBeforeStart(let rank),
                .absence(let rank):
                rank == scenario.host
            default: false
            }
        }
    }

    /// Everybody has ended; survivors hold one verdict; nothing is kept.
    func judgeEnd() {
        for rank in ranks where !rank.life.hasEnded && rank.life.runsAgainAt < .infinity {
            guard rank.hasEnded else { return find("rank \(rank.rank) waits for ever: \(rank.waits)") }
            if case .failed = rank.state.status, rank.state.hasStarted, rank.announced != 1 {
                find("rank \(rank.rank) did not announce the verdict")
            }
            if let error = rank.error {
                judge(error, of: rank)
            } else if rank.state.hasUntakenParts {
                find("rank \(rank.rank) keeps what was gathered")
            }
        }
        guard !coordinatorIsStopped else { return }
        if !coordinator.isOver { find("the coordinator waits for ranks") }
        if !coordinator.gathers.isEmpty || !timers.isEmpty { find("left over: \(coordinator.gathers.keys), clocks of \(timers.keys)") }
    }

    private func judge(_ error: RendezvousError, of rank: SimulatedRank) {
        guard let verdict = error.verdict else {
            // It came when all was over.
            if error.cause != .unreachable || scenario.faults.isEmpty { find("rank \(rank.rank) fails alone: \(error)") }
            return
        }
        if verdict == coordinator.failure { return }
        // Of a rank that was refused, or without a coordinator to agree with, the verdict is its own.
        if !(coordinatorIsStopped || rank.state.welcome == nil) {
            find("rank \(rank.rank) holds \(verdict), the coordinator \(coordinator.failure as Any)")
        }
        if !scenario.explains(verdict), !isAlone(verdict) { find("nothing explains what rank \(rank.rank) holds: \(verdict)") }
    }

    /// What a rank saw by itself, before it lost the coordinator.
    private func isAlone(_ verdict: Verdict) -> Bool { coordinatorIsStopped && verdict.detail == SimulatedRank.conclusionDetail }
}
