import Logging
import NIOCore
import Synchronization

/// The coordinator's state and the connections that its decisions go to.
///
/// All events come from its one event loop, so they are carried out in the order in which they were decided.
final class CoordinatorCore: Sendable {
    private struct Connections: Sendable {
        var next = 0
        var channels: [CoordinatorState.ConnectionID: any Channel] = [:]
        var pending: Set<CoordinatorState.ConnectionID> = []
        var timers: [GatherID: RunningTimer] = [:]
    }

    let handshake: Handshake
    let bounds: RendezvousBounds
    let logger: Logger
    let job: Monitor<CoordinatorState>
    private let eventLoop: any EventLoop
    private let connections = Mutex(Connections())

    init(job: CoordinatorState, handshake: Handshake, eventLoop: any EventLoop, logger: Logger) {
        self.bounds = job.bounds
        self.job = Monitor(job)
        self.handshake = handshake
        self.eventLoop = eventLoop
        self.logger = logger
    }

    /// - Returns: nil where too many connections have yet to prove that they belong to the job.
    func register(_ channel: any Channel, limit: Int) -> CoordinatorState.ConnectionID? {
        connections.withLock { connections in
            guard connections.pending.count < limit else { return nil }
            let connection = connections.next
            connections.next += 1
            connections.channels[connection] = channel
            connections.pending.insert(connection)
            return connection
        }
    }

    func authenticated(_ connection: CoordinatorState.ConnectionID) {
        _ = connections.withLock { $0.pending.remove(connection) }
    }

    func closed(_ connection: CoordinatorState.ConnectionID) {
        connections.withLock { connections in
            connections.channels[connection] = nil
            connections.pending.remove(connection)
        }
        update { $0.lost(connection, .ended) }
    }

    /// Lets the job decide, and carries it out. On the event loop.
    func update(_ event: (inout CoordinatorState) -> [CoordinatorState.Action]) {
        eventLoop.assertInEventLoop()
        let (actions, news) = job.update { job in
            let hadFailed = job.failure != nil
            let actions = event(&job)
            return (actions, hadFailed ? nil : job.failure)
        }
        if let news { logger.notice("the job ends: \(news)") }
        for action in actions { perform(action) }
    }

    private func perform(_ action: CoordinatorState.Action) {
        switch action {
        case .answer(let connection, let answer):
            channel(connection)?.writeAndFlush(CoordinatorHandler.Outgoing.answer(answer), promise: nil)
        case .send(let receivers, let message, let payload):
            let envelope = Envelope(message, payload: payload)
            for receiver in receivers {
                channel(receiver)?.writeAndFlush(CoordinatorHandler.Outgoing.message(envelope), promise: nil)
            }
        case .close(let connection):
            channel(connection)?.close(promise: nil)
        case .startTimer(let gather, let seconds):
            let bounded = ContinuousClock.Instant.bounded(seconds)
            let timer = after(bounded) { $0.gatherDeadlinePassed(gather, afterSeconds: bounded) }
            connections.withLock { $0.timers[gather] = timer }
        case .awaitCertainty(let seconds):
            _ = after(seconds) { $0.certaintyDeadlinePassed() }
        case .cancelTimer(let gather):
            connections.withLock { $0.timers.removeValue(forKey: gather) }?.cancel()
        case .warn(let line):
            logger.warning("\(line)")
        }
    }

    /// Lets the job decide something when so much running time has passed.
    private func after(_ seconds: Double, _ event: @escaping @Sendable (inout CoordinatorState) -> [CoordinatorState.Action])
        -> RunningTimer
    {
        RunningTimer(on: eventLoop, afterSeconds: seconds) { [weak self] in self?.update(event) }
    }

    /// From now on the ranks are waited for, and missed ones named.
    /// - Parameter place: where they are expected.
    func awaitRanks(at place: String) {
        // A rank that is alone meets nobody, and does not come.
        guard job.update({ $0.worldSize }) > 1 else { return }
        _ = after(bounds.joinTimeoutSeconds) { $0.joinDeadlinePassed() }
        giveNotice(WaitingNotice(firstSeconds: bounds.noticeSeconds), waited: 0, place)
    }

    private func giveNotice(_ notice: WaitingNotice, waited: Double, _ place: String) {
        var notice = notice
        let next = notice.nextSeconds
        _ = notice.isDue(afterSeconds: next)
        _ = RunningTimer(on: eventLoop, afterSeconds: next - waited) { [weak self, notice] in
            guard let self, job.update({ $0.isGathering }) else { return }
            update { $0.missingRanks(at: place) }
            giveNotice(notice, waited: next, place)
        }
    }

    private func channel(_ connection: CoordinatorState.ConnectionID) -> (any Channel)? {
        connections.withLock { $0.channels[connection] }
    }

    /// The channels that are open now, to be closed at the end.
    var openChannels: [any Channel] { connections.withLock { Array($0.channels.values) } }
}
