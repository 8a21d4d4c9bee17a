internal import CVerbs
import Glibc

/// What rdma_cm had to say, copied out of the library.
public struct ConnectionEvent {
    public enum Kind: Sendable, Equatable {
        case addressResolved, routeResolved
        /// Somebody wants to connect; `connection` is theirs to accept or reject.
        case request
        /// The other side agrees (`privateData` is its answer) and waits for `Connection.confirm`.
        case accepted
        case established
        /// `status` is a reason of the InfiniBand Architecture Specification (12.6.7.2).
        case rejected
        /// Neither answer nor rejection: `status` is an errno value.
        case addressFailed, routeFailed, unreachable, connectFailed
        case disconnected
        case deviceRemoved
        /// Of no consequence: the address changed, the queue pair's number may be used again.
        case other
    }

    public var kind: Kind
    /// What was given to the connection or listener whose event this is.
    public var token: Int
    public var status: Int
    /// Nobody said no; there was no answer in time.
    public var hasTimedOut: Bool { status == -Int(ETIMEDOUT) }
    /// Zero-padded by the transport to its own fixed length.
    public var privateData: [UInt8]
    /// For `.request` only. Dropping it rejects nothing; it lets the other side time out.
    public var connection: Connection?
    /// rdma_cm's name of the event.
    public var name: String

    /// - Parameter event: current; the caller acknowledges it afterwards.
    init(_ event: UnsafeMutablePointer<rdma_cm_event>, manager: ConnectionManager) {
        let type = unsafe event.pointee.event
        // SAFETY: the caller keeps the event and the identifiers in it; private data has the length that the library says.
        let identifier = unsafe event.pointee.id!
        kind = Self.kind(of: type)
        token = unsafe Int(bitPattern: identifier.pointee.context)
        status = Int(unsafe event.pointee.status)
        name = unsafe String(cString: rdma_event_str(type))
        privateData = []
        if kind == .request || kind == .accepted || kind == .rejected {
            let data = unsafe event.pointee.param.conn
            if let bytes = unsafe data.private_data {
                privateData = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: Int(data.private_data_len)))
            }
        }
        connection = kind == .request ? unsafe Connection(adopting: identifier, manager: manager) : nil
    }

    private static func kind(of type: rdma_cm_event_type) -> Kind {
        switch type {
        case RDMA_CM_EVENT_ADDR_RESOLVED: .addressResolved
        case RDMA_CM_EVENT_ROUTE_RESOLVED: .routeResolved
        case RDMA_CM_EVENT_CONNECT_REQUEST: .request
        case RDMA_CM_EVENT_CONNECT_RESPONSE: .accepted
        case RDMA_CM_EVENT_ESTABLISHED: .established
        case RDMA_CM_EVENT_REJECTED: .rejected
        case RDMA_CM_EVENT_ADDR_ERROR: .addressFailed
        case RDMA_CM_EVENT_ROUTE_ERROR: .routeFailed
        case RDMA_CM_EVENT_UNREACHABLE: .unreachable
        case RDMA_CM_EVENT_CONNECT_ERROR: .connectFailed
        case RDMA_CM_EVENT_DISCONNECTED: .disconnected
        case RDMA_CM_EVENT_DEVICE_REMOVAL: .deviceRemoved
        default: .other
        }
    }
}
