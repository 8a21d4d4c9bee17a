internal import Membership
internal import SimulatedFabric

/// One job's control plane in virtual time: the coordinator's state and every rank's own, connected by messages that take a random time and come in
/// order. No thread, no socket: what happens next is the earliest event.
final class MembershipWorld {
    /// Who carries an event out: nobody does while the process is stopped, or once it has ended.
    enum Process {
        case coordinator
        case rank(Int)
        case network
    }

    struct Life {
        var hasEnded = false
        private(set) var stoppedAt = 0.0
        private(set) var runsAgainAt = 0.0

        mutating func stop(at time: Double, _ seconds: Double) {
            if time >= runsAgainAt { stoppedAt = time }
            runsAgainAt = max(runsAgainAt, time + seconds)
        }
    }

    /// Both ends of a connection, and when the last message of each direction arrives.
    struct Connection {
        /// Nil of a stranger.
        var rank: Int?
        var isOpenAtCoordinator = true
        var isOpenAtRank = true
        var toCoordinator = 0.0
        var toRank = 0.0
        var silence = Silence()
    }

    private struct Event {
        var time: Double
        var order: Int
        var process: Process
        var isTimer: Bool
        var body: () -> Void
    }

    /// After so long nothing may be under way: starts, calls and deadlines of a scenario add up to less.
    private static let endSeconds = 600.0
    private static let keptLines = 60

    let scenario: MembershipScenario
    let mutation: MembershipMutation?
    var random: SeededRandom
    private(set) var now = 0.0
    private var events: [Event] = []
    private var eventCount = 0

    var coordinator: CoordinatorState
    var coordinatorLife = Life()
    var connections: [Connection] = []
    /// The clocks of gathers that go on, by what tells a clock from an earlier one.
    var timers: [GatherID: Int] = [:]
    var ranks: [SimulatedRank] = []
    /// Who has begun each operation of each group.
    var begun: [[Int: Set<Int>]]
    private(set) var trace: [String] = []
    private(set) var finding: String?
    /// Whether the launcher or host has done with the coordinator.
    private var isStopAwaited = false

    init(seed: UInt64, mutation: MembershipMutation? = nil) {
        scenario = MembershipScenario(seed: seed)
        self.mutation = mutation
        random = SeededRandom(seed: ~seed)
        begun = Array(repeating: [:], count: scenario.groups.count)
        let bounds = scenario.bounds
        coordinator = CoordinatorState(
            worldSize: scenario.worldSize, version: MembershipScenario.version, bounds: bounds,
            welcome: Handshake.Welcome(
                sessionNonce: [], host: scenario.host ?? Verdict.launcher, livenessTimeoutSeconds: bounds.livenessTimeoutSeconds,
                joinTimeoutSeconds: bounds.joinTimeoutSeconds))
        #if DEBUG
            coordinator.mutation = mutation
        #endif
    }

    // MARK: time

    /// - Parameter isTimer: counts the time in which its process runs; a message is there when the process goes on.
    func after(_ seconds: Double, _ process: Process, isTimer: Bool = true, _ body: @escaping () -> Void) {
        at(now + seconds, process, isTimer: isTimer, body)
    }

    func at(_ time: Double, _ process: Process, isTimer: Bool, _ body: @escaping () -> Void) {
        schedule(Event(time: time, order: eventCount, process: process, isTimer: isTimer, body: body))
    }

