import Glibc

/// An IPv4 or IPv6 address without scope; link-local ones are not representable across machines and never offered.
public struct InternetAddress: Hashable, Sendable, CustomStringConvertible {
    /// In network order: 4 bytes or 16.
    public let bytes: [UInt8]

    /// - Returns: nil unless there are 4 or 16 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// - Returns: nil unless it is an address in figures: `10.10.0.1`, `fd00::1`.
    public init?(text: String) {
        for (family, length) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: length)
            // SAFETY: the array is a local as long as the family's addresses.
            if unsafe inet_pton(family, text, &bytes) == 1 {
                self.bytes = bytes
                return
            }
        }
        return nil
    }

    public var isVersion4: Bool { bytes.count == 4 }

    public var description: String {
        if isVersion4 { return bytes.map(String.init).joined(separator: ".") }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let length = socklen_t(text.count)
        // SAFETY: both arrays are locals that outlive the call, the text's length is passed along.
        _ = unsafe inet_ntop(AF_INET6, bytes, &text, length)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// The addresses of a network interface that other machines can use.
func addresses(ofInterface name: String) -> [InternetAddress] {
    interfaceAddresses().filter { $0.interface == name && !isLinkLocal($0.subnet.address.bytes) }.map(\.subnet.address)
}

/// Of an address of this machine: which others its interface reaches without a router. Nil where no interface has the address.
public func subnet(of address: InternetAddress) -> Subnet? { interfaceAddresses().first { $0.subnet.address == address }?.subnet }

/// Of every interface.
private func interfaceAddresses() -> [(interface: String, subnet: Subnet)] {
    var list: UnsafeMutablePointer<ifaddrs>?
    // SAFETY: the list belongs to us from here to freeifaddrs at the end; nothing of it is kept.
    guard unsafe getifaddrs(&list) == 0 else { return [] }
    defer { unsafe freeifaddrs(list) }
    var found: [(interface: String, subnet: Subnet)] = []
    var cursor = unsafe list
    while let entry = unsafe cursor {
        unsafe cursor = entry.pointee.ifa_next
        guard let bytes = unsafe addressBytes(entry.pointee.ifa_addr), let address = InternetAddress(bytes: bytes) else { continue }
        let mask = unsafe addressBytes(entry.pointee.ifa_netmask) ?? []
        let length = mask.isEmpty ? 8 * bytes.count : mask.reduce(0) { $0 + $1.nonzeroBitCount }
        found.append((unsafe String(cString: entry.pointee.ifa_name), Subnet(address: address, prefixLength: length)))
    }
    return found
}

/// 4 or 16, nil for another family.
private func addressBytes(_ address: UnsafeMutablePointer<sockaddr>?) -> [UInt8]? {
    // SAFETY: the caller's structure is as long as its family says.
    guard let address = unsafe address else { return nil }
    switch Int32(unsafe address.pointee.sa_family) {
    case AF_INET:
        let internet = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
        return unsafe withUnsafeBytes(of: internet.sin_addr) { unsafe Array($0) }
    case AF_INET6:
        let internet = unsafe UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
        return unsafe withUnsafeBytes(of: internet.sin6_addr) { unsafe Array($0) }
    default: return nil
    }
}

/// fe80::/10, RFC 4291.
func isLinkLocal(_ bytes: [UInt8]) -> Bool { bytes.count == 16 && bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80 }
