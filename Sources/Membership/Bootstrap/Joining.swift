import Logging
import NIOCore
import NIOPosix

/// The attempts of one rank to join, until one succeeds, one is refused or the deadline passes.
struct Joining {
    struct Joined {
        var channel: any Channel
        var state: Monitor<ClientState>
        var welcome: Handshake.Welcome
    }

    let identity: ClientIdentity
    let group: MultiThreadedEventLoopGroup
    let timeoutSeconds: Double
    let logger: Logger
    let announce: @Sendable (Verdict) -> Void
    /// How long whoever accepts the connection may take to say that it is a coordinator.
    var handshakeTimeoutSeconds = RendezvousBounds().handshakeTimeoutSeconds
    /// How much longer than the coordinator's deadline its word is waited for.
    var graceSeconds = RendezvousBounds.graceSeconds

    /// Blocks until all ranks are here.
    func run() throws(RendezvousError) -> Joined {
        var waited = 0.0
        var notice = WaitingNotice()
        var pauseSeconds = RendezvousBounds.retryPauseSeconds.first
        var problem = "no attempt was made"
        repeat {
            let start = ContinuousClock.now
            switch try attempt(until: .after(seconds: timeoutSeconds - waited)) {
            case .success(let joined): return joined
            case .failure(let retry): problem = retry.reason
            }
            logger.debug("no coordinator at \(identity.host) port \(identity.port) yet: \(problem)")
            pause(min(pauseSeconds, timeoutSeconds - waited))
            pauseSeconds = min(2 * pauseSeconds, RendezvousBounds.retryPauseSeconds.last)
            // A process that is stopped meanwhile does not wait.
            waited += min(start.duration(to: .now).seconds, RendezvousBounds.attemptSeconds)
            if waited < timeoutSeconds, notice.isDue(afterSeconds: waited) {
                logger.warning(
                    """
                    rank \(identity.rank) finds no coordinator at \(identity.host) port \(identity.port) yet (last attempt: \(problem)); \
                    it tries for \(seconds(timeoutSeconds)); check that rank 0 runs, and that MASTER_ADDR and MASTER_PORT lead to its machine
                    """)
            }
        } while waited < timeoutSeconds
        throw RendezvousError(
            .unreachable,
            "rank \(identity.rank) found no coordinator at \(identity.host) port \(identity.port) within \(seconds(timeoutSeconds)) "
                + "(last attempt: \(problem))",
            remedy: "check that rank 0 runs, and that MASTER_ADDR and MASTER_PORT lead to its machine")
    }

    private struct Retry: Error {
        var reason: String
    }

    /// One connection. Before the coordinator's answer anything may go wrong without harm; afterwards this rank counts
    /// as joined, and a loss is final.
    private func attempt(until deadline: ContinuousClock.Instant) throws(RendezvousError) -> Result<Joined, Retry> {
        let state = Monitor(ClientState(rank: identity.rank, worldSize: identity.worldSize))
        let channel: any Channel
        do {
            channel = try connect(state)
        } catch {
            return .failure(Retry(reason: Self.reason(error)))
        }
        do throws(RendezvousError) {
            let outcome = try handshake(state, channel, until: deadline)
            if case .failure = outcome { close(channel) }
            return outcome
        } catch {
            close(channel)
            throw error
        }
    }