    private func schedule(_ event: Event) {
        var event = event
        event.order = eventCount
        eventCount += 1
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if (events[middle].time, events[middle].order) > (event.time, event.order) { low = middle + 1 } else { high = middle }
        }
        events.insert(event, at: low)
    }

    func life(of process: Process) -> Life {
        switch process {
        case .coordinator: scenario.host.map { ranks[$0].life } ?? coordinatorLife
        case .rank(let rank): ranks[rank].life
        case .network: Life()
        }
    }

    /// Runs the job to its end.
    /// - Returns: what was wrong, the first that was seen.
    func run() -> String? {
        ranks = (0..<scenario.worldSize).map { SimulatedRank(rank: $0, world: self) }
        after(scenario.bounds.joinTimeoutSeconds, .coordinator) { [unowned self] in update("join deadline") { $0.joinDeadlinePassed() } }
        for fault in scenario.faults { plan(fault) }
        for rank in ranks { rank.begin() }
        while finding == nil, let event = events.popLast() {
            now = event.time
            guard now < Self.endSeconds else {
                find("after \(Int(now)) s something still goes on: \(ranks.map(\.waits))")
                break
            }
            let life = life(of: event.process)
            if life.hasEnded { continue }
            guard now >= life.runsAgainAt else {
                guard life.runsAgainAt < .infinity else { continue }
                var late = event
                late.time = life.runsAgainAt + (event.isTimer ? now - life.stoppedAt : 0)
                schedule(late)
                continue
            }
            event.body()
        }
        if finding == nil { judgeEnd() }
        return finding
    }

    var eventsRun: Int { eventCount }

    // MARK: what is seen

    func note(_ line: @autoclosure () -> String) {
        guard isTraced else { return }
        trace.append("\(now) s: \(line())")
        if trace.count > Self.keptLines { trace.removeFirst() }
    }

    /// Lines are kept for a seed that is told, not for each that is run.
    var isTraced = false

    func find(_ what: String) {
        note("WRONG: \(what)")
        finding = finding ?? what
    }

    // MARK: faults

    private func plan(_ fault: MembershipScenario.Fault) {
        func at(_ time: Double, _ body: @escaping () -> Void) { self.at(time, .network, isTimer: true, body) }
        switch fault {
        case .crash(let rank, let time): at(time) { [unowned self] in ranks[rank].crash() }
        case .stop(let rank, let time, let seconds):
            at(time) { [unowned self] in
                note("rank \(rank) is stopped for \(seconds) s")
                ranks[rank].life.stop(at: now, seconds)
            }
        case .coordinatorStop(let time, let seconds):
            at(time) { [unowned self] in
                note("the coordinator is stopped for \(seconds) s")
                coordinatorLife.stop(at: now, seconds)
            }
        case .coordinatorCrash(let time): at(time) { [unowned self] in endCoordinator() }
        case .coordinatorCloses(let time): after(time, .coordinator) { [unowned self] in stopCoordinator() }
        case .stranger(let rank, let worldSize, let version, let time):
            at(time) { [unowned self] in
                let hello = Handshake.Hello(
                    protocolVersion: Handshake.protocolVersion, version: version, rank: rank, worldSize: worldSize)
                let connection = open(by: nil)
                toCoordinator(connection) { [unowned self] in update("stranger's hello") { $0.hello(hello, from: connection, address: "x") }
                }
                after(1, .network) { [unowned self] in closeAtRank(connection) }
            }
        case .wrongSecret(let time):
            after(time, .coordinator) { [unowned self] in
                update("wrong secret") {
                    $0.authenticationFailed(address: "x", claimedRank: 0)
                    return []
                }
            }
        case .tornConnection(let rank, let peer, let time): at(time) { [unowned self] in ranks[rank].torn = peer }
        default: break
        }
    }

    /// Its process ends: so do all connections.
    func endCoordinator() {
        note("the coordinator's process ends")
        coordinatorLife.hasEnded = true
        for connection in connections.indices { closeAtCoordinator(connection) }
    }

    /// As `Coordinator.stop` does.
    func stopCoordinator() {
        guard !coordinator.isStopping else { return }
        note("the coordinator closes")
        coordinator.isStopping = true
        for connection in connections.indices where connections[connection].isOpenAtCoordinator {
            closeAtCoordinator(connection)
            update("closed") { $0.lost(connection, .ended) }
        }
        coordinatorLife.hasEnded = true
    }

    /// A rank has done. Its host's coordinator waits for the others as long as `Communicator.close` has it wait, a launcher's for all processes.
    func hasEnded(_ rank: Int) {
        let launcherIsDone = scenario.host == nil && ranks.allSatisfy { $0.hasEnded || $0.life.runsAgainAt == .infinity }
        guard !isStopAwaited, rank == scenario.host || launcherIsDone else { return }
        isStopAwaited = true
        after(5, .coordinator) { [unowned self] in stopCoordinator() }
    }
}
