internal import Membership

/// A rank of a simulated job: the real `ClientState`, and a program that makes the calls which `ControlPlaneClient` and an engine make of it.
final class SimulatedRank {
    enum Wait {
        case nothing, attempt, start, compute, agreement, farewell
        case gather(GatherID, group: Int, label: String)
        case operation(group: Int, number: Int)
    }

    /// What a rank concludes of a peer whose connection ended; the coordinator knows more.
    static let conclusionDetail = "its connection broke"
    private static let handshakeTimeoutSeconds = 5.0
    private static let stallLooks = 130

    let rank: Int
    private unowned let world: MembershipWorld
    var life = MembershipWorld.Life()
    private(set) var state: ClientState
    private(set) var connection: Int?
    private(set) var waits = Wait.nothing
    /// Tells a wait from earlier ones, whose deadlines are void.
    private var waitNumber = 0
    private var nextStep = 0
    /// Operations that it has begun, by group.
    private var operations: [Int]
    private var joiningSince = 0.0
    private var silence = Silence()
    /// Its program is over, by leave or by its process's end.
    private(set) var hasEnded = false
    /// The peer to which its fabric has lost the connection.
    var torn: Int?
    private(set) var error: RendezvousError?
    private(set) var announced = 0

    init(rank: Int, world: MembershipWorld) {
        self.rank = rank
        self.world = world
        operations = world.scenario.groups.map { _ in 0 }
        state = ClientState(rank: rank, worldSize: world.scenario.worldSize)
    }

    func begin() {
        for case .absence(rank) in world.scenario.faults {
            (life.hasEnded, hasEnded) = (true, true)
            return
        }
        after(world.scenario.startSeconds[rank]) { rank in
            rank.joiningSince = rank.world.now
            rank.attempt()
        }
    }

    private func after(_ seconds: Double, _ body: @escaping (SimulatedRank) -> Void) {
        world.after(seconds, .rank(rank)) { [unowned self] in body(self) }
    }

    private func wait(_ wait: Wait, atMostSeconds: Double, _ late: @escaping (SimulatedRank) -> Void) {
        waits = wait
        waitNumber += 1
        let number = waitNumber
        after(atMostSeconds) { rank in if rank.waitNumber == number { late(rank) } }
    }

    // MARK: joining

    private func attempt() {
        guard world.now - joiningSince < world.scenario.bounds.joinTimeoutSeconds else { return fail(noCoordinator) }
        guard !world.coordinatorLife.hasEnded, !world.coordinator.isStopping else { return retry() }
        state = ClientState(rank: rank, worldSize: world.scenario.worldSize)
        silence = Silence()
        #if DEBUG
            (state.mutation, silence.mutation) = (world.mutation, world.mutation)
        #endif
        let connection = world.open(by: rank)
        self.connection = connection
        world.toCoordinator(connection) { [unowned world] in world.toRank(connection) { $0.receiveChallenge() } }
        wait(.attempt, atMostSeconds: Self.handshakeTimeoutSeconds) { rank in
            if rank.state.giveUpAttempt() { return rank.retry() }
            rank.wait(.attempt, atMostSeconds: rank.world.scenario.bounds.joinTimeoutSeconds) { $0.fail($0.noCoordinator) }
        }
    }

    private var noCoordinator: RendezvousError { RendezvousError(.unreachable, "no coordinator", remedy: "") }

    private func retry() {
        if let connection { world.closeAtRank(connection) }
        connection = nil
        wait(.nothing, atMostSeconds: RendezvousBounds.retryPauseSeconds.last) { $0.attempt() }
    }

    private func receiveChallenge() {
        guard state.sayHello(), let connection else { return retry() }
        let hello = Handshake.Hello(
            protocolVersion: Handshake.protocolVersion, version: MembershipScenario.version, rank: rank,
            worldSize: world.scenario.worldSize)
        world.toCoordinator(connection) { [unowned world, rank] in
            world.update("hello of rank \(rank)") { $0.hello(hello, from: connection, address: "\(rank)") }
        }
    }

