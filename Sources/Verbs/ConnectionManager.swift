internal import CVerbs
import Glibc

/// The bounds of everything that the device or rdma_cm repeats on our behalf.
public enum RetryBounds {
    /// Resends after the first. 7 would be allowed, and means forever on soft-RoCE: a dead machine would never be noticed.
    public static let retryCount: UInt8 = 6
    /// Resends to a receiver that has no receive posted; 7 means forever everywhere.
    public static let receiverNotReadyRetryCount: UInt8 = 6
    /// The wait for an acknowledgement is 4.096 us x 2^17 = 537 ms (InfiniBand Architecture Specification, 9.7.6.1.3).
    public static let acknowledgementTimeoutExponent: UInt8 = 17
    /// rdma_cm leaves the receiver-not-ready timer at code 0.
    public static let receiverNotReadyTimerMilliseconds: UInt64 = 655

    /// How long a peer can be silent before its writes fail: 537 ms x (6 + 1) = 3.76 s, and up to four times that on devices that
    /// use the standard's freedom.
    public static var unreachableMilliseconds: UInt64 {
        (4096 << UInt64(acknowledgementTimeoutExponent)) * (UInt64(retryCount) + 1) / 1_000_000
    }

    /// How long a peer can be without receives: 655 ms x 6 = 3.93 s.
    public static var receiverNotReadyMilliseconds: UInt64 {
        receiverNotReadyTimerMilliseconds * UInt64(receiverNotReadyRetryCount)
    }
}

/// rdma_cm's stream of events: requests, answers and the ends of connections.
///
/// Threads: one at a time. Ends after all its listeners and connections, which hold it. Source: rdma_cm(7).
@safe
public final class ConnectionManager {
    let raw: UnsafeMutablePointer<rdma_event_channel>

    /// - Throws: `.noDevice` where the kernel's part (rdma_ucm) is missing, `.permission`.
    public init() throws(VerbsError) {
        // SAFETY: the channel is this object's until deinit, or undone below.
        let raw = unsafe try notNull("rdma_create_event_channel", "opening the connection manager") { unsafe rdma_create_event_channel() }
        do throws(VerbsError) {
            try makeNonBlocking(unsafe raw.pointee.fd)
        } catch {
            unsafe rdma_destroy_event_channel(raw)
            throw error
        }
        unsafe self.raw = raw
    }

    deinit { unsafe rdma_destroy_event_channel(raw) }  // SAFETY: identifiers hold this object, so none is left.

    /// Readable when `nextEvent` has something.
    public var descriptor: Int32 { unsafe raw.pointee.fd }  // SAFETY: the channel is open as long as this object lives.

    /// The next event, or nil where there is none at present. Never blocks. Private data is copied and the event acknowledged here.
    /// - Throws: what rdma_cm says; the manager is of no more use then.
    public func nextEvent() throws(VerbsError) -> ConnectionEvent? {
        // rdma_get_cm_event allocates before it looks, and there is seldom anything.
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // SAFETY: the pointer to the local is used during the call only.
        guard unsafe poll(&waiting, 1, 0) != 0 else { return nil }
        var event: UnsafeMutablePointer<rdma_cm_event>?
        // SAFETY: the event is ours from rdma_get_cm_event to rdma_ack_cm_event; nothing in it is kept after that.
        if unsafe rdma_get_cm_event(raw, &event) != 0 {
            if errno == EAGAIN || errno == EINTR { return nil }
            throw VerbsError(call: "rdma_get_cm_event", errno: errno, detail: "reading the connection manager")
        }
        guard let event = unsafe event else { return nil }
        let copy = unsafe ConnectionEvent(event, manager: self)
        // The identifier of a request is destroyed with its Connection, and that waits for this acknowledgement: so it comes first.
        _ = unsafe rdma_ack_cm_event(event)
        return copy
    }
}

/// Why a request was rejected, as far as it is known in which case which is given.
public enum RejectReason: Equatable, Sendable {
    /// The other side has no room for one more.
    case noResources
    /// Nobody listens there.
    case nobodyListens
    /// The other side still has an older connection of the same number.
    case stale
    /// Rejected by the other side's program, or by its kernel, when it fails to accept or ends: then without private data.
    case byConsumer
    case other(Int)

    public init(status: Int) {
        switch status {
        case 1, 3: self = .noResources
        case 8: self = .nobodyListens
        case 10: self = .stale
        case 28: self = .byConsumer
        default: self = .other(status)
        }
    }
}

/// What rdma_cm had to say, copied out of the library.
public struct ConnectionEvent {
    public enum Kind: Sendable, Equatable {
        case addressResolved, routeResolved
        /// Somebody wants to connect; `connection` is theirs to accept or reject.
        case request
        /// The other side agrees (`privateData` is its answer) and waits for `Connection.confirm`.
        case accepted
        case established
        /// `status` is a reason of the InfiniBand Architecture Specification (12.6.7.2): see `RejectReason`.
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

/// Makes an identifier for reliable connections with our retry bounds and the token as its context.
func createIdentifier(_ manager: ConnectionManager, token: Int) throws(VerbsError) -> UnsafeMutablePointer<rdma_cm_id> {
    var raw: UnsafeMutablePointer<rdma_cm_id>?
    // SAFETY: the token is a number in a pointer's clothes and never followed. The caller owns what is returned.
    try minusOne("rdma_create_id", "creating an identifier") {
        unsafe rdma_create_id(manager.raw, &raw, UnsafeMutableRawPointer(bitPattern: token), RDMA_PS_TCP)
    }
    return unsafe raw!
}
