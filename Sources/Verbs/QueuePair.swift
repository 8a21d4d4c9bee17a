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
/// librdmacm takes it through its states as the connection goes on. Sends are gathered in a *chain*, which goes to the device in one call
/// of ibv_post_send: on most devices one doorbell, on soft-RoCE one system call. Only the last of a chain is signalled, as a pair completes
/// in order; requests that fail or are flushed give completions whether signalled or not. Posting never blocks; once the pair is in the
/// error state posting still succeeds, and the failure is the completion's.
/// Threads: one at a time. Source: ibv_post_send(3), ibv_post_recv(3), rdma_create_qp(3).
@safe
public final class QueuePair {
    private var raw: UnsafeMutablePointer<ibv_qp>?
    public let connection: Connection
    private let domain: ProtectionDomain
    private let completions: CompletionQueue
    /// The chain's requests and their scatter-gather entries, side by side.
    private let requests: UnsafeMutablePointer<ibv_send_wr>
    private let entries: UnsafeMutablePointer<ibv_sge>
    /// Requests that the chain holds and the device has not been given.
    public private(set) var chained = 0
    /// How many requests a chain takes; the owner posts it then.
    public let chainCapacity: Int
    /// Writes of up to so many bytes are copied as they are posted.
    public let inlineByteCount: Int

    public enum State: String, Sendable { case reset, initialized, readyToReceive, readyToSend, drained, error, unknown }

    /// - Parameters:
    ///   - connection: resolved, or that of a request; neither connected nor accepted yet.
    ///   - part: of the completion queue, below its `parts`.
    ///   - inlineByteCount: what is wanted; a device that cannot gives none.
    /// - Throws: `.resource` where the device takes no such depths.
    public init(
        on connection: Connection, domain: ProtectionDomain, completions: CompletionQueue, part: Int = 0, depths: QueueDepths,
        chainCapacity: Int = 1, inlineByteCount: Int = 0
    ) throws(VerbsError) {
        guard chainCapacity >= 1, chainCapacity <= depths.sends else {
            fatalError("QueuePair: a chain of \(chainCapacity) does not fit \(depths.sends) sends")
        }
        var attributes = unsafe ibv_qp_init_attr()
        // SAFETY: domain, queue and connection are held by this object until after the pair is destroyed.
        unsafe attributes.send_cq = completions.raw(part)
        unsafe attributes.recv_cq = completions.raw(part)
        unsafe attributes.qp_type = IBV_QPT_RC
        unsafe attributes.cap.max_send_wr = UInt32(clamping: depths.sends)
        unsafe attributes.cap.max_recv_wr = UInt32(clamping: depths.receives)
        unsafe attributes.cap.max_send_sge = 1
        unsafe attributes.cap.max_recv_sge = 1
        unsafe attributes.cap.max_inline_data = UInt32(clamping: inlineByteCount)
        let wanted = unsafe attributes
        if unsafe inlineByteCount == 0 || rdma_create_qp(connection.raw, domain.raw, &attributes) != 0 {
            unsafe attributes = wanted
            unsafe attributes.cap.max_inline_data = 0
            try minusOne("rdma_create_qp", "for \(depths.sends) sends and \(depths.receives) receives on \(domain.device.name)") {
                unsafe rdma_create_qp(connection.raw, domain.raw, &attributes)
            }
        }
        unsafe raw = connection.raw.pointee.qp
        self.connection = connection
        self.domain = domain
        self.completions = completions
        self.chainCapacity = chainCapacity
        // What the device gives may be more; then as much as was asked for is copied, since copying more was not wanted.
        self.inlineByteCount = min(inlineByteCount, Int(unsafe attributes.cap.max_inline_data))
        unsafe requests = .allocate(capacity: chainCapacity)
        unsafe requests.initialize(repeating: ibv_send_wr(), count: chainCapacity)
        unsafe entries = .allocate(capacity: chainCapacity)
        unsafe entries.initialize(repeating: ibv_sge(), count: chainCapacity)
    }

    /// Ends the pair: afterwards the device touches no memory on its behalf. Completions not yet fetched are gone.
    public func close() {
        guard unsafe raw != nil else { return }
        unsafe raw = nil
        unsafe rdma_destroy_qp(connection.raw)  // SAFETY: created in init, destroyed once.
    }

    deinit {
        close()
        // SAFETY: allocated in init, and plain C structures.
        unsafe requests.deallocate()
        unsafe entries.deallocate()
    }

    private var open: UnsafeMutablePointer<ibv_qp> {
        // SAFETY: nil after `close` only; what is returned is used within the calling method.
        guard let raw = unsafe raw else { fatalError("QueuePair used after close") }
        return unsafe raw
    }

    /// Chains a write of `byteCount` bytes into the peer's memory; `immediate` (host order) tells it. With 0 bytes only that travels.
    ///
    /// The source must stay as it is until a completion covers the write, and mapped until the chain is posted or dropped. Bounds are the
    /// caller's; a device that finds them broken ends the connection. Traps where the chain is full.
    public func chainWrite(
        identifier: UInt64, source: UnsafeRawPointer, localKey: LocalKey, byteCount: UInt32, remoteAddress: UInt64, remoteKey: RemoteKey,
        immediate: UInt32
    ) {
        if chained == chainCapacity { fatalError("QueuePair: a chain of \(chainCapacity) requests is full") }
        // SAFETY: the place is inside both allocations; the device reads the source until the completion: the caller's promise above.
        unsafe cverbs_chain_write(
            requests, entries, UInt32(chained), identifier, UInt64(UInt(bitPattern: source)), localKey.rawValue, byteCount,
            UInt32(inlineByteCount), remoteAddress, remoteKey.rawValue, immediate)
        chained += 1
    }

    /// Chains a message of no bytes but `immediate` (host order); the peer sees it as a message, not as a write. Traps as `chainWrite`.
    public func chainMessage(identifier: UInt64, immediate: UInt32) {
        if chained == chainCapacity { fatalError("QueuePair: a chain of \(chainCapacity) requests is full") }
        // SAFETY: the place is inside the allocation; no other memory is involved.
        unsafe cverbs_chain_message(requests, UInt32(chained), identifier, immediate)
        chained += 1
    }

    /// Gives the chain to the device, its last request signalled. An empty one is nothing. The chain is empty afterwards in any case.
    /// - Throws: why the device refused a request; those before it are with the device, those after it are not, and none of them need
    ///   be signalled. Only the end of the pair brings all of them to an end.
    public func postChain() throws(VerbsError) {
        guard chained > 0 else { return }
        var posted: UInt32 = 0
        let count = chained
        chained = 0
        // SAFETY: the first `count` requests and their entries were built since the chain was empty; the call copies them.
        try errnoValue(
            "ibv_post_send", "posting a chain of \(count) requests, \(posted) taken",
            unsafe cverbs_post_chain(open, requests, UInt32(count), &posted))
    }

    /// Forgets what was chained: the device never sees it.
    public func dropChain() { chained = 0 }

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
