import Foundation
import Glibc
import NIOCore

@testable import Membership

/// A plain blocking TCP connection to loopback: a stranger, or a rank whose every byte the test chooses.
final class RawConnection: Sendable {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = RawConnection.loopback(port: port)
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            // SAFETY: sockaddr_in is one of the forms of sockaddr; `address` outlives the call.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Unexpected(text: "connect: errno \(errno)") }
        limitReads()
    }

    /// One that a listener has accepted.
    init(accepted descriptor: Int32) {
        self.descriptor = descriptor
        limitReads()
    }

    deinit { close(descriptor) }

    /// A read that gets nothing for `patience` fails instead of hanging.
    private func limitReads() {
        var limit = timeval(tv_sec: Int(patience), tv_usec: 0)
        // SAFETY: `limit` outlives the call, which copies it.
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    func send(_ bytes: [UInt8]) {
        // SAFETY: `bytes` outlives the call. A peer that has closed already is no error here.
        _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// Exactly `count` bytes; throws where the peer closes before.
    func receive(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try receiveSome(atMost: count - bytes.count)
            guard !part.isEmpty else { throw Unexpected(text: "the peer closed after \(bytes.count) of \(count) bytes") }
            bytes += part
        }
        return bytes
    }

    /// Reads to the end.
    func waitUntilClosed() throws {
        while try !receiveSome(atMost: 4096).isEmpty {}
    }

    /// Empty at the end of the stream; a reset is an end too.
    private func receiveSome(atMost count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: `bytes` outlives the call.
        let received = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if received < 0, errno != ECONNRESET { throw Unexpected(text: "recv: errno \(errno)") }
        return Array(bytes.prefix(max(0, received)))
    }

    func receiveFrame() throws -> [UInt8] {
        let length = try receive(4).reduce(0) { $0 << 8 | Int($1) }
        return try receive(length)
    }

    func sendFrame(_ body: [UInt8]) { send(RawConnection.lengthBytes(body.count) + body) }

    static func lengthBytes(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } }

    fileprivate static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}

/// A listener on loopback that is no coordinator, or one that misbehaves. Or a port where nobody listens: it stays free
/// for a coordinator that asks for it, while the system gives it to nobody.
final class RawListener: Sendable {
    private let descriptor: Int32
    let port: Int

    init(isListening: Bool = true) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = RawConnection.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = self.descriptor
        var reuse: Int32 = 1
        // SAFETY: `reuse` outlives the call, which copies it.
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            // SAFETY: sockaddr_in is one of the forms of sockaddr; both variables outlive the calls.
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(descriptor, address, length) | (isListening ? listen(descriptor, 8) : 0)
                    | getsockname(descriptor, address, &length)
            }
        }
        guard status == 0 else { throw Unexpected(text: "listen: errno \(errno)") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }

    func accept() throws -> RawConnection {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw Unexpected(text: "accept: errno \(errno)") }
        return RawConnection(accepted: accepted)
    }
}

/// A rank that joins with the real secret and then does only what the test says: no sign of life, no farewell.
struct RawRank {
    let connection: RawConnection
    /// The hello as it was sent, code and all.
    let signedHello: [UInt8]
    private(set) var incoming: FrameSeal
    private(set) var outgoing: FrameSeal

    init(_ rank: Int, in world: World) throws {
        connection = try RawConnection(port: world.coordinator.port)
        let handshake = Handshake(secret: world.secret)
        guard let challenge = Wire.decode(Handshake.Challenge.self, from: try connection.receiveFrame()) else {
            throw Unexpected(text: "no challenge")
        }
        let nonces = Handshake.Nonces(coordinator: challenge.nonce, rank: Handshake.nonce())
        let hello = Handshake.Hello(
            protocolVersion: Handshake.protocolVersion, version: "1.2.3", rank: rank, worldSize: world.size, nonce: nonces.rank)
        signedHello = handshake.sign(Wire.encode(hello), as: "hello", nonces: nonces)
        connection.sendFrame(signedHello)
        guard let (json, code) = Handshake.split(try connection.receiveFrame()),
            handshake.isAuthentic(json, code: code, as: "answer", nonces: nonces),
            case .welcome = Wire.decode(Handshake.Answer.self, from: json)
        else { throw Unexpected(text: "not welcome") }
        let seals = handshake.seals(nonces: nonces)
        outgoing = seals.fromRank
        incoming = seals.fromCoordinator
    }

    mutating func send(_ message: Message, payload: [UInt8] = []) {
        for part in outgoing.seal(Envelope(message, payload: payload).body) {
            connection.send(Array(part.readableBytesView))
        }
    }

    /// The next message that is more than a sign of life.
    mutating func receive() throws -> Message {
        while true {
            let body = try incoming.open(ByteBuffer(bytes: try connection.receiveFrame()))
            guard let message = Envelope.decode(body)?.message else { throw Unexpected(text: "no message") }
            if message != .alive { return message }
        }
    }
}
