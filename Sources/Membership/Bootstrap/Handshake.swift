import Crypto
import FoundationEssentials
import NIOCore

/// How both sides prove that they know the secret without sending it.
///
///     coordinator: Challenge                 {protocol, nonce}
///     rank:        Hello  | HMAC             {protocol, version, rank, world, nonce}
///     coordinator: Answer | HMAC             welcome {session nonce, ...} or refused {error}
///
/// Each code covers a name of its message and both nonces, so neither can be replayed nor turned round. A rank that
/// cannot verify the answer has another secret: it need not believe what the answer says. The challenge, the hello and
/// the code stay as they are in every version: so a rank that cannot read an authentic answer knows that the other runs
/// another version, and which protocol it speaks.
package struct Handshake {
    static let protocolName = "verbena-rendezvous"
    package static let protocolVersion = 8
    static let nonceByteCount = 32
    static let versionByteLimit = 64

    let secret: JobSecret

    struct Challenge: Codable {
        var name: String
        var protocolVersion: Int
        var nonce: [UInt8]
    }

    package struct Hello: Codable, Equatable, Sendable {
        package var protocolVersion: Int
        package var version: String
        package var rank: Int
        package var worldSize: Int
        var nonce: [UInt8]

        package init(protocolVersion: Int, version: String, rank: Int, worldSize: Int, nonce: [UInt8] = []) {
            (self.protocolVersion, self.version, self.nonce) = (protocolVersion, version, nonce)
            (self.rank, self.worldSize) = (rank, worldSize)
        }
    }

    package enum Answer: Codable, Sendable {
        case welcome(Welcome)
        case refused(RendezvousError)
    }

    package struct Welcome: Codable, Equatable, Sendable {
        /// New in each run of a job: what `sessionKey` derives from.
        var sessionNonce: [UInt8]
        /// Rank whose process holds the coordinator, or `Verdict.launcher`.
        var host: Int
        /// The coordinator's bounds are those of all ranks.
        package var livenessTimeoutSeconds: Double
        package var joinTimeoutSeconds: Double

        package init(sessionNonce: [UInt8], host: Int, livenessTimeoutSeconds: Double, joinTimeoutSeconds: Double) {
            (self.sessionNonce, self.host) = (sessionNonce, host)
            (self.livenessTimeoutSeconds, self.joinTimeoutSeconds) = (livenessTimeoutSeconds, joinTimeoutSeconds)
        }
    }

    /// The two nonces of one connection.
    struct Nonces {
        var coordinator: [UInt8]
        var rank: [UInt8]
    }

    static func nonce() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<nonceByteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// `json | code`, as the body of a frame.
    func sign(_ json: [UInt8], as name: String, nonces: Nonces) -> [UInt8] {
        json + Array(HMAC<SHA256>.authenticationCode(for: text(json, as: name, nonces: nonces), using: key("handshake")))
    }

    /// - Returns: the JSON of a signed body and whether its code is right; nil where the body is too short for one.
    static func split(_ body: [UInt8]) -> (json: [UInt8], code: [UInt8])? {
        guard body.count > FrameSeal.macByteCount else { return nil }
        return (Array(body.dropLast(FrameSeal.macByteCount)), Array(body.suffix(FrameSeal.macByteCount)))
    }

    func isAuthentic(_ json: [UInt8], code: [UInt8], as name: String, nonces: Nonces) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: text(json, as: name, nonces: nonces), using: key("handshake"))
    }

    /// The seals of the frames after the handshake, one for each direction.
    func seals(nonces: Nonces) -> (fromRank: FrameSeal, fromCoordinator: FrameSeal) {
        let salt = nonces.coordinator + nonces.rank
        return (FrameSeal(key: key("from rank", salt: salt)), FrameSeal(key: key("from coordinator", salt: salt)))
    }

    /// Bytes that all ranks of this run, and nobody else, can derive.
    /// - Parameter byteCount: at most 8,160, the limit of HKDF with SHA-256.
    func sessionKey(label: String, sessionNonce: [UInt8], byteCount: Int) -> [UInt8] {
        let derived = key("session " + label, salt: sessionNonce, byteCount: byteCount)
        return Array(Data(contentsOf: derived))
    }

    private func text(_ json: [UInt8], as name: String, nonces: Nonces) -> [UInt8] {
        Array(name.utf8) + [0] + nonces.coordinator + nonces.rank + json
    }

    private func key(_ purpose: String, salt: [UInt8] = [], byteCount: Int = 32) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: Array(secret.text.utf8)), salt: salt,
            info: Array("\(Self.protocolName) \(purpose)".utf8), outputByteCount: byteCount)
    }
}

extension Data {
    fileprivate init(contentsOf key: SymmetricKey) {
        // SAFETY: the key keeps its bytes alive for the call; they are copied out.
        self = unsafe key.withUnsafeBytes { unsafe Data($0) }
    }
}
