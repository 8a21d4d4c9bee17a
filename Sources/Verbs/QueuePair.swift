internal import CVerbs

/// How many work requests of each kind may be posted and not yet be completed.
public struct QueueDepths: Sendable, Equatable {
    public var sends: Int
    public var receives: Int

    public init(sends: Int, receives: Int) {
        self.sends = sends
        self.receives = receives
    }
}

/// A reliable connected queue pair: one ordered channel to one peer.
///
/// librdmacm takes it through its states as the connection goes on. Every request is signalled. Posting copies nothing and never
/// blocks; once the pair is in the error state posting still succeeds, and the failure is the completion's.
/// Threads: one at a time. Source: ibv_post_send(3), ibv_post_recv(3), rdma_create_qp(3).
@safe
public final class QueuePair {
    private var raw: UnsafeMutablePointer<ibv_qp>?
    public let connection: Connection
    private let domain: ProtectionDomain
    private let completions: CompletionQueue

    public enum State: String, Sendable { case reset, initialized, readyToReceive, readyToSend, drained, error, unknown }

    /// - Parameter connection: resolved, or that of a request; neither connected nor accepted yet.
    /// - Throws: `.resource` where the device takes no such depths.
    public init(
        on connection: Connection, domain: ProtectionDomain, completions: CompletionQueue, depths: QueueDepths
    ) throws(VerbsError) {
        var attributes = unsafe ibv_qp_init_attr()
        // SAFETY: domain, queue and connection are held by this object until after the pair is destroyed.
        unsafe attributes.send_cq = completions.raw
        unsafe attributes.recv_cq = completions.raw
        unsafe attributes.qp_type = IBV_QPT_RC
        unsafe attributes.sq_sig_all = 1
        unsafe attributes.cap.max_send_wr = UInt32(clamping: depths.sends)
        unsafe attributes.cap.max_recv_wr = UInt32(clamping: depths.receives)
        unsafe attributes.cap.max_send_sge = 1
        unsafe attributes.cap.max_recv_sge = 1
        try minusOne("rdma_create_qp", "for \(depths.sends) sends and \(depths.receives) receives on \(domain.device.name)") {
            unsafe rdma_create_qp(connection.raw, domain.raw, &attributes)
        }
        unsafe raw = connection.raw.pointee.qp
        self.connection = connection
        self.domain = domain
        self.completions = completions
    }

    /// Ends the pair: afterwards the device touches no memory on its behalf. Completions not yet fetched are gone.
    public func close() {
        guard unsafe raw != nil else { return }
        unsafe raw = nil
        unsafe rdma_destroy_qp(connection.raw)  // SAFETY: created in init, destroyed once.
    }

    deinit { close() }

    private var open: UnsafeMutablePointer<ibv_qp> {
        // SAFETY: nil after `close` only; what is returned is used within the calling method.
        guard let raw = unsafe raw else { fatalError("QueuePair used after close") }
        return unsafe raw
    }

    /// Writes `byteCount` bytes into the peer's memory and tells it by `immediate` (host order). With 0 bytes only the immediate travels.
    ///
    /// The source must stay as it is until the completion. Bounds are the caller's; a device that finds them broken ends the connection.
    /// - Returns: 0, or an errno value: `ENOMEM` where the queue is full. A number, for the data path has no time for more.
    public func postWrite(
        identifier: UInt64, source: UnsafeRawPointer, localKey: LocalKey, byteCount: UInt32, remoteAddress: UInt64, remoteKey: RemoteKey,
        immediate: UInt32
    ) -> Int32 {
        // SAFETY: the device reads the source until the completion: the caller's promise above.
        unsafe cverbs_post_write(
            open, identifier, UInt64(UInt(bitPattern: source)), localKey.rawValue, byteCount, remoteAddress, remoteKey.rawValue, immediate)
    }

    /// Sends a message of no bytes but `immediate` (host order); the peer sees it as a message, not as a write.
    public func postMessage(identifier: UInt64, immediate: UInt32) throws(VerbsError) {
        // SAFETY: no memory is involved.
        try errnoValue("ibv_post_send", "posting a message", unsafe cverbs_post_message(open, identifier, immediate))
    }

    /// Posts `count` receives without memory: they catch immediate data only.
    public func postReceives(identifier: UInt64, count: Int) throws(VerbsError) {
        // SAFETY: no memory is involved.
        try errnoValue(
            "ibv_post_recv", "posting \(count) receives", unsafe cverbs_post_receives(open, identifier, UInt32(clamping: count)))
    }

    /// What the device says; a system call, not for the data path.
    public func state() throws(VerbsError) -> State {
        var attributes = ibv_qp_attr()
        var initial = unsafe ibv_qp_init_attr()
        // SAFETY: locals, written during the call only.
        try errnoValue(
            "ibv_query_qp", "asking for the state", unsafe ibv_query_qp(open, &attributes, Int32(IBV_QP_STATE.rawValue), &initial))
        return switch attributes.qp_state {
        case IBV_QPS_RESET: .reset
        case IBV_QPS_INIT: .initialized
        case IBV_QPS_RTR: .readyToReceive
        case IBV_QPS_RTS: .readyToSend
        case IBV_QPS_SQD: .drained
        case IBV_QPS_ERR, IBV_QPS_SQE: .error
        default: .unknown
        }
    }
}
