internal import CVerbs

/// One end of a reliable connection on its way, in use or ended: an identifier of rdma_cm. The queue pair comes with `QueuePair`.
///
/// The pair is on a context of our own, not on librdmacm's, so the steps through its states are taken here: with the attributes that
/// rdma_cm gives, but for the path MTU, which is the smaller of both ends' and not the initiator's alone.
/// Threads: one at a time. The steps answer by events of the manager that carry the token. Source: rdma_cm(7), rdma_init_qp_attr of
/// librdmacm's rdma_cma.h, ibv_modify_qp(3).
@safe
public final class Connection {
    let raw: UnsafeMutablePointer<rdma_cm_id>
    private let manager: ConnectionManager
    /// Set and taken back by the `QueuePair`, which holds this object.
    var queuePair: UnsafeMutablePointer<ibv_qp>?
    /// In bytes: no packet of this connection carries more, whatever the initiator's port takes.
    public var largestPathMTU = 4096
    /// In bytes, once it is known.
    public private(set) var pathMTU: Int?

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
    public func runs(on device: DeviceContext) -> Bool {
        // SAFETY: the identifier is ours, and librdmacm keeps the contexts of its devices open.
        guard let verbs = unsafe raw.pointee.verbs else { return false }
        return unsafe deviceName(verbs.pointee.device) == device.name
    }

    /// Asks the other side, after the queue pair was created. Answers `.accepted`, `.rejected`, `.unreachable` or `.connectFailed`.
    /// - Parameter privateData: at most 56 bytes.
    public func connect(privateData: [UInt8]) throws(VerbsError) {
        try applyAcknowledgementTimeout()
        // SAFETY: the parameters are lent for the call, which copies them.
        unsafe try withParameters(privateData) { (parameters) throws(VerbsError) in
            _ = try minusOne("rdma_connect", "sending the request") { unsafe rdma_connect(raw, parameters) }
        }
    }

    /// Takes the acceptance: the pair can send and receive afterwards, and the other side hears `.established`.
    public func confirm() throws(VerbsError) {
        try makeReady()
        // SAFETY: the identifier is ours until deinit.
        try minusOne("rdma_establish", "confirming a connection") { unsafe rdma_establish(raw) }
    }

    /// Agrees to a request, after its queue pair was created. Answers `.established`.
    /// - Parameter privateData: at most 196 bytes.
    public func accept(privateData: [UInt8]) throws(VerbsError) {
        try applyAcknowledgementTimeout()
        try makeReady()
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
    public func disconnect() {
        // SAFETY: the pair, where there is one, is not destroyed yet: it takes itself back before; the identifier is ours until deinit.
        if let queuePair = unsafe queuePair {
            var attributes = ibv_qp_attr()
            attributes.qp_state = IBV_QPS_ERR
            _ = unsafe ibv_modify_qp(queuePair, &attributes, Int32(IBV_QP_STATE.rawValue))
        }
        _ = unsafe rdma_disconnect(raw)
    }

    /// Lets the queue pair take receives.
    func initialize() throws(VerbsError) { try step(to: IBV_QPS_INIT) }

    /// Takes the queue pair to where it receives and sends.
    private func makeReady() throws(VerbsError) {
        // Once more: now rdma_cm knows what the pair may be asked for.
        try step(to: IBV_QPS_INIT)
        try step(to: IBV_QPS_RTR)
        try step(to: IBV_QPS_RTS)
    }

    private func step(to state: ibv_qp_state) throws(VerbsError) {
        guard let queuePair = unsafe queuePair else { fatalError("Connection: a step without a queue pair") }
        var attributes = ibv_qp_attr()
        attributes.qp_state = state
        var mask: Int32 = 0
        // SAFETY: locals, written and read during the calls only; the pair is open as long as `queuePair` says so.
        try minusOne("rdma_init_qp_attr", "asking for the attributes of a queue pair") {
            unsafe rdma_init_qp_attr(raw, &attributes, &mask)
        }
        mask &= ~Self.kernelOnlyBits
        if mask & Int32(IBV_QP_PATH_MTU.rawValue) != 0 {
            attributes.path_mtu = Self.smaller(attributes.path_mtu, thanBytes: largestPathMTU)
            pathMTU = 128 << Int(attributes.path_mtu.rawValue)
        }
        try errnoValue(
            "ibv_modify_qp", "taking a queue pair to state \(state.rawValue)", unsafe ibv_modify_qp(queuePair, &attributes, mask))
    }

    /// What old kernels say for their own use on RoCE; librdmacm leaves the same bits out.
    private static let kernelOnlyBits: Int32 = 0xE0_0000

    /// Codes 1 to 5 stand for 256 to 4096 bytes.
    private static func smaller(_ code: ibv_mtu, thanBytes limit: Int) -> ibv_mtu {
        var code = code
        while code.rawValue > 1, 128 << Int(code.rawValue) > limit { code = ibv_mtu(rawValue: code.rawValue - 1) }
        return code
    }

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
        // Writes only: with depths of 0 the device refuses a peer's reads and atomics.
        unsafe parameters.responder_resources = 0
        unsafe parameters.initiator_depth = 0
        unsafe parameters.qp_num = queuePair?.pointee.qp_num ?? 0
        unsafe parameters.retry_count = RetryBounds.retryCount
        unsafe parameters.rnr_retry_count = RetryBounds.receiverNotReadyRetryCount
        // SAFETY: the array's bytes and the local outlive the body, and the body's call copies them.
        unsafe try privateData.withUnsafeBufferPointer { (bytes) throws(VerbsError) in
            unsafe parameters.private_data = UnsafeRawPointer(bytes.baseAddress)
            unsafe try body(&parameters)
        }
    }
}
