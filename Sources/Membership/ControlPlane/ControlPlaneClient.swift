public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// One rank's membership of its job: gathers, barriers, and the one verdict that ends the job for all.
///
/// All calls block the calling thread, each with a bound, and are for ordinary threads: never an event loop, nor Swift
/// concurrency's own threads. Any thread may call, but all ranks must gather in the same order, so one thread at a
/// time. The connection, and one thread that serves it, live until `leave`.
public final class ControlPlaneClient: Sendable {
    public let rank: Int
    public let worldSize: Int

    let state: Monitor<ClientState>
    private let handshake: Handshake
    private let sessionNonce: [UInt8]
    private let announce: @Sendable (Verdict) -> Void
    /// None in a world of one.
    private let link: Mutex<Link?>

    /// What has to be closed in the end.
    private struct Link {
        var channel: any Channel
        var group: MultiThreadedEventLoopGroup
    }

    private init(
        identity: ClientIdentity, state: Monitor<ClientState>, sessionNonce: [UInt8], link: consuming sending Link?,
        announce: @escaping @Sendable (Verdict) -> Void
    ) {
        self.rank = identity.rank
        self.worldSize = identity.worldSize
        self.handshake = identity.handshake
        self.state = state
        self.sessionNonce = sessionNonce
        self.link = Mutex(link)
        self.announce = announce
    }

    /// Joins the job and waits until all ranks are here.
    ///
    /// - Parameters:
    ///   - host: where the coordinator is, by name or address. It may start later: connecting is tried again until the deadline.
    ///   - version: of the program; all ranks must give the same, at most 64 bytes.
    ///   - joinTimeoutSeconds: for finding the coordinator; after 5 s, and then rarely, a line in the log says where it is looked for. For the other
    ///     ranks the coordinator's own deadline counts, and its word is waited for 60 s longer. The last attempt to connect may end 7.5 s after
    ///     the deadline.
    ///   - onVerdict: called at most once, on the connection's thread, as soon as something ends the job after all ranks have
    ///     joined and before this one leaves. It may come before `join` has returned. It must not block.
    /// - Throws: `.configuration` where this rank is refused, `.unreachable` where no coordinator answers or ranks do not come, the verdict where a rank
    ///   was lost meanwhile.
    public static func join(
        rank: Int, worldSize: Int, host: String, port: Int, secret: JobSecret, version: String,
        joinTimeoutSeconds: Double = RendezvousBounds.defaultJoinTimeoutSeconds,
        logger: Logger, onVerdict: @escaping @Sendable (Verdict) -> Void
    ) throws(RendezvousError) -> ControlPlaneClient {
        let identity = ClientIdentity(
            rank: rank, worldSize: worldSize, host: host, port: port, version: oneLine(version, byteLimit: Handshake.versionByteLimit),
            handshake: Handshake(secret: secret))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do throws(RendezvousError) {
            let joining = Joining(
                identity: identity, group: group, timeoutSeconds: ContinuousClock.Instant.bounded(joinTimeoutSeconds), logger: logger,
                announce: onVerdict)
            let joined = try joining.run()
            return ControlPlaneClient(
                identity: identity, state: joined.state, sessionNonce: joined.welcome.sessionNonce,
                link: Link(channel: joined.channel, group: group), announce: onVerdict)
        } catch {
            group.end()
            throw error
        }
    }

    /// A world of one: no coordinator, no socket, no thread. Every call works and answers at once.
    public static func alone(onVerdict: @escaping @Sendable (Verdict) -> Void = { _ in }) -> ControlPlaneClient {
        var state = ClientState(rank: 0, worldSize: 1)
        state.hasStarted = true
        let identity = ClientIdentity(
            rank: 0, worldSize: 1, host: "", port: 0, version: "", handshake: Handshake(secret: .random()))
        return ControlPlaneClient(
            identity: identity, state: Monitor(state), sessionNonce: Handshake.nonce(), link: nil, announce: onVerdict)
    }

    /// Bytes that every rank of this run of the job derives alike, and nobody without the secret can.
    ///
    /// HKDF-SHA256 of the job's secret, a nonce that the coordinator draws for each run, and `label`.
    /// - Parameter byteCount: `1 ... 8160`; more traps.
    public func sessionKey(label: String, byteCount: Int) -> [UInt8] {
        handshake.sessionKey(label: label, sessionNonce: sessionNonce, byteCount: byteCount)
    }

    /// Takes leave of the others: from here on nothing that they do, and no verdict, concerns this rank.
    ///
    /// Others that still wait for this rank in a gather are told so. Waits at most 2 s for the coordinator's
    /// answer, then closes the connection and ends its thread. A second call does nothing.
    public func leave() {
        guard let link = link.withLock({ $0.take() }) else {
            state.update { $0.leave() }
            return
        }
        state.update { $0.leave() }
        let sent = link.channel.writeAndFlush(Envelope(.goodbye))
        sent.whenFailure { [state] _ in state.update { $0.hasFarewell = true } }
        _ = state.wait(until: .after(seconds: RendezvousBounds.farewellTimeoutSeconds)) { $0.hasFarewell ? true : nil }
        link.channel.close(promise: nil)
        link.group.end()
    }

    deinit {
        // Dropped without leave(): to the others the rank is lost, as if its process had ended.
        link.withLock { $0.take() }?.group.shutdownGracefully { _ in }
    }

    /// Hands a message to the connection's thread, in the order of the calls of one thread.
    func send(_ envelope: Envelope) {
        link.withLock { $0?.channel }?.writeAndFlush(envelope, promise: nil)
    }

    /// Whether there is nobody else.
    var isAlone: Bool { worldSize == 1 && link.withLock { $0 == nil } }

    /// What has become of the job. Any thread; does not wait.
    public var status: JobStatus { state.update { $0.status } }

    /// Ends this rank's job without the coordinator, and announces it.
    func fail(_ verdict: Verdict) {
        if let verdict = state.update({ $0.fail(verdict) }) { announce(verdict) }
    }
}
