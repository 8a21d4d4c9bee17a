import Fabric
import Verbs

/// Where a rank listens, on each of its devices. On the wire, one after the other: family 1 (4 or 6), port 2, address 4 or 16.
struct Endpoint: Equatable {
    /// One or more.
    var addresses: [SocketAddress]

    init(addresses: [SocketAddress]) { self.addresses = addresses }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        addresses = []
        repeat {
            guard let family: UInt8 = reader.read(), family == 4 || family == 6, let port: UInt16 = reader.read(),
                let address = reader.read(count: family == 4 ? 4 : 16).flatMap(InternetAddress.init(bytes:))
            else { return nil }
            addresses.append(SocketAddress(address: address, port: port))
        } while !reader.isAtEnd
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        for address in addresses {
            writer.append(UInt8(address.address.isVersion4 ? 4 : 6))
            writer.append(address.port)
            writer.append(address.address.bytes)
        }
        return writer.bytes
    }
}

/// What a peer must know to write into a region. On the wire: address 8, length 8, then of each device the key 4.
struct RegionDescriptor: Equatable {
    var address: UInt64
    var byteCount: Int
    /// One for each device of its owner.
    var keys: [RemoteKey]

    init(address: UInt64, byteCount: Int, keys: [RemoteKey]) {
        self.address = address
        self.byteCount = byteCount
        self.keys = keys
    }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let address: UInt64 = reader.read(), let length: UInt64 = reader.read(), let byteCount = Int(exactly: length),
            !address.addingReportingOverflow(length).overflow
        else { return nil }
        var keys: [RemoteKey] = []
        repeat {
            guard let key: UInt32 = reader.read() else { return nil }
            keys.append(RemoteKey(rawValue: key))
        } while !reader.isAtEnd
        self.init(address: address, byteCount: byteCount, keys: keys)
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(address)
        writer.append(UInt64(byteCount))
        for key in keys { writer.append(key.rawValue) }
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
