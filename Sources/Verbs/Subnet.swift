/// An address and how many of its first bits a neighbour's begins with as well: `10.10.0.1/24`.
public struct Subnet: Hashable, Sendable, CustomStringConvertible {
    public var address: InternetAddress
    public var prefixLength: Int

    public init(address: InternetAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }

    /// - Returns: nil unless it is an address, which stands for itself, or an address and a prefix length: `10.10.0.0/24`.
    public init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = InternetAddress(text: String(parts[0])) else { return nil }
        let most = 8 * address.bytes.count
        guard let length = parts.count == 2 ? Int(parts[1]) : most, 0...most ~= length else { return nil }
        self.init(address: address, prefixLength: length)
    }

    public func contains(_ other: InternetAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        for index in 0..<prefixLength where (other.bytes[index / 8] ^ address.bytes[index / 8]) >> (7 - index % 8) & 1 == 1 { return false }
        return true
    }

    public var description: String { prefixLength == 8 * address.bytes.count ? "\(address)" : "\(address)/\(prefixLength)" }
}
