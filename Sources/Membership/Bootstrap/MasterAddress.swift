import NIOCore

/// `MASTER_ADDR` as it is meant: a literal of IPv4 or IPv6, or a name.
struct MasterAddress: Equatable, Sendable {
    enum Kind: Sendable { case ipv4, ipv6, name }

    /// Without the brackets in which URLs put an IPv6 address; an IPv4 address in IPv6's clothes is itself.
    let text: String
    let kind: Kind

    /// - Returns: nil for what is neither: `300.1.1.1`, `127.1`, `[fd00:::1]`, `node1:29500`. As names these would be looked up until the join
    ///   deadline.
    init?(_ written: String) {
        let isBracketed = written.hasPrefix("[") && written.hasSuffix("]")
        let bare = isBracketed ? String(written.dropFirst().dropLast()) : written
        if let literal = Self.literal(bare) {
            guard !isBracketed || bare.contains(":") else { return nil }
            (text, kind) = literal
            return
        }
        let labels = bare.split(separator: ".", omittingEmptySubsequences: false)
        // No name ends in a number, so that addresses and names cannot be taken for each other.
        guard !isBracketed, bare.unicodeScalars.allSatisfy(Self.mayBeInName), let last = labels.last(where: { !$0.isEmpty }),
            !last.allSatisfy(\.isNumber)
        else { return nil }
        (text, kind) = (bare, .name)
    }

    private static func literal(_ text: String) -> (String, Kind)? {
        // The name of an interface says nothing about the form: `fe80::1%eth0`.
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = try? SocketAddress(ipAddress: String(first), port: 0) else { return nil }
        switch address {
        case .v4: return parts.count == 1 ? (text, .ipv4) : nil
        case .v6:
            let mapped = "::ffff:"
            if let inner = address.ipAddress?.lowercased(), inner.hasPrefix(mapped), inner.contains(".") {
                return parts.count == 1 ? (String(inner.dropFirst(mapped.count)), .ipv4) : nil
            }
            return parts.count == 1 || parts[1].isEmpty == false ? (text, .ipv6) : nil
        case .unixDomainSocket: return nil
        }
    }

    private static func mayBeInName(_ scalar: Unicode.Scalar) -> Bool {
        !scalar.isASCII || scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-_.".unicodeScalars.contains(scalar)
    }

    /// Whether it leads to this machine on every machine, so that no other can be meant.
    ///
    /// Other names do not count, whatever they resolve to here: Debian gives a machine's own name the address 127.0.1.1.
    var isLoopback: Bool {
        switch kind {
        case .ipv4: return text.hasPrefix("127.")
        case .ipv6: return (try? SocketAddress(ipAddress: text, port: 0))?.ipAddress == "::1"
        case .name:
            let name = text.lowercased()
            let bare = name.hasSuffix(".") ? String(name.dropLast()) : name
            return Self.loopbackNames.contains(bare) || bare.hasSuffix(".localhost")
        }
    }

    /// What Debian's and Fedora's hosts files call the loopback addresses.
    private static let loopbackNames: Set<String> = [
        "localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback",
    ]
}
