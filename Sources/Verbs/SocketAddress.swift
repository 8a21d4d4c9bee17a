import Glibc

/// An address and a port of rdma_cm's TCP port space.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    public var address: InternetAddress
    public var port: UInt16

    public init(address: InternetAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.isVersion4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    /// Lends the address in the form of the sockets API for the time of the call.
    func withSocketAddress<R>(_ body: (UnsafeMutablePointer<sockaddr>) throws(VerbsError) -> R) throws(VerbsError) -> R {
        var storage = sockaddr_storage()
        // SAFETY: sockaddr_storage is large and aligned enough for every family (RFC 3493); it is a local that outlives the body.
        return unsafe try withUnsafeMutablePointer(to: &storage) { (storage) throws(VerbsError) -> R in
            let raw = UnsafeMutableRawPointer(storage)
            if address.isVersion4 {
                let internet = unsafe raw.assumingMemoryBound(to: sockaddr_in.self)
                unsafe internet.pointee.sin_family = sa_family_t(AF_INET)
                unsafe internet.pointee.sin_port = port.bigEndian
                unsafe withUnsafeMutableBytes(of: &internet.pointee.sin_addr) { unsafe $0.copyBytes(from: address.bytes) }
            } else {
                let internet = unsafe raw.assumingMemoryBound(to: sockaddr_in6.self)
                unsafe internet.pointee.sin6_family = sa_family_t(AF_INET6)
                unsafe internet.pointee.sin6_port = port.bigEndian
                unsafe withUnsafeMutableBytes(of: &internet.pointee.sin6_addr) { unsafe $0.copyBytes(from: address.bytes) }
            }
            return unsafe try body(raw.assumingMemoryBound(to: sockaddr.self))
        }
    }
}
