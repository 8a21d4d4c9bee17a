import NIOCore

/// The coordinator's end of one connection: handshake, seals and signs of life. What is said is decided by `CoordinatorState`.
final class CoordinatorHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Outgoing
    typealias OutboundOut = ByteBuffer

    enum Outgoing: Sendable {
        case answer(Handshake.Answer)
        case message(Envelope)
    }

    private enum Phase {
        case awaitingHello
        case refused
        case joined(incoming: FrameSeal, outgoing: FrameSeal)
    }

    private let core: CoordinatorCore
    private let connection: CoordinatorState.ConnectionID
    private let liveness: Liveness
    private var phase = Phase.awaitingHello
    private var reader = FrameReader(byteLimit: RendezvousBounds.helloFrameByteLimit)
    private var nonces = Handshake.Nonces(coordinator: Handshake.nonce(), rank: [])
    private var deadline: Scheduled<Void>?
    private var address = "an unknown address"

    init(core: CoordinatorCore, connection: CoordinatorState.ConnectionID) {
        self.core = core
        self.connection = connection
        self.liveness = Liveness(timeoutSeconds: core.bounds.livenessTimeoutSeconds)
    }

    func channelActive(context: ChannelHandlerContext) {
        if let remote = context.remoteAddress { address = "\(remote.ipAddress ?? "?"):\(remote.port ?? 0)" }
        let challenge = Handshake.Challenge(
            name: Handshake.protocolName, protocolVersion: Handshake.protocolVersion, nonce: nonces.coordinator)
        context.writeAndFlush(wrapOutboundOut(FrameReader.frame(Wire.encode(challenge))), promise: nil)
        let wait = TimeAmount.nanoseconds(Int64(core.bounds.handshakeTimeoutSeconds * 1e9))
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: wait) { [self] in
            drop(context, "it did not say who it is within \(seconds(core.bounds.handshakeTimeoutSeconds))")
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        liveness.heard()
        reader.append(unwrapInboundIn(data))
        do throws(FrameError) {
            while context.channel.isActive, let frame = try reader.next() {
                try receive(frame, context)
            }
        } catch {
            drop(context, "\(error)")
        }
    }

    private func receive(_ frame: ByteBuffer, _ context: ChannelHandlerContext) throws(FrameError) {
        switch phase {
        case .awaitingHello:
            receiveHello(Array(frame.readableBytesView), context)
        case .refused:
            break
        case .joined(var incoming, let outgoing):
            let body = try incoming.open(frame)
            phase = .joined(incoming: incoming, outgoing: outgoing)
            guard let (message, payload) = Envelope.decode(body) else { throw .truncated }
            core.update { $0.receive(message, payload: payload, from: connection) }
        }
    }

    private func receiveHello(_ body: [UInt8], _ context: ChannelHandlerContext) {
        guard let (json, code) = Handshake.split(body), let hello = Wire.decode(Handshake.Hello.self, from: json),
            hello.nonce.count == Handshake.nonceByteCount
        else { return drop(context, "it does not speak the rendezvous protocol") }
        deadline?.cancel()
        nonces.rank = hello.nonce
        guard core.handshake.isAuthentic(json, code: code, as: "hello", nonces: nonces) else {
            core.logger.warning("rank \(hello.rank) at \(address) has another secret; its connection is refused")
            // The answer's own code fails at the other side just as well, and that is what tells it.
            core.update { job in
                job.authenticationFailed(address: address, claimedRank: hello.rank)
                return [.answer(connection, .refused(.wrongSecret))]
            }
            return
        }
        core.authenticated(connection)
        core.update { $0.hello(hello, from: connection, address: address) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .answer(let answer):
            write(answer, context, promise)
        case .message(let envelope):
            guard case .joined(let incoming, var outgoing) = phase else { return context.close(promise: promise) }
            let parts = outgoing.seal(envelope.body)
            phase = .joined(incoming: incoming, outgoing: outgoing)
            for part in parts.dropLast() { context.write(wrapOutboundOut(part), promise: nil) }
            context.write(wrapOutboundOut(parts[parts.count - 1]), promise: promise)
        }
    }

    private func write(_ answer: Handshake.Answer, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        let signed = core.handshake.sign(Wire.encode(answer), as: "answer", nonces: nonces)
        let written = promise ?? context.eventLoop.makePromise()
        switch answer {
        case .welcome:
            let seals = core.handshake.seals(nonces: nonces)
            phase = .joined(incoming: seals.fromRank, outgoing: seals.fromCoordinator)
            reader.byteLimit = RendezvousBounds.sealedFrameByteLimit
            watch(context)
        case .refused:
            phase = .refused
            written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
        context.write(wrapOutboundOut(FrameReader.frame(signed)), promise: written)
    }

    private func watch(_ context: ChannelHandlerContext) {
        let channel = context.channel
        liveness.start(on: context.eventLoop) {
            channel.writeAndFlush(Outgoing.message(Envelope(.alive)), promise: nil)
        } onSilence: { [self] limit in
            core.update { $0.lost(connection, .silent(seconds: limit)) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        liveness.stop()
        core.closed(connection)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A connection that the system ended is over like any other: a process that dies with bytes unread ends in a reset.
        if error is IOError { return context.close(promise: nil) }
        drop(context, "\(error)")
    }

    /// Of a stranger nothing but a line in the log; a rank that joined is lost.
    private func drop(_ context: ChannelHandlerContext, _ reason: String) {
        if case .joined = phase {
            core.update { $0.lost(connection, .violation(reason)) }
        } else {
            core.logger.debug("a connection from \(address) is dropped: \(reason)")
        }
        context.close(promise: nil)
    }
}

extension RendezvousError {
    /// The same words on both sides.
    static let wrongSecret = RendezvousError(
        .configuration, "this process and the coordinator do not hold the same secret",
        remedy: "give every rank the same VERBENA_SECRET, and every job its own MASTER_PORT")

    static func otherProtocol(_ theirs: Int, _ identity: ClientIdentity) -> RendezvousError {
        RendezvousError(
            .configuration,
            "the coordinator at \(identity.host):\(identity.port) speaks protocol \(theirs), rank \(identity.rank) protocol "
                + "\(Handshake.protocolVersion) (version \(identity.version))",
            remedy: "install the same version on every machine")
    }
}
