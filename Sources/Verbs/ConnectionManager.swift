internal import CVerbs
import Glibc

/// rdma_cm's stream of events: requests, answers and the ends of connections.
///
/// Threads: one at a time. Ends after all its listeners and connections, which hold it. Source: rdma_cm(7).
@safe
public final class ConnectionManager {
    let raw: UnsafeMutablePointer<rdma_event_channel>

    /// - Throws: `.noDevice` where the kernel's part (rdma_ucm) is missing, `.permission`.
    public init() throws(VerbsError) {
        try openLibraries()
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

/// Makes an identifier for reliable connections with our retry bounds and the token as its context.
func createIdentifier(_ manager: ConnectionManager, token: Int) throws(VerbsError) -> UnsafeMutablePointer<rdma_cm_id> {
    var raw: UnsafeMutablePointer<rdma_cm_id>?
    // SAFETY: the token is a number in a pointer's clothes and never followed. The caller owns what is returned.
    try minusOne("rdma_create_id", "creating an identifier") {
        unsafe rdma_create_id(manager.raw, &raw, UnsafeMutableRawPointer(bitPattern: token), RDMA_PS_TCP)
    }
    return unsafe raw!
}
