internal import NIOCore

/// Where metrics are served: `:9400` on loopback, `127.0.0.1:0` on a port of the system's choice, `0.0.0.0:9400` and `[::]:9400` for everybody.
public struct MetricsAddress: Sendable, Equatable {
    /// A literal of IPv4 or IPv6, without brackets.
    public var host: String
    /// 0 for one of the system's choice.
    public var port: Int

    /// - Returns: nil for what is no such text, names of machines included: which address of this machine is meant must not hang on a name server.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let port = Int(digits), port <= Int(UInt16.max) else {
            return nil
        }
        var host = text[..<colon]
        if host.first == "[" && host.last == "]" {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        // Beyond this machine only where it is said: who can read a run's figures knows what it trains.
        self.host = host.isEmpty || host == "localhost" ? "127.0.0.1" : String(host)
        self.port = port
        guard (try? SocketAddress(ipAddress: self.host, port: port)) != nil else { return nil }
    }

    /// The ranks of a machine take ports in a row.
    /// - Returns: nil where there is no such port.
    public func ofRank(localRank: Int) -> MetricsAddress? {
        var address = self
        if port > 0 { address.port += localRank }
        return address.port <= Int(UInt16.max) ? address : nil
    }
}

extension MetricsAddress: CustomStringConvertible {
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
