public import Logging
import NIOCore
import NIOPosix

/// Where the ranks of one job meet: a server with one thread of its own.
///
/// It runs in rank 0's process, or in that of a launcher which starts all ranks itself. It waits for every rank, carries
/// their gathers, and decides the one verdict that ends the job. Whoever cannot prove that it knows the job's secret is
/// dropped and never disturbs the ranks. At most `worldSize` payloads of one gather are held at a time.
public final class Coordinator: Sendable {
    /// Whose process this is; ranks name it when it vanishes.
    public enum Host: Sendable, Equatable {
        case rank(Int)
        case launcher
    }

    /// The port that ranks connect to: as asked, or the system's choice where 0 was asked.
    public let port: Int
    /// How this process itself reaches it: the address that it listens on, or loopback where it listens on all.
    public var ownAddress: String { listening.ownAddress }

    private let core: CoordinatorCore
    private let listening: Listening
    private let group: MultiThreadedEventLoopGroup

    private init(core: CoordinatorCore, listening: Listening, group: MultiThreadedEventLoopGroup) {
        self.core = core
        self.listening = listening
        self.group = group
        port = listening.port
    }

    /// Listens, and from now on waits for the ranks.
    ///
    /// - Parameters:
    ///   - host: what to listen on; `JobEnvironment.listenAddress`, or `127.0.0.1` for ranks of this machine only. Of a name all addresses, of `::`
    ///     all of this machine.
    ///   - port: 0 lets the system choose.
    ///   - expectedAt: how the ranks call this place, for messages; `host` where nil.
    ///   - version: of the program; every rank must give the same, at most 64 bytes.
    ///   - hostedBy: whose process this is.
    /// - Throws: `.configuration` where the address or port will not do.
    public static func start(
        host: String, port: Int, expectedAt: String? = nil, worldSize: Int, secret: JobSecret, version: String, hostedBy: Host = .rank(0),
        bounds: RendezvousBounds = RendezvousBounds(), logger: Logger
    ) throws(RendezvousError) -> Coordinator {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let hostRank = if case .rank(let rank) = hostedBy { rank } else { Verdict.launcher }
        let welcome = Handshake.Welcome(
            sessionNonce: Handshake.nonce(), host: hostRank, livenessTimeoutSeconds: bounds.livenessTimeoutSeconds,
            joinTimeoutSeconds: bounds.joinTimeoutSeconds)
        let job = CoordinatorState(
            worldSize: worldSize, version: oneLine(version, byteLimit: Handshake.versionByteLimit), bounds: bounds, welcome: welcome)
        let core = CoordinatorCore(job: job, handshake: Handshake(secret: secret), eventLoop: group.next(), logger: logger)
        do {
            let listening = try Listening.open(host: host, port: port) { bootstrap(core, group, worldSize: worldSize) }
            core.awaitRanks(at: "\(expectedAt ?? host) port \(listening.port)")
            return Coordinator(core: core, listening: listening, group: group)
        } catch {
            group.end()
            throw listenError(error, host: host, port: port)
        }
    }

    private static func bootstrap(_ core: CoordinatorCore, _ group: MultiThreadedEventLoopGroup, worldSize: Int) -> ServerBootstrap {
        let limit = RendezvousBounds.pendingConnectionLimit(worldSize: worldSize)
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(min(limit, 4096)))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let connection = core.register(channel, limit: limit) else {
                        core.logger.notice("a connection is dropped: \(limit) others have not said who they are yet")
                        channel.close(promise: nil)
                        return
                    }
                    try channel.pipeline.syncOperations.addHandler(CoordinatorHandler(core: core, connection: connection))
                }
            }
    }

    private static func listenError(_ error: any Error, host: String, port: Int) -> RendezvousError {
        if let error = error as? IOError, error.errnoCode == addressInUseErrno {
            return RendezvousError(
                .configuration, "MASTER_PORT \(port) is already in use on \(host)",
                remedy: "set MASTER_PORT to a free port, the same for all ranks, or end the process that holds it")
        }
        return RendezvousError(
            .configuration, "cannot listen on \(host) port \(port): \(error)",
            remedy: "set MASTER_ADDR to an address of rank 0's machine and MASTER_PORT to a port that this user may use")
    }

    /// What ended the job, if something has: what every rank is told.
    public var failure: Verdict? { core.job.update { $0.failure } }

    /// Tells the job that a rank's process has failed, for launchers: a rank that never joined has no connection to lose.
    ///
    /// Does nothing where the rank had taken leave, or where something else has ended the job already.
    /// - Parameter cause: such as "its process was ended by signal 9".
    public func processEnded(rank: Int, cause: String) {
        group.next().execute { [core] in core.update { $0.processEnded(rank: rank, cause: cause) } }
    }

    /// Waits until every rank has taken leave or is lost, at most so long, then closes everything and ends the thread.
    ///
    /// Ranks that are still here then see the coordinator vanish. Blocks; not to be called on an event loop. A second
    /// call does nothing.
    /// - Returns: whether every rank had gone.
    @discardableResult
    public func stop(waitingAtMostSeconds: Double = 0) -> Bool {
        let everyoneLeft = core.job.wait(until: .after(seconds: waitingAtMostSeconds)) { $0.isOver ? true : nil } ?? false
        core.job.update { $0.isStopping = true }
        for server in listening.channels { server.close(promise: nil) }
        for channel in core.openChannels { channel.close(promise: nil) }
        group.end()
        return everyoneLeft
    }

    deinit {
        // Without stop() the thread and the sockets would stay until the process ends.
        group.shutdownGracefully { _ in }
    }
}
