import FoundationEssentials
import NIOCore
import NIOPosix

/// The sockets that a coordinator listens on: one for each address that a name stands for.
struct Listening {
    let channels: [any Channel]

    /// Blocks.
    /// - Parameters:
    ///   - host: a literal, a name, or `::` for every address of the machine, those of IPv4 too, with or without IPv6 in the kernel.
    ///   - port: 0 lets the system choose one, the same for all addresses.
    ///   - bootstrap: called for each address: what is set on one stays set, and IPv4 knows no options of IPv6.
    /// - Throws: what NIO throws. An address that this machine lacks is passed over where the name stands for others, one whose port is taken is
    ///   not: ranks that call it would meet whoever holds it.
    static func open(host: String, port: Int, _ bootstrap: () -> ServerBootstrap) throws -> Listening {
        guard host != "::" else {
            do {
                return Listening(channels: [try bind(bootstrap, try SocketAddress(ipAddress: host, port: port))])
            } catch let error where isLacking(error) {
                return Listening(channels: [try bind(bootstrap, try SocketAddress(ipAddress: "0.0.0.0", port: port))])
            }
        }
        var channels: [any Channel] = []
        var lacking: (any Error)?
        do {
            for address in try addresses(of: host, port: port) {
                do {
                    var address = address
                    address.port = channels.first?.localAddress?.port ?? port
                    channels.append(try bind(bootstrap, address))
                } catch let error where isLacking(error) {
                    lacking = error
                }
            }
        } catch {
            for channel in channels { try? channel.close().wait() }
            throw error
        }
        if channels.isEmpty { throw lacking ?? UnknownName() }
        return Listening(channels: channels)
    }

    private struct UnknownName: Error, CustomStringConvertible {
        var description: String { "no address is known for this name" }
    }

    var port: Int { channels.first?.localAddress?.port ?? 0 }

    /// By which address this process itself reaches what listens, whatever others call it.
    var ownAddress: String {
        let address = channels.first?.localAddress?.ipAddress ?? "127.0.0.1"
        return address == "0.0.0.0" || address == "::" ? "127.0.0.1" : address
    }

    private static func bind(_ bootstrap: () -> ServerBootstrap, _ address: SocketAddress) throws -> any Channel {
        guard address.protocol == .inet6 else { return try bootstrap().bind(to: address).wait() }
        // Said aloud, for `net.ipv6.bindv6only` may say otherwise.
        let onlyIPv6 = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
        return try bootstrap().serverChannelOption(onlyIPv6, value: address.ipAddress == "::" ? 0 : 1).bind(to: address).wait()
    }

    /// Whether this machine has no such address, or not its family.
    private static func isLacking(_ error: any Error) -> Bool {
        let codes: [POSIXErrorCode] = [.EADDRNOTAVAIL, .EAFNOSUPPORT]
        return (error as? IOError).map { error in codes.contains { $0.rawValue == error.errnoCode } } ?? false
    }

    /// What the system resolves the name to, each address once.
    private static func addresses(of host: String, port: Int) throws -> [SocketAddress] {
        if let literal = try? SocketAddress(ipAddress: host, port: port) { return [literal] }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        // SAFETY: `hints` and `list` outlive the call; what it answers is freed below, after the last look at it.
        guard unsafe getaddrinfo(host, "\(port)", &hints, &list) == 0, let first = unsafe list else {
            throw UnknownName()
        }
        defer { unsafe freeaddrinfo(first) }
        var found: [SocketAddress] = []
        var next = unsafe Optional(first)
        while let entry = unsafe next {
            // SAFETY: an entry's address has the size and form of its family, and is copied.
            if let address = unsafe address(entry.pointee), !found.contains(address) { found.append(address) }
            unsafe next = entry.pointee.ai_next
        }
        return found
    }

    private static func address(_ entry: addrinfo) -> SocketAddress? {
        guard let address = unsafe entry.ai_addr else { return nil }
        // SAFETY: `ai_family` says which of the two the address is.
        return switch unsafe entry.ai_family {
        case AF_INET:
            unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { unsafe SocketAddress($0.pointee, host: "") }
        case AF_INET6:
            unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { unsafe SocketAddress($0.pointee, host: "") }
        default: nil
        }
    }
}
