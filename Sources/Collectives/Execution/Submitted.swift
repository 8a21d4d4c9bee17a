internal import Fabric

/// How many operations a rank has submitted: what ranks compare that are about to part, when none submits any more.
public struct Submitted: Sendable, Equatable {
    /// By stream, at the stream's number.
    private var collectives = [UInt64](repeating: 0, count: Stream.allCases.count)
    /// Only of peers with which there were any.
    public var transfers: [Int: Transfers] = [:]

    public struct Transfers: Sendable, Equatable {
        public var sent: UInt64
        public var received: UInt64

        public init(sent: UInt64, received: UInt64) {
            self.sent = sent
            self.received = received
        }
    }

    public init() {}

    /// Collectives of a stream.
    public subscript(stream: Stream) -> UInt64 {
        get { collectives[Int(stream.rawValue)] }
        set { collectives[Int(stream.rawValue)] = newValue }
    }

    public init?(bytes: [UInt8]) {
        var reader = WireReader(bytes)
        for stream in Stream.allCases {
            guard let count = reader.read(UInt64.self) else { return nil }
            self[stream] = count
        }
        while !reader.isAtEnd {
            guard let peer = reader.read(UInt32.self), let sent = reader.read(UInt64.self), let received = reader.read(UInt64.self) else {
                return nil
            }
            transfers[Int(peer)] = Transfers(sent: sent, received: received)
        }
    }

    public var bytes: [UInt8] {
        var writer = WireWriter()
        for count in collectives { writer.append(count) }
        for (peer, count) in transfers.sorted(by: { $0.key < $1.key }) {
            writer.append(UInt32(peer))
            writer.append(count.sent)
            writer.append(count.received)
        }
        return writer.bytes
    }
}
