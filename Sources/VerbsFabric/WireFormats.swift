import Fabric
import Verbs

/// Where a rank listens. On the wire: family 1 (4 or 6), port 2, address 4 or 16.
struct Endpoint: Equatable {
    var address: SocketAddress

    init(_ address: SocketAddress) { self.address = address }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let family: UInt8 = reader.read(), family == 4 || family == 6, let port: UInt16 = reader.read(),
            let address = reader.read(count: family == 4 ? 4 : 16).flatMap(InternetAddress.init(bytes:)), reader.isAtEnd
        else { return nil }
        self.address = SocketAddress(address: address, port: port)
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(UInt8(address.address.isVersion4 ? 4 : 6))
        writer.append(address.port)
        writer.append(address.address.bytes)
        return writer.bytes
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
        var reader = WireReader(bytes)
        guard let address: UInt64 = reader.read(), let length: UInt64 = reader.read(), let key: UInt32 = reader.read(), reader.isAtEnd,
            let byteCount = Int(exactly: length), !address.addingReportingOverflow(length).overflow
        else { return nil }
        self.init(address: address, byteCount: byteCount, key: RemoteKey(rawValue: key))
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(address)
        writer.append(UInt64(byteCount))
        writer.append(key.rawValue)
        return writer.bytes
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
