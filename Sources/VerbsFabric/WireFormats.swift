import Fabric
import Verbs

/// One device of a rank as its peers see it.
struct RouteEnd: Equatable {
    /// What every port of RDMA over Ethernet carries.
    static let leastMTU = 256

    /// A place where it listens, and how many bits of the address it has in common with those that need no router.
    struct Place: Equatable {
        var address: SocketAddress
        var prefixLength: Int

        var subnet: Subnet { Subnet(address: address.address, prefixLength: prefixLength) }
    }

    /// In bytes: how much one packet carries.
    var mtu: Int
    /// One or more, the preferred first.
    var places: [Place]

    /// The ways to a peer's device, the best first: those without a router, then the others between addresses of one family; each in our
    /// order, then in theirs. Empty where the two have no family in common.
    func routes(to other: RouteEnd) -> [Route] {
        let all = places.flatMap { from in
            other.places.filter { $0.address.address.isVersion4 == from.address.address.isVersion4 }
                .map { (isNear: from.subnet.contains($0.address.address), Route(source: from.address.address, destination: $0.address)) }
        }
        return all.filter(\.isNear).map(\.1) + all.filter { !$0.isNear }.map(\.1)
    }
}

/// A way from an address of ours to where a peer listens.
struct Route: Equatable, CustomStringConvertible {
    var source: InternetAddress
    var destination: SocketAddress

    var description: String { "\(source) to \(destination)" }
}

/// Where a rank listens. On the wire, of each device: MTU 2, number of addresses 1, then of each family 1 (4 or 6), prefix length 1, port 2,
/// address 4 or 16.
struct Endpoint: Equatable {
    /// One or more.
    var devices: [RouteEnd]

    init(devices: [RouteEnd]) { self.devices = devices }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        devices = []
        repeat {
            guard let mtu: UInt16 = reader.read(), mtu >= RouteEnd.leastMTU, let count: UInt8 = reader.read(), count > 0 else { return nil }
            var places: [RouteEnd.Place] = []
            for _ in 0..<count {
                guard let place = Self.place(&reader) else { return nil }
                places.append(place)
            }
            devices.append(RouteEnd(mtu: Int(mtu), places: places))
        } while !reader.isAtEnd
    }

    private static func place(_ reader: inout WireReader) -> RouteEnd.Place? {
        guard let family: UInt8 = reader.read(), family == 4 || family == 6, let length: UInt8 = reader.read(),
            let port: UInt16 = reader.read(), let address = reader.read(count: family == 4 ? 4 : 16).flatMap(InternetAddress.init(bytes:)),
            length <= 8 * address.bytes.count
        else { return nil }
        return RouteEnd.Place(address: SocketAddress(address: address, port: port), prefixLength: Int(length))
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        for device in devices {
            let places = device.places.prefix(Int(UInt8.max))
            writer.append(UInt16(clamping: device.mtu))
            writer.append(UInt8(places.count))
            for place in places {
                writer.append(UInt8(place.address.address.isVersion4 ? 4 : 6))
                writer.append(UInt8(clamping: place.prefixLength))
                writer.append(place.address.port)
                writer.append(place.address.address.bytes)
            }
        }
        return writer.bytes
    }
}

/// What a peer must know to write into a region. On the wire: address 8, length 8, exponent of the pieces' stride 1, then of each piece, and
/// in it of each device, the key 4.
struct RegionDescriptor: Equatable {
    var address: UInt64
    var byteCount: Int
    /// Pieces begin every 2^`strideExponent` bytes; see `RegistrationPieces`.
    var strideExponent: Int
    /// Of piece p the key for device d is at p * devices + d.
    var keys: [RemoteKey]

    init(address: UInt64, byteCount: Int, strideExponent: Int = RegistrationPieces.wholeExponent, keys: [RemoteKey]) {
        self.address = address
        self.byteCount = byteCount
        self.strideExponent = strideExponent
        self.keys = keys
    }

    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let address: UInt64 = reader.read(), let length: UInt64 = reader.read(), let byteCount = Int(exactly: length),
            !address.addingReportingOverflow(length).overflow, let exponent: UInt8 = reader.read(),
            exponent <= RegistrationPieces.wholeExponent
        else { return nil }
        var keys: [RemoteKey] = []
        repeat {
            guard let key: UInt32 = reader.read() else { return nil }
            keys.append(RemoteKey(rawValue: key))
        } while !reader.isAtEnd
        self.init(address: address, byteCount: byteCount, strideExponent: Int(exponent), keys: keys)
    }

    /// Whether there is a key for every piece and device.
    func isComplete(devices: Int) -> Bool {
        let (keys, pieces) = (keys.count, RegistrationPieces.count(byteCount: byteCount, strideExponent: strideExponent))
        return keys % devices == 0 && keys / devices == pieces
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(address)
        writer.append(UInt64(byteCount))
        writer.append(UInt8(strideExponent))
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
