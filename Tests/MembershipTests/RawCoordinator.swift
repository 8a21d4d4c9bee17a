@testable import Membership

/// A coordinator whose every answer the test chooses.
struct RawCoordinator {
    let handshake: Handshake
    private let secret: JobSecret
    private let listener: RawListener

    init(secret: JobSecret) throws {
        self.secret = secret
        handshake = Handshake(secret: secret)
        listener = try RawListener()
    }

    var port: Int { listener.port }

    /// Rank 0 of 1 begins to join it.
    func joinLater() -> Running<ControlPlaneClient> {
        onThreadsLater(1) { [port, secret] _ throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: 0, worldSize: 1, host: "127.0.0.1", port: port, secret: secret, version: "1", joinTimeoutSeconds: patience,
                logger: quiet, onVerdict: { _ in })
        }
    }

    /// Exchanges nonces with the rank. It gives up a connection on which the challenge comes too late, rightly, and makes another one.
    func greet(protocolVersion: Int = Handshake.protocolVersion) async throws -> GreetedRank {
        try await offPool { [listener, handshake] in
            while true {
                let connection = try listener.accept()
                let challenge = Handshake.Challenge(
                    name: Handshake.protocolName, protocolVersion: protocolVersion, nonce: Handshake.nonce())
                connection.sendFrame(Wire.encode(challenge))
                guard let frame = try? connection.receiveFrame() else { continue }
                guard let json = Handshake.split(frame)?.json, let hello = Wire.decode(Handshake.Hello.self, from: json) else {
                    throw Unexpected(text: "not a hello: \(frame)")
                }
                return GreetedRank(
                    connection: connection, nonces: Handshake.Nonces(coordinator: challenge.nonce, rank: hello.nonce), handshake: handshake)
            }
        }
    }
}

/// A rank that has said hello to a `RawCoordinator`.
struct GreetedRank: Sendable {
    let connection: RawConnection
    let nonces: Handshake.Nonces
    fileprivate let handshake: Handshake

    /// Sends an authentic answer.
    func answer(_ json: [UInt8]) { connection.sendFrame(handshake.sign(json, as: "answer", nonces: nonces)) }

    func welcome(livenessTimeoutSeconds: Double) throws {
        let welcome = Handshake.Welcome(
            sessionNonce: Handshake.nonce(), host: 0, livenessTimeoutSeconds: livenessTimeoutSeconds, joinTimeoutSeconds: patience)
        answer(Wire.encode(Handshake.Answer.welcome(welcome)))
    }
}
