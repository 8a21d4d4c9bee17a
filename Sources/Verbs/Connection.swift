internal import CVerbs
import Glibc

/// One end of a reliable connection on its way, in use or ended: an identifier of rdma_cm. The queue pair comes with `QueuePair`.
///
/// Threads: one at a time. The steps answer by events of the manager that carry the token. Source: rdma_cm(7).
@safe
public final class Connection {
    let raw: UnsafeMutablePointer<rdma_cm_id>
    private let manager: ConnectionManager

    /// A new active end; `resolve`, `resolveRoute`, `QueuePair`, `connect` follow, each after the event of the one before.
    public init(_ manager: ConnectionManager, token: Int) throws(VerbsError) {
        // SAFETY: the identifier is this object's until deinit.
        unsafe raw = try createIdentifier(manager, token: token)
        self.manager = manager
    }

    /// The passive end that came with a request; its token is its listener's until `adopt`.
    init(adopting raw: UnsafeMutablePointer<rdma_cm_id>, manager: ConnectionManager) {
        // SAFETY: rdma_cm makes a new identifier for every request and leaves it to whoever takes the event.
        unsafe self.raw = raw
        self.manager = manager
    }

    deinit {
        // SAFETY: the queue pair holds this object, so it is gone; every event is acknowledged where it is read.
        reportingFailure { () throws(VerbsError) in
            try minusOne("rdma_destroy_id", "of a connection") { unsafe rdma_destroy_id(raw) }
        }
    }

    /// Gives a passive end its own token.
    public func adopt(token: Int) {
        // SAFETY: the identifier is ours; the token is a number and never followed.
        unsafe raw.pointee.context = UnsafeMutableRawPointer(bitPattern: token)
    }

    /// Looks for the way to `destination`, leaving from `source`; without the source, traffic between two addresses of one machine would
    /// stay inside one device. Answers `.addressResolved` or `.addressFailed`.
    public func resolve(_ destination: SocketAddress, from source: InternetAddress, timeoutMilliseconds: Int) throws(VerbsError) {
        // SAFETY: both addresses are lent for the call, which copies them.
        unsafe try SocketAddress(address: source, port: 0).withSocketAddress { (from) throws(VerbsError) in
            unsafe try destination.withSocketAddress { (to) throws(VerbsError) in
                _ = try minusOne("rdma_resolve_addr", "from \(source) to \(destination)") {
                    unsafe rdma_resolve_addr(raw, from, to, Int32(clamping: timeoutMilliseconds))
                }
            }
        }
    }

    /// Answers `.routeResolved` or `.routeFailed`.
    public func resolveRoute(timeoutMilliseconds: Int) throws(VerbsError) {
        // SAFETY: the identifier is ours until deinit; the same holds for every use of `raw` below.
        try minusOne("rdma_resolve_route", "asking for a route") { unsafe rdma_resolve_route(raw, Int32(clamping: timeoutMilliseconds)) }
    }

    /// Whether the way leads through this device.
    public func runs(on device: DeviceContext) -> Bool { unsafe raw.pointee.verbs == device.raw }  // SAFETY: compared, not followed.

    /// Asks the other side. Answers `.established`, `.rejected`, `.unreachable` or `.connectFailed`.
    /// - Parameter privateData: at most 56 bytes.
    public func connect(privateData: [UInt8]) throws(VerbsError) {
        try applyAcknowledgementTimeout()
        // SAFETY: the parameters are lent for the call, which copies them.
        unsafe try withParameters(privateData) { (parameters) throws(VerbsError) in
            _ = try minusOne("rdma_connect", "sending the request") { unsafe rdma_connect(raw, parameters) }
        }
    }

    /// Agrees to a request, after its queue pair was created. Answers `.established`.
    /// - Parameter privateData: at most 196 bytes.
    public func accept(privateData: [UInt8]) throws(VerbsError) {
        try applyAcknowledgementTimeout()
        // SAFETY: as in `connect`.
        unsafe try withParameters(privateData) { (parameters) throws(VerbsError) in
            _ = try minusOne("rdma_accept", "accepting a request") { unsafe rdma_accept(raw, parameters) }
        }
    }

    /// Turns a request down, saying why.
    /// - Parameter privateData: at most 148 bytes.
    public func reject(privateData: [UInt8]) throws(VerbsError) {
        // SAFETY: the array is lent for the call, which copies it.
        try minusOne("rdma_reject", "rejecting a request") { unsafe rdma_reject(raw, privateData, UInt8(clamping: privateData.count)) }
    }

    /// Ends the connection and puts the queue pair into the error state, so that everything posted on it is flushed.
    /// Harmless on one that has ended already.
    public func disconnect() { _ = unsafe rdma_disconnect(raw) }  // SAFETY: the identifier is ours until deinit.

    /// Applies to this side only: it is not negotiated. The default of rdma_cm is the same on today's kernels, but not promised.
    private func applyAcknowledgementTimeout() throws(VerbsError) {
        var exponent = RetryBounds.acknowledgementTimeoutExponent
        // SAFETY: the local is read during the call only.
        try minusOne("rdma_set_option", "setting the acknowledgement timeout") {
            unsafe rdma_set_option(raw, Int32(RDMA_OPTION_ID), Int32(RDMA_OPTION_ID_ACK_TIMEOUT), &exponent, 1)
        }
    }

    private func withParameters(
        _ privateData: [UInt8], _ body: (UnsafeMutablePointer<rdma_conn_param>) throws(VerbsError) -> Void
    ) throws(VerbsError) {
        var parameters = unsafe rdma_conn_param()
        unsafe parameters.private_data_len = UInt8(clamping: privateData.count)
        // RDMA reads and atomics are not used, but some devices refuse a depth of 0.
        unsafe parameters.responder_resources = 1
        unsafe parameters.initiator_depth = 1
        unsafe parameters.retry_count = RetryBounds.retryCount
        unsafe parameters.rnr_retry_count = RetryBounds.receiverNotReadyRetryCount
        // SAFETY: the array's bytes and the local outlive the body, and the body's call copies them.
        unsafe try privateData.withUnsafeBufferPointer { (bytes) throws(VerbsError) in
            unsafe parameters.private_data = UnsafeRawPointer(bytes.baseAddress)
            unsafe try body(&parameters)
        }
    }
}
