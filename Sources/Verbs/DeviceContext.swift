internal import CVerbs

/// An opened device, on which domains, regions, completion queues and queue pairs are made. Its events are about these and about its
/// ports, and nobody else reads them: librdmacm has a context of its own, which the whole process shares, and makes nothing on this one.
///
/// Threads: one at a time. Ends with its last dependant, which holds it.
@safe
public final class DeviceContext {
    let raw: UnsafeMutablePointer<ibv_context>
    public let name: String

    /// Opens the device of this name.
    /// - Throws: `.noDevice` with the names that exist, `.permission`.
    public init(opening name: String) throws(VerbsError) {
        let list = try DeviceList()
        // SAFETY: the list's entries live until the list is freed, which withExtendedLifetime puts after the opening.
        unsafe self.raw = try withExtendedLifetime(list) { () throws(VerbsError) in
            guard let device = unsafe list.devices.first(where: { unsafe deviceName($0) == name }) else {
                let names = unsafe list.devices.map { unsafe deviceName($0) }.joined(separator: ", ")
                throw VerbsError(
                    .noDevice, call: "ibv_get_device_list", errno: 0,
                    detail: "no RDMA device \(name) (found: \(names.isEmpty ? "none" : names))", remedy: VerbsError.remedy(for: .noDevice))
            }
            return unsafe try notNull("ibv_open_device", "opening \(name)") { unsafe ibv_open_device(device) }
        }
        self.name = name
        try makeNonBlocking(asyncDescriptor)
    }

    deinit { _ = unsafe ibv_close_device(raw) }  // SAFETY: whoever depends on the context holds this object, so nobody is left.

    /// The largest completion queue, queue pair and region that the device takes.
    public func limits() throws(VerbsError) -> DeviceLimits {
        var attributes = ibv_device_attr()
        // SAFETY: the local is written during the call only.
        try errnoValue("ibv_query_device", "asking \(name) for its limits", unsafe ibv_query_device(raw, &attributes))
        return DeviceLimits(
            queuePairs: Int(attributes.max_qp), workRequestsPerQueue: Int(attributes.max_qp_wr),
            completionsPerQueue: Int(attributes.max_cqe), ports: Int(attributes.phys_port_cnt))
    }
}

extension DeviceContext {
    /// How much one packet of a port carries at present, in bytes; nil where the port carries none.
    public func activeMTU(port: Int) throws(VerbsError) -> Int? {
        var attributes = ibv_port_attr()
        // SAFETY: the local is written during the call only.
        try errnoValue("ibv_query_port", "asking \(name) for port \(port)", unsafe cverbs_query_port(raw, UInt8(port), &attributes))
        return attributes.state == IBV_PORT_ACTIVE ? 128 << Int(attributes.active_mtu.rawValue) : nil
    }
}

extension DeviceContext {
    /// Readable when `nextEvent` has something.
    public var asyncDescriptor: Int32 { unsafe raw.pointee.async_fd }  // SAFETY: the context is open as long as this object lives.

    /// The next asynchronous event, or nil where there is none at present. Never blocks.
    public func nextEvent() -> DeviceEvent? {
        // SAFETY: the event is a local; its element is read before it is acknowledged, and not kept.
        var event = unsafe ibv_async_event()
        guard unsafe ibv_get_async_event(raw, &event) == 0 else { return nil }
        defer { unsafe ibv_ack_async_event(&event) }
        switch unsafe event.event_type {
        case IBV_EVENT_DEVICE_FATAL: return .deviceFailed
        case IBV_EVENT_PORT_ERR: return .portFailed(Int(unsafe event.element.port_num))
        case IBV_EVENT_CQ_ERR: return .completionQueueFailed
        case IBV_EVENT_QP_FATAL, IBV_EVENT_QP_REQ_ERR: return .queuePairFailed(unsafe event.element.qp.pointee.qp_num)
        case IBV_EVENT_QP_ACCESS_ERR: return .accessRefused(unsafe event.element.qp.pointee.qp_num)
        case IBV_EVENT_GID_CHANGE, IBV_EVENT_LID_CHANGE, IBV_EVENT_PKEY_CHANGE:
            return .portChanged(Int(unsafe event.element.port_num), unsafe String(cString: ibv_event_type_str(event.event_type)))
        default: return .other
        }
    }
}

func deviceName(_ device: UnsafeMutablePointer<ibv_device>) -> String {
    // SAFETY: the caller keeps the device's list or context; the name is copied.
    unsafe String(cString: ibv_get_device_name(device))
}
