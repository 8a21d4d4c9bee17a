import NIOCore

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
