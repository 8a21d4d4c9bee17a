import Crypto
import FoundationEssentials
import NIOCore

/// One direction of an authenticated connection: frames carry an HMAC-SHA256 over their number and body.
///
/// The key is this direction's and this connection's own, so a frame that is replayed, reordered, dropped or sent back
/// does not pass.
struct FrameSeal {
    static let macByteCount = 32

    private let key: SymmetricKey
    private var number: UInt64 = 0

    init(key: SymmetricKey) { self.key = key }

    /// - Returns: the frame in three parts, so that a body that goes to many ranks is not copied for each.
    mutating func seal(_ body: ByteBuffer) -> [ByteBuffer] {
        let code = HMAC<SHA256>.authenticationCode(over: body, number: number, key: key)
        number += 1
        return [
            ByteBuffer(integer: UInt32(body.readableBytes + Self.macByteCount)), body, ByteBuffer(bytes: code),
        ]
    }

    /// - Returns: the body of a frame, without its code.
    mutating func open(_ frame: ByteBuffer) throws(FrameError) -> ByteBuffer {
        var frame = frame
        guard frame.readableBytes >= Self.macByteCount, let body = frame.readSlice(length: frame.readableBytes - Self.macByteCount),
            let code = frame.readBytes(length: Self.macByteCount)
        else { throw .truncated }
        let wanted = HMAC<SHA256>.authenticationCode(over: body, number: number, key: key)
        guard wanted == code else { throw .notAuthentic }
        number += 1
        return body
    }
}
extension HMAC<SHA256> {
    fileprivate static func authenticationCode(over body: ByteBuffer, number: UInt64, key: SymmetricKey) -> MAC {
        var hmac = Self(key: key)
        hmac.update(data: number.bigEndianBytes)
        // SAFETY: `body` keeps its storage alive for the call, and the pointer does not leave the closure.
        unsafe body.withUnsafeReadableBytes { unsafe hmac.update(data: $0) }
        return hmac.finalize()
    }
}

extension UInt64 {
    fileprivate var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * UInt64($0))) } }
}
