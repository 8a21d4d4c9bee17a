internal import Membership

extension MembershipWorld {
    // MARK: connections

    func delay() -> Double { scenario.maxDelaySeconds * random.fraction() }

    func open(by rank: Int?) -> Int {
        connections.append(Connection(rank: rank))
        return connections.count - 1
    }

    /// What a rank or a stranger sends: carried out at the coordinator, in order.
    func toCoordinator(_ connection: Int, _ body: @escaping () -> Void) {
        let time = max(connections[connection].toCoordinator, now + delay())
        connections[connection].toCoordinator = time
        at(time, .coordinator, isTimer: false) { [unowned self] in
            if connections[connection].isOpenAtCoordinator { body() }
        }
    }

    /// What the coordinator sends: carried out at the rank, in order.
    func toRank(_ connection: Int, later seconds: Double = 0, _ body: @escaping (SimulatedRank) -> Void) {
        let time = max(connections[connection].toRank, now + delay() + seconds)
        connections[connection].toRank = time
        guard let rank = connections[connection].rank else { return }
        at(time, .rank(rank), isTimer: false) { [unowned self] in
            if connections[connection].isOpenAtRank, ranks[rank].connection == connection { body(ranks[rank]) }
        }
    }

    func closeAtCoordinator(_ connection: Int) {
        guard connections[connection].isOpenAtCoordinator else { return }
        connections[connection].isOpenAtCoordinator = false
        toRank(connection) { $0.connectionEnded() }
    }

    func closeAtRank(_ connection: Int) {
        guard connections[connection].isOpenAtRank else { return }
        connections[connection].isOpenAtRank = false
        toCoordinator(connection) { [unowned self] in
            connections[connection].isOpenAtCoordinator = false
            update("the end of connection \(connection)") { $0.lost(connection, .ended) }
        }
    }

    // MARK: the coordinator

    /// Lets the coordinator decide, looks at what it decided, and carries it out.
    func update(_ what: @autoclosure () -> String, _ event: (inout CoordinatorState) -> [CoordinatorState.Action]) {
        guard !coordinatorLife.hasEnded else { return }
        let known = coordinator.failure
        let actions = event(&coordinator)
        note("coordinator: \(what())")
        if let failure = coordinator.failure, failure != known { judgeNew(failure, after: known, what()) }
        for action in actions { perform(action) }
    }

    private func perform(_ action: CoordinatorState.Action) {
        switch action {
        case .answer(let connection, let answer): self.answer(connection, answer)
        case .send(let receivers, let message, let payload):
            note("coordinator sends \(message) to \(receivers)")
            for receiver in receivers where connections[receiver].isOpenAtCoordinator {
                toRank(receiver) { $0.receive(message, payload: payload) }
            }
        case .close(let connection): closeAtCoordinator(connection)
        case .startTimer(let gather, let seconds):
            let number = eventsRun
            timers[gather] = number
            after(seconds, .coordinator) { [unowned self] in
                guard timers[gather] == number else { return }
                timers[gather] = nil
                update("deadline of \(gather)") { $0.gatherDeadlinePassed(gather, afterSeconds: seconds) }
            }
        case .cancelTimer(let gather): timers[gather] = nil
        case .awaitCertainty(let seconds):
            after(seconds, .coordinator) { [unowned self] in update("certainty deadline") { $0.certaintyDeadlinePassed() } }
        case .warn: break
        }
    }

    private func answer(_ connection: Int, _ answer: Handshake.Answer) {
        var slowness = 0.0
        for case .slowAnswer(connections[connection].rank, let seconds) in scenario.faults { slowness = seconds }
        toRank(connection, later: slowness) { $0.receive(answer) }
        if case .welcome = answer { watch(connection) } else { closeAtCoordinator(connection) }
    }

    /// Signs of life on a connection, and what follows from their absence.
    private func watch(_ connection: Int) {
        #if DEBUG
            connections[connection].silence.mutation = mutation
        #endif
        after(scenario.bounds.livenessTimeoutSeconds / Double(Silence.signsPerTimeout), .coordinator) { [unowned self] in
            guard connections[connection].isOpenAtCoordinator else { return }
            if connections[connection].silence.lastsTooLongAtNextSign() {
                update("silence of connection \(connection)") {
                    $0.lost(connection, .silent(seconds: scenario.bounds.livenessTimeoutSeconds))
                }
            } else {
                toRank(connection) { $0.receive(.alive, payload: []) }
                watch(connection)
            }
        }
    }

    /// What a joined rank says.
    func say(_ message: Message, payload: [UInt8] = [], on connection: Int) {
        toCoordinator(connection) { [unowned self] in
            connections[connection].silence.heard()
            if message == .alive { return }
            update("\(connections[connection].rank ?? -1) says \(message)") { $0.receive(message, payload: payload, from: connection) }
        }
    }
}
