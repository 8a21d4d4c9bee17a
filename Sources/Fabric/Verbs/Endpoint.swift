import Fabric
import Verbs

/// Where a rank listens. On the wire, of each device: MTU 2, number of addresses 1, then of each family 1 (4 or 6), prefix length 1, port 2,
/// address 4 or 16.
struct Endpoint: Equatable {
    /// One or more.
    var devices: [RouteEnd]
}

extension Endpoint {
    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        self.init(devices: [])
        repeat {
            guard let mtu: UInt16 = reader.read(), mtu >= RouteEnd.minMTU, let count: UInt8 = reader.read(), count > 0 else { return nil }
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