    /// Takes its full time even where the deadline is nearer: an attempt that is cut short has no reason to tell.
    private func connect(_ state: Monitor<ClientState>) throws -> any Channel {
        try ClientBootstrap(group: group)
            .connectTimeout(.nanoseconds(Int64(RendezvousBounds.connectTimeoutSeconds * 1e9)))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A port that this connection leaves in TIME_WAIT would otherwise refuse to listen for the next job's rank 0 for a minute.
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelInitializer { [identity, announce] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ClientHandler(identity: identity, state: state, announce: announce))
                }
            }
            .connect(host: identity.host, port: identity.port).wait()
    }

    private func handshake(
        _ state: Monitor<ClientState>, _ channel: any Channel, until deadline: ContinuousClock.Instant
    ) throws(RendezvousError) -> Result<Joined, Retry> {
        // A port that nobody listens on can be connected to itself, when the system happens to choose it for this end.
        if let local = channel.localAddress, local == channel.remoteAddress {
            return .failure(Retry(reason: "nobody listens there"))
        }
        func answer(_ state: inout ClientState) -> Result<Handshake.Welcome, AttemptEnd>? {
            if let failure = state.failure { return .failure(.final(failure)) }
            if let problem = state.attemptProblem { return .failure(.retry(problem)) }
            return state.welcome.map { .success($0) }
        }
        var outcome = state.wait(until: min(deadline, .after(seconds: handshakeTimeoutSeconds)), answer)
        if outcome == nil { outcome = try answerToHello(state, until: deadline, answer) }
        switch outcome {
        case nil: return .failure(Retry(reason: "it accepted the connection, but did not answer"))
        case .failure(.retry(let reason)): return .failure(Retry(reason: reason))
        case .failure(.final(let error)): throw error
        case .success(let welcome):
            try awaitStart(state, channel, atMostSeconds: welcome.joinTimeoutSeconds)
            return .success(Joined(channel: channel, state: state, welcome: welcome))
        }
    }

    /// What comes later than is usual, if this rank has said who it is: then the coordinator may count it as joined, and to try again would look
    /// like its end. Otherwise nil, and it is not said any more.
    private func answerToHello<Answer: Sendable>(
        _ state: Monitor<ClientState>, until deadline: ContinuousClock.Instant, _ answer: (inout ClientState) -> Answer?
    ) throws(RendezvousError) -> Answer? {
        guard !state.update({ $0.giveUpAttempt() }) else { return nil }
        if let late = state.wait(until: deadline, answer) { return late }
        throw RendezvousError(
            .unreachable,
            "the coordinator at \(identity.host) port \(identity.port) did not answer rank \(identity.rank) within \(seconds(timeoutSeconds))",
            remedy: "see the log of rank 0, or allow more time")
    }

    private enum AttemptEnd: Error {
        case retry(String)
        case final(RendezvousError)
    }

    /// The coordinator's deadline counts, whatever this rank's own: it knows who is missing, so its word is waited for a little longer.
    private func awaitStart(
        _ state: Monitor<ClientState>, _ channel: any Channel, atMostSeconds timeoutSeconds: Double
    ) throws(RendezvousError) {
        let deadline = ContinuousClock.Instant.after(seconds: timeoutSeconds + graceSeconds)
        switch state.wait(until: deadline, { $0.start }) {
        case .success: return
        case .failure(let error): throw error
        case nil:
            let verdict = Verdict(
                rank: identity.rank, cause: .stalled, "it gave up waiting for the other ranks after \(seconds(timeoutSeconds))",
                during: "joining",
                remedy: "check that every rank was started, or allow more time")
            try? channel.writeAndFlush(Envelope(.report(verdict))).wait()
            throw RendezvousError(verdict)
        }
    }

    private func close(_ channel: any Channel) { try? channel.close().wait() }

    /// Between attempts there is nothing to be woken by.
    private func pause(_ pauseSeconds: Double) {
        guard pauseSeconds > 0 else { return }
        _ = Monitor(()).wait(until: .after(seconds: pauseSeconds)) { _ -> Void? in nil }
    }

    /// The part of NIO's error that a reader wants.
    private static func reason(_ error: any Error) -> String {
        let late = "no answer within \(seconds(RendezvousBounds.connectTimeoutSeconds))"
        switch error {
        case ChannelError.connectTimeout: return late
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return reason(first.error) }
            if let dns = error.dnsAError ?? error.dnsAAAAError { return "cannot resolve \(error.host): \(dns)" }
            return late
        case let error as IOError where error.errnoCode == connectionRefusedErrno: return "connection refused"
        default: return "\(error)"
        }
    }
}