    func receive(_ answer: Handshake.Answer) {
        switch answer {
        case .refused(let error): state.refuse(error)
        case .welcome(let welcome):
            state.welcome = welcome
            watch()
            for case .departureBeforeStart(rank) in world.scenario.faults { return leave() }
        }
        poll()
    }

    // MARK: messages

    func receive(_ message: Message, payload: [UInt8]) {
        silence.heard()
        update { $0.receive(message, payload: payload) }
    }

    func connectionEnded() {
        if let connection { world.closeAtRank(connection) }
        update { $0.connectionLost(.died, "ended without taking leave") }
    }

    private func update(_ event: (inout ClientState) -> Verdict?) {
        let known = state.status
        if event(&state) != nil { announced += 1 }
        if case .failed = known, state.status != known { world.find("rank \(rank) replaces \(known) by \(state.status)") }
        if announced > 1 { world.find("rank \(rank) announces a verdict again") }
        poll()
    }

    private func watch() {
        let watched = connection
        after(world.scenario.bounds.livenessTimeoutSeconds / Double(Silence.signsPerTimeout)) { rank in
            guard let connection = rank.connection, connection == watched, rank.world.connections[connection].isOpenAtRank else { return }
            if rank.silence.lastsTooLongAtNextSign() {
                rank.world.closeAtRank(connection)
                rank.update { $0.connectionLost(.unreachable, "is stopped or unreachable") }
            } else {
                rank.say(.alive)
                rank.watch()
            }
        }
    }

    private func say(_ message: Message, payload: [UInt8] = []) {
        if let connection, world.connections[connection].isOpenAtRank { world.say(message, payload: payload, on: connection) }
    }

    // MARK: the program

    /// Ends the wait of the program, if what it waits for is there: as `Monitor.wait` does.
    func poll() {
        switch waits {
        case .nothing, .compute: break
        case .attempt:
            if let failure = state.failure { return fail(failure) }
            if state.attemptProblem != nil { return retry() }
            guard let welcome = state.welcome else { return }
            wait(.start, atMostSeconds: welcome.joinTimeoutSeconds + RendezvousBounds.graceSeconds) { $0.giveUp("joining") }
            poll()
        case .start:
            switch state.start {
            case .success: step()
            case .failure(let error): fail(error)
            case nil: break
            }
        case .gather(let gather, let group, let label):
            switch state.outcome(of: gather, count: world.scenario.groups[group].count, label: label) {
            case .success(let parts):
                world.judge(parts, of: gather, group)
                step()
            case .failure(let error): fail(error)
            case nil: break
            }
        case .operation(let group, let number):
            if let failure = state.failure { return fail(failure) }
            if world.isComplete(group, number) { step() }
        case .agreement: if let failure = state.failure { fail(failure) }
        case .farewell: if state.hasFarewell { end() }
        }
    }

    private func step() {
        (waits, waitNumber) = (.nothing, waitNumber + 1)
        nextStep += 1
        world.note("rank \(rank): \(world.scenario.programs[rank][nextStep - 1])")
        switch world.scenario.programs[rank][nextStep - 1] {
        case .compute(let seconds): wait(.compute, atMostSeconds: seconds) { $0.step() }
        case .gather(let group, let label): gather(group, label)
        case .operation(let group, let isAwaited): operate(group, isAwaited: isAwaited)
        case .abort:
            let own = Verdict(rank: rank, cause: .aborted, "its data is missing", during: "the program")
            agree(.report(own), own, patienceSeconds: RendezvousBounds.agreementSeconds)
        case .crash: crash()
        case .leave: leave()
        }
    }

    private func gather(_ group: Int, _ label: String) {
        let gather: GatherID
        do throws(RendezvousError) { gather = try state.beginGather(label, group: name(of: group)) } catch { return fail(error) }
        let timeout = MembershipScenario.gatherTimeoutSeconds
        say(
            .contribute(
                gather: gather, members: group == 0 ? nil : world.scenario.groups[group], label: label, timeoutSeconds: timeout,
                collectivesBegun: [UInt64(operations[group])]), payload: world.part(of: rank, gather, group))
        wait(.gather(gather, group: group, label: label), atMostSeconds: state.patienceSeconds(timeoutSeconds: timeout)) {
            $0.giveUp(label)
        }
        poll()
    }

