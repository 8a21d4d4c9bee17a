/// One RDMA device as `verbena doctor` shows it.
public struct DeviceDescription: Sendable {
    public var name: String
    public var limits: DeviceLimits
    public var ports: [PortDescription]

    /// The addresses on which this device can be reached through rdma_cm, of ports that carry data; IPv4 first.
    public var usableAddresses: [InternetAddress] {
        let all = ports.filter { $0.state == .active }.flatMap(\.addresses)
        return all.filter(\.isVersion4) + all.filter { !$0.isVersion4 }
    }

    /// Those of the port that has the first of them which lies in `subnet`, or the first of all; and the port.
    /// - Returns: nil where there is none.
    public func usablePort(in subnet: Subnet?) -> (port: PortDescription, addresses: [InternetAddress])? {
        let wanted = usableAddresses.filter { subnet?.contains($0) ?? true }
        guard let first = wanted.first, let port = ports.first(where: { $0.state == .active && $0.addresses.contains(first) }) else {
            return nil
        }
        return (port, wanted.filter(port.addresses.contains))
    }
}

/// A port of a device.
public struct PortDescription: Sendable {
    public enum State: String, Sendable { case down, initializing, armed, active, deferred, unknown }
    public enum LinkLayer: String, Sendable { case ethernet, infiniBand, unspecified }

    /// Counted from 1.
    public var number: Int
    public var state: State
    /// As the standard names it: `LinkUp`, `Polling`, `Disabled`.
    public var physicalState: String
    public var linkLayer: LinkLayer
    /// In bytes: how much one packet carries.
    public var activeMTU: Int
    /// What the port says that a message may be long, in bytes.
    public var messageByteLimit = 1 << 30
    public var gids: [GIDDescription]
    /// The interfaces of the operating system that belong to the port.
    public var interfaces: [String]

    /// Of RoCE v2 identifiers; where there are none (InfiniBand, iWARP), of the interfaces. Whatever the port's state.
    public var addresses: [InternetAddress] {
        let identified = gids.filter { $0.kind == .roceVersion2 }.compactMap(\.address)
        if !identified.isEmpty { return identified }
        return linkLayer == .ethernet && gids.contains { $0.kind != .infiniBand } ? [] : interfaces.flatMap(Verbs.addresses(ofInterface:))
    }
}

/// An entry of a port's table of global identifiers.
public struct GIDDescription: Sendable {
    public enum Kind: String, Sendable {
        case infiniBand = "IB"
        case roceVersion1 = "RoCE v1"
        case roceVersion2 = "RoCE v2"
        case other
    }

    public var index: Int
    public var kind: Kind
    /// 16 bytes in network order.
    public var bytes: [UInt8]
    /// The interface of the operating system, empty where the port has none.
    public var interface: String

    /// What the identifier says as an IP address; nil for a link-local one.
    public var address: InternetAddress? {
        if isLinkLocal(bytes) { return nil }
        let mapped = bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]  // ::ffff:a.b.c.d
        return InternetAddress(bytes: mapped ? Array(bytes.suffix(4)) : bytes)
    }
}
