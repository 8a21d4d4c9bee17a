import Crypto
import Foundation
import NIOCore

/// What is wrong with the bytes of a connection.
enum FrameError: Error, Equatable {
    case tooLong(byteCount: Int, limit: Int)
    case truncated
    case notAuthentic
}

/// Cuts a stream of bytes into frames of `length (4 bytes, big-endian) | body`.
///
/// A length above the limit is refused as soon as its four bytes are here, so a stranger never makes us hold more.
struct FrameReader {
    var byteLimit: Int
    private var unread = ByteBuffer()

    init(byteLimit: Int) { self.byteLimit = byteLimit }

    mutating func append(_ bytes: ByteBuffer) {
        unread.discardReadBytes()
        unread.writeImmutableBuffer(bytes)
    }

    /// - Returns: the body of the next frame, nil while it is not complete.
    mutating func next() throws(FrameError) -> ByteBuffer? {
        guard let length = unread.getInteger(at: unread.readerIndex, as: UInt32.self) else { return nil }
        guard length <= byteLimit else { throw .tooLong(byteCount: Int(length), limit: byteLimit) }
        guard unread.readableBytes >= 4 + Int(length) else { return nil }
        unread.moveReaderIndex(forwardBy: 4)
        return unread.readSlice(length: Int(length))
    }

    static func frame(_ body: [UInt8]) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.writeInteger(UInt32(body.count))
        frame.writeBytes(body)
        return frame
    }
}

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
