internal import CVerbs

/// A reliable connected queue pair: one ordered channel to one peer.
///
/// The connection takes it through its states. Sends are gathered in a *chain*, which goes to the device in one call
/// of ibv_post_send: on most devices one doorbell, on soft-RoCE one system call. Only the last of a chain is signalled, as a pair completes
/// in order; requests that fail or are flushed give completions whether signalled or not. Posting never blocks; once the pair is in the
/// error state posting still succeeds, and the failure is the completion's.
/// Threads: one at a time. Source: ibv_post_send(3), ibv_post_recv(3), ibv_create_qp(3).
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

    /// - Parameters:
    ///   - connection: resolved, or that of a request; neither connected nor accepted yet.
    ///   - part: of the completion queue, below its `parts`.
    ///   - sends: that may be posted and not yet be completed; likewise `receives`.
    ///   - inlineByteCount: what is wanted; a device that cannot gives none.
    /// - Throws: `.resource` where the device takes no such depths.
    public init(
        on connection: Connection, domain: ProtectionDomain, completions: CompletionQueue, part: Int = 0, sends: Int, receives: Int,
        chainCapacity: Int = 1, inlineByteCount: Int = 0
    ) throws(VerbsError) {
        guard chainCapacity >= 1, chainCapacity <= sends else {
            fatalError("QueuePair: a chain of \(chainCapacity) does not fit \(sends) sends")
        }
        var attributes = unsafe Self.attributes(completions, part, (sends, receives), inlineByteCount)
        // SAFETY: domain, queue and connection are held by this object until after the pair is destroyed.
        var made = unsafe inlineByteCount > 0 ? ibv_create_qp(domain.raw, &attributes) : nil
        if unsafe made == nil {
            unsafe attributes = Self.attributes(completions, part, (sends, receives), 0)
            unsafe made = try notNull(
                "ibv_create_qp", "for \(sends) sends and \(receives) receives on \(domain.device.name)"
            ) {
                unsafe ibv_create_qp(domain.raw, &attributes)
            }
        }
        unsafe raw = made
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
        // Everything is initialised: a throw from here on runs deinit.
        unsafe connection.queuePair = made
        try connection.initialize()
    }

    private static func attributes(
        _ completions: CompletionQueue, _ part: Int, _ depths: (sends: Int, receives: Int), _ inlineByteCount: Int
    ) -> ibv_qp_init_attr {
        var attributes = unsafe ibv_qp_init_attr()
        // SAFETY: the caller holds the queue for as long as it uses the structure.
        unsafe attributes.send_cq = completions.raw(part)
        unsafe attributes.recv_cq = completions.raw(part)
        unsafe attributes.qp_type = IBV_QPT_RC
        unsafe attributes.cap.max_send_wr = UInt32(clamping: depths.sends)
        unsafe attributes.cap.max_recv_wr = UInt32(clamping: depths.receives)
        unsafe attributes.cap.max_send_sge = 1
        unsafe attributes.cap.max_recv_sge = 1
        unsafe attributes.cap.max_inline_data = UInt32(clamping: inlineByteCount)
        return unsafe attributes
    }

    /// What the device calls it in its events.
    public var number: UInt32 { unsafe open.pointee.qp_num }  // SAFETY: the pair is open.

    /// Ends the pair: afterwards the device touches no memory on its behalf. Completions not yet fetched are gone.
    public func close() {
        guard let open = unsafe raw else { return }
        unsafe raw = nil
        unsafe connection.queuePair = nil
        reportingFailure { () throws(VerbsError) in
            // SAFETY: created in init, destroyed once.
            try errnoValue("ibv_destroy_qp", "on \(domain.device.name)", unsafe ibv_destroy_qp(open))
        }
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

    /// What the device says: whether the pair sends, whether it is broken, and whether the peer may do more to our memory than write.
    /// A system call, not for the data path.
    public func state() throws(VerbsError) -> (isReadyToSend: Bool, isBroken: Bool, admitsReadsOrAtomics: Bool) {
        var attributes = ibv_qp_attr()
        var initial = unsafe ibv_qp_init_attr()
        let mask = Int32(IBV_QP_STATE.rawValue | IBV_QP_ACCESS_FLAGS.rawValue | IBV_QP_MAX_DEST_RD_ATOMIC.rawValue)
        // SAFETY: locals, written during the call only.
        try errnoValue("ibv_query_qp", "asking for the state", unsafe ibv_query_qp(open, &attributes, mask, &initial))
        let more = IBV_ACCESS_REMOTE_READ.rawValue | IBV_ACCESS_REMOTE_ATOMIC.rawValue
        return (
            attributes.qp_state == IBV_QPS_RTS, attributes.qp_state == IBV_QPS_ERR || attributes.qp_state == IBV_QPS_SQE,
            UInt32(attributes.qp_access_flags) & more != 0 || attributes.max_dest_rd_atomic != 0
        )
    }
}
