internal import CVerbs

/// A place where others can connect to: one address of one device, and a port that the system chose.
///
/// Threads: one at a time.
@safe
public final class Listener {
    private let raw: UnsafeMutablePointer<rdma_cm_id>
    private let manager: ConnectionManager
    public let address: SocketAddress
    /// The device's port that has the address.
    public let portNumber: Int

    /// - Parameters:
    ///   - token: reappears in the events of requests.
    ///   - backlog: requests that may wait to be looked at.
    /// - Throws: `.noRoute` where the address belongs to no device.
    public init(_ manager: ConnectionManager, on address: InternetAddress, token: Int, backlog: Int) throws(VerbsError) {
        // SAFETY: the identifier is this object's until deinit, or undone below; it is used on a manager that this object holds.
        let raw = unsafe try createIdentifier(manager, token: token)
        do throws(VerbsError) {
            unsafe try SocketAddress(address: address, port: 0).withSocketAddress { (name) throws(VerbsError) in
                _ = try minusOne("rdma_bind_addr", "binding to \(address)") { unsafe rdma_bind_addr(raw, name) }
            }
            guard unsafe raw.pointee.verbs != nil else {
                throw VerbsError(
                    .noDevice, call: "rdma_bind_addr", errno: 0, detail: "address \(address) belongs to no RDMA device",
                    remedy: VerbsError.remedy(for: .noDevice))
            }
            try minusOne("rdma_listen", "listening on \(address)") { unsafe rdma_listen(raw, Int32(clamping: backlog)) }
        } catch {
            _ = unsafe rdma_destroy_id(raw)
            throw error
        }
        unsafe self.raw = raw
        self.manager = manager
        self.portNumber = Int(unsafe raw.pointee.port_num)
        self.address = SocketAddress(address: address, port: UInt16(bigEndian: unsafe rdma_get_src_port(raw)))
    }

    deinit {
        // SAFETY: created in init, destroyed once.
        reportingFailure { () throws(VerbsError) in
            try minusOne("rdma_destroy_id", "of the listener on \(address)") { unsafe rdma_destroy_id(raw) }
        }
    }

    /// The device of the address.
    public var deviceName: String {
        // SAFETY: init made sure that there is one; the name is copied.
        unsafe Verbs.deviceName(raw.pointee.verbs.pointee.device)
    }
}
