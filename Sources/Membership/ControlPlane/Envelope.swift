import FoundationEssentials
import NIOCore

/// A message and its payload as the body of a frame: `length of JSON (4 bytes) | JSON | payload`.
struct Envelope: Sendable {
    let body: ByteBuffer

    init(_ message: Message, payload: [UInt8] = []) {
        let json = Wire.encode(message)
        var body = ByteBuffer()
        body.reserveCapacity(4 + json.count + payload.count)
        body.writeInteger(UInt32(json.count))
        body.writeBytes(json)
        body.writeBytes(payload)
        self.body = body
    }

    /// - Returns: the parts of `body`, or nil where it has another form.
    static func decode(_ body: ByteBuffer) -> (message: Message, payload: [UInt8])? {
        var rest = body
        guard let length = rest.readInteger(as: UInt32.self), let json = rest.readBytes(length: Int(length)),
            let message = Wire.decode(Message.self, from: json)
        else { return nil }
        return (message, Array(rest.readableBytesView))
    }
}
