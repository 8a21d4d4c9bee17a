import Verbs

/// Reads big-endian numbers from bytes that somebody else wrote: every read may find nothing more.
struct ByteReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { position == bytes.count }

    mutating func read<T: FixedWidthInteger & UnsignedInteger>(as type: T.Type = T.self) -> T? {
        guard let part = self.bytes(T.bitWidth / 8) else { return nil }
        return part.reduce(0) { ($0 << 8) | T($1) }
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard count <= bytes.count - position else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}

extension [UInt8] {
    mutating func append<T: FixedWidthInteger & UnsignedInteger>(bigEndian value: T) {
        for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) { append(UInt8(truncatingIfNeeded: value >> T(shift))) }
    }
}

/// Where a rank listens. On the wire: family 1 (4 or 6), port 2, address 4 or 16.
struct Endpoint: Equatable {
    var address: SocketAddress

    init(_ address: SocketAddress) { self.address = address }

    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let family: UInt8 = reader.read(), family == 4 || family == 6, let port: UInt16 = reader.read(),
            let address = reader.bytes(family == 4 ? 4 : 16).flatMap(InternetAddress.init(bytes:)), reader.isAtEnd
        else { return nil }
        self.address = SocketAddress(address: address, port: port)
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = [address.address.isVersion4 ? 4 : 6]
        bytes.append(bigEndian: address.port)
        return bytes + address.address.bytes
    }
}

/// What a peer must know to write into a region. On the wire: address 8, length 8, key 4.
struct RegionDescriptor: Equatable {
    var address: UInt64
    var byteCount: Int
    var key: RemoteKey

    init(address: UInt64, byteCount: Int, key: RemoteKey) {
        self.address = address
        self.byteCount = byteCount
        self.key = key
    }

    init?(decoding bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        guard let address: UInt64 = reader.read(), let length: UInt64 = reader.read(), let key: UInt32 = reader.read(), reader.isAtEnd,
            let byteCount = Int(exactly: length), !address.addingReportingOverflow(length).overflow
        else { return nil }
        self.init(address: address, byteCount: byteCount, key: RemoteKey(rawValue: key))
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: address)
        bytes.append(bigEndian: UInt64(byteCount))
        bytes.append(bigEndian: key.rawValue)
        return bytes
    }
}

/// What a work request was, kept in its identifier: a failed completion tells nothing else. Kind 8 bits, slot 24, ticket's low bits 32.
struct WorkRequestTag: Equatable {
    enum Kind: UInt8 {
        case write = 1
        case receive, goodbye
    }

    var kind: Kind
    var slot: Int
    var ticket: UInt32

    init(_ kind: Kind, slot: Int, ticket: UInt64 = 0) {
        self.kind = kind
        self.slot = slot
        self.ticket = UInt32(truncatingIfNeeded: ticket)
    }

    init?(_ identifier: UInt64) {
        guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: identifier >> 56)) else { return nil }
        self.kind = kind
        slot = Int(identifier >> 32 & 0xFF_FFFF)
        ticket = UInt32(truncatingIfNeeded: identifier)
    }

    var identifier: UInt64 { UInt64(kind.rawValue) << 56 | UInt64(slot) << 32 | UInt64(ticket) }

    /// The whole ticket, given one that is at most 2^32 - 1 older.
    func ticket(after earlier: UInt64) -> UInt64 { earlier + UInt64(ticket &- UInt32(truncatingIfNeeded: earlier)) }
}
