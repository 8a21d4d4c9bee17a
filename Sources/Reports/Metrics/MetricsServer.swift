internal import Dispatch
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Serves `GET /metrics` to whoever asks, on a thread of its own.
///
/// Takes nothing from a client but the name of what it wants: each connection gets one answer and at most 5 s, and there are 16 at once at most. So slow
/// and senseless clients cost the run nothing.
public final class MetricsServer: Sendable {
    static let connectionLimit = 16
    static let connectionSeconds: Int64 = 5
    /// How long `close` waits for the thread; it goes on ending by itself after that.
    private static let closeSeconds = 5.0

    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let state: ServerState
    private let wanted: MetricsAddress

    /// Begins to listen.
    /// - Throws: `MetricsError`.
    public convenience init(_ address: MetricsAddress, _ metrics: Metrics) throws {
        try self.init(address, metrics, connectionSeconds: Self.connectionSeconds)
    }

    init(_ address: MetricsAddress, _ metrics: Metrics, connectionSeconds: Int64) throws {
        let state = ServerState(metrics, connectionSeconds: connectionSeconds)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 64)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                        try channel.pipeline.syncOperations.addHandler(MetricsHandler(state))
                    }
                }
            channel = try bootstrap.bind(to: SocketAddress(ipAddress: address.host, port: address.port)).wait()
        } catch {
            Self.end(group)
            throw MetricsError(address: address, error)
        }
        self.group = group
        self.state = state
        wanted = address
    }

    /// Where it listens, with the port that was chosen.
    public var address: MetricsAddress {
        var address = wanted
        address.port = channel.localAddress?.port ?? address.port
        return address
    }

    /// Any thread.
    public func update(_ change: (inout Metrics) -> Void) { state.metrics.withLock { change(&$0) } }

    /// Ends all connections. A second call does nothing.
    public func close() { Self.end(group) }

    deinit { Self.end(group) }

    private static func end(_ group: MultiThreadedEventLoopGroup) {
        let ended = DispatchSemaphore(value: 0)
        group.shutdownGracefully(queue: DispatchQueue(label: "verbena.metrics.end")) { _ in ended.signal() }
        _ = ended.wait(timeout: .now() + closeSeconds)
    }
}

/// Why metrics cannot be served.
public struct MetricsError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(address: MetricsAddress, _ error: any Error) {
        let remedy: String
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: remedy = "the port is in use; give another one, or 0 for any that is free"
        case EACCES: remedy = "no permission for this port; give one from 1024 on, or 0 for any that is free"
        case EADDRNOTAVAIL, EAFNOSUPPORT: remedy = "this machine has no such address; give 127.0.0.1, or 0.0.0.0 for all addresses"
        default: remedy = "\(error); give an address of this machine, such as 127.0.0.1:0"
        }
        description = "cannot serve metrics at \(address): \(remedy)"
    }
}

/// What the connections share.
private final class ServerState: Sendable {
    let metrics: Mutex<Metrics>
    let connections = Mutex(0)
    let connectionSeconds: Int64

    init(_ metrics: Metrics, connectionSeconds: Int64) {
        self.metrics = Mutex(metrics)
        self.connectionSeconds = connectionSeconds
    }
}

/// One connection: answers its first request, and closes it.
private final class MetricsHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: ServerState
    private var request: HTTPRequestHead?
    private var hasAnswered = false

    init(_ state: ServerState) { self.state = state }

    func channelActive(context: ChannelHandlerContext) {
        let count = state.connections.withLock { count in
            count += 1
            return count
        }
        let channel = context.channel
        // Never longer, whatever the client does: also while it does not take its answer.
        context.eventLoop.scheduleTask(in: .seconds(state.connectionSeconds)) { channel.close(promise: nil) }
        if count > MetricsServer.connectionLimit { context.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        state.connections.withLock { $0 -= 1 }
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): request = request ?? head
        case .body: break  // Of no meaning here; it is dropped as it comes.
        case .end: if let request { answer(request, context) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if hasAnswered { return }
        hasAnswered = true
        let path = request.uri.prefix { $0 != "?" }
        let isRead = request.method == .GET || request.method == .HEAD
        var headers = HTTPHeaders([("Connection", "close"), ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        let (status, text): (HTTPResponseStatus, String)
        if !isRead {
            headers.add(name: "Allow", value: "GET, HEAD")
            (status, text) = (.methodNotAllowed, "only GET and HEAD\n")
        } else if path == "/metrics" {
            // A copy is taken under the lock, which the trainer takes once a step; the text is made outside it.
            (status, text) = (.ok, state.metrics.withLock { $0 }.text)
        } else {
            (status, text) = (.notFound, "there is /metrics\n")
        }
        let body = ByteBuffer(string: text)
        headers.add(name: "Content-Length", value: "\(body.readableBytes)")
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}
