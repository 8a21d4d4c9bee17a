import NIOCore

/// A rank's end of its connection: handshake, seals and signs of life. What it means is decided by `ClientState`.
final class ClientHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Envelope
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case awaitingChallenge
        case awaitingAnswer
        case joined(incoming: FrameSeal, outgoing: FrameSeal)
        case over
    }

    private let identity: ClientIdentity
    private let state: Monitor<ClientState>
    private let announce: @Sendable (Verdict) -> Void
    private var phase = Phase.awaitingChallenge
    private var reader = FrameReader(byteLimit: RendezvousBounds.answerFrameByteLimit)
    /// The coordinator's, as its challenge says.
    private var coordinatorProtocol = Handshake.protocolVersion
    private var nonces = Handshake.Nonces(coordinator: [], rank: Handshake.nonce())
    private var liveness: Liveness?

    init(identity: ClientIdentity, state: Monitor<ClientState>, announce: @escaping @Sendable (Verdict) -> Void) {
        self.identity = identity
        self.state = state
        self.announce = announce
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        liveness?.heard()
        reader.append(unwrapInboundIn(data))
        do throws(FrameError) {
            while let frame = try reader.next() { try receive(frame, context) }
        } catch {
            if case .awaitingChallenge = phase {
                fail(.notACoordinator(identity), context)
            } else {
                lose(.disagreed, "sent what is not authentic (\(error))", context)
            }
        }
    }

    private func receive(_ frame: ByteBuffer, _ context: ChannelHandlerContext) throws(FrameError) {
        switch phase {
        case .awaitingChallenge:
            receiveChallenge(Array(frame.readableBytesView), context)
        case .awaitingAnswer:
            receiveAnswer(Array(frame.readableBytesView), context)
        case .joined(var incoming, let outgoing):
            let body = try incoming.open(frame)
            phase = .joined(incoming: incoming, outgoing: outgoing)
            guard let (message, payload) = Envelope.decode(body) else { throw .truncated }
            update { $0.receive(message, payload: payload) }
        case .over:
            break
        }
    }

    private func receiveChallenge(_ json: [UInt8], _ context: ChannelHandlerContext) {
        guard let challenge = Wire.decode(Handshake.Challenge.self, from: json), challenge.name == Handshake.protocolName,
            challenge.nonce.count == Handshake.nonceByteCount
        else { return fail(.notACoordinator(identity), context) }
        guard state.update({ $0.sayHello() }) else { return context.close(promise: nil) }
        (nonces.coordinator, coordinatorProtocol) = (challenge.nonce, challenge.protocolVersion)
        let hello = Handshake.Hello(
            protocolVersion: Handshake.protocolVersion, version: identity.version, rank: identity.rank, worldSize: identity.worldSize,
            nonce: nonces.rank)
        phase = .awaitingAnswer
        let signed = identity.handshake.sign(Wire.encode(hello), as: "hello", nonces: nonces)
        context.writeAndFlush(wrapOutboundOut(FrameReader.frame(signed)), promise: nil)
    }

    private func receiveAnswer(_ body: [UInt8], _ context: ChannelHandlerContext) {
        guard let (json, code) = Handshake.split(body), identity.handshake.isAuthentic(json, code: code, as: "answer", nonces: nonces)
        else { return fail(.wrongSecret, context) }
        guard let answer = Wire.decode(Handshake.Answer.self, from: json) else {
            return fail(.otherProtocol(coordinatorProtocol, identity), context)
        }
        switch answer {
        case .refused(let error):
            fail(error, context)
        case .welcome(var welcome):
            // As the coordinator's own are: a number in JSON may be any.
            let bounds = RendezvousBounds(
                joinTimeoutSeconds: welcome.joinTimeoutSeconds, livenessTimeoutSeconds: welcome.livenessTimeoutSeconds)
            (welcome.joinTimeoutSeconds, welcome.livenessTimeoutSeconds) = (bounds.joinTimeoutSeconds, bounds.livenessTimeoutSeconds)
            let seals = identity.handshake.seals(nonces: nonces)
            phase = .joined(incoming: seals.fromCoordinator, outgoing: seals.fromRank)
            reader.byteLimit = RendezvousBounds.sealedFrameByteLimit
            watch(context, timeoutSeconds: welcome.livenessTimeoutSeconds)
            update { [welcome] state in
                state.welcome = welcome
                return nil
            }
        }
    }

    private func watch(_ context: ChannelHandlerContext, timeoutSeconds: Double) {
        let channel = context.channel
        let liveness = Liveness(timeoutSeconds: timeoutSeconds)
        self.liveness = liveness
        liveness.start(on: context.eventLoop) {
            channel.writeAndFlush(Envelope(.alive), promise: nil)
        } onSilence: { [self] limit in
            lose(.unreachable, "is stopped or unreachable: nothing was heard of it for \(seconds(limit))", context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .joined(let incoming, var outgoing) = phase else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let parts = outgoing.seal(unwrapOutboundIn(data).body)
        phase = .joined(incoming: incoming, outgoing: outgoing)
        for part in parts.dropLast() { context.write(wrapOutboundOut(part), promise: nil) }
        context.write(wrapOutboundOut(parts[parts.count - 1]), promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose(.died, "ended without taking leave (killed or crashed)", context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset is an end like any other; `channelInactive` says so.
        if error is IOError { return context.close(promise: nil) }
        lose(.unreachable, "is lost, because the connection failed: \(error)", context)
    }

    /// - Parameter reason: goes on from "the coordinator's process".
    private func lose(_ cause: FailureCause, _ reason: String, _ context: ChannelHandlerContext) {
        end(context) { $0.connectionLost(cause, reason) }
    }

    private func fail(_ error: RendezvousError, _ context: ChannelHandlerContext) {
        end(context) { state in
            state.refuse(error)
            return nil
        }
    }

    /// The first reason counts: closing makes the channel inactive, and that is no news then.
    private func end(_ context: ChannelHandlerContext, _ event: (inout ClientState) -> Verdict?) {
        if case .over = phase { return }
        phase = .over
        liveness?.stop()
        update(event)
        context.close(promise: nil)
    }

    /// The verdict is announced outside the monitor's lock: whoever hears it may ask this rank's `ControlPlaneClient`.
    private func update(_ event: (inout ClientState) -> Verdict?) {
        if let verdict = state.update(event) { announce(verdict) }
    }
}

extension RendezvousError {
    fileprivate static func notACoordinator(_ identity: ClientIdentity) -> RendezvousError {
        RendezvousError(
            .configuration, "what answers at \(identity.host) port \(identity.port) is no coordinator of this program",
            remedy: "set MASTER_PORT to the port of this job's rank 0, or to another that is free")
    }
}