    private func name(of group: Int) -> String { group == 0 ? "" : "1.\(group)" }

    /// Never without something wrong: the coordinator, or its silence, ends every call before.
    private func giveUp(_ label: String) {
        world.find("rank \(rank) gives up \(label)")
        let verdict = state.givesUp(label, timeoutSeconds: 0)
        say(.report(verdict))
        fail(RendezvousError(verdict))
    }

    private func operate(_ group: Int, isAwaited: Bool) {
        if let failure = state.failure { return fail(failure) }
        let number = operations[group]
        operations[group] += 1
        world.begin(group, number, by: rank)
        guard isAwaited else { return step() }
        (waits, waitNumber) = (.operation(group: group, number: number), waitNumber + 1)
        look(at: group, number, looks: 1)
        poll()
    }

    /// Every second or so: sees peers that have gone, as a fabric does, and tells a long wait, as an engine does.
    private func look(at group: Int, _ number: Int, looks: Int) {
        let current = waitNumber
        after(0.5 + 0.5 * world.random.fraction()) { rank in
            guard rank.waitNumber == current else { return }
            let missing = rank.world.missing(group, number)
            if let gone = missing.first(where: { rank.world.ranks[$0].hasEnded || rank.torn == $0 }) {
                let own = Verdict(rank: gone, cause: .died, Self.conclusionDetail, during: "allreduce")
                return rank.agree(
                    .conclude(own), own, patienceSeconds: RendezvousBounds.agreementSeconds + RendezvousBounds.certaintySeconds)
            }
            if looks == Self.stallLooks, let peer = missing.first {
                let own = Verdict(rank: peer, cause: .stalled, "nothing moved", during: "allreduce")
                return rank.agree(.report(own), own, patienceSeconds: RendezvousBounds.agreementSeconds)
            }
            if looks % 12 == 0 {
                let others = rank.world.scenario.groups[group].filter { $0 != rank.rank }
                for peer in [missing.first, rank.world.random.pick(others)].compactMap({ $0 }) {
                    rank.say(
                        .waiting(
                            OperationWait(
                                group: rank.name(of: group), operation: "allreduce", number: UInt64(number), order: 0, peer: peer)))
                }
            }
            rank.look(at: group, number, looks: looks + 1)
        }
    }

    private func agree(_ message: Message, _ own: Verdict, patienceSeconds: Double) {
        if let failure = state.failure { return fail(failure) }
        say(message)
        wait(.agreement, atMostSeconds: patienceSeconds) { rank in
            rank.world.judgeLone(own, of: rank.rank)
            rank.fail(RendezvousError(own))
        }
    }

    // MARK: the end

    private func fail(_ error: RendezvousError) {
        world.note("rank \(rank) fails: \(error)")
        self.error = error
        leave()
    }

    private func leave() {
        state.leave()
        say(.goodbye)
        wait(.farewell, atMostSeconds: RendezvousBounds.farewellTimeoutSeconds) { $0.end() }
        if connection == nil { end() } else { poll() }
    }

    private func end() {
        (waits, waitNumber, hasEnded) = (.nothing, waitNumber + 1, true)
        if let connection { world.closeAtRank(connection) }
        world.note("rank \(rank) has ended")
        for case .deathAfterLeave(rank) in world.scenario.faults { world.tellLauncher(rank) }
        world.hasEnded(rank)
    }

    func crash() {
        world.note("rank \(rank) is killed")
        (life.hasEnded, hasEnded, waits, waitNumber) = (true, true, .nothing, waitNumber + 1)
        // The kernel may take its queue pairs well before its sockets.
        if let connection {
            world.at(world.now + (world.random.chance(perMille: 700) ? 1.5 * world.random.fraction() : 0), .network, isTimer: true) {
                [unowned world] in world.closeAtRank(connection)
            }
        }
        if rank == world.scenario.host { world.endCoordinator() }
        world.tellLauncher(rank)
        world.hasEnded(rank)
    }
}
