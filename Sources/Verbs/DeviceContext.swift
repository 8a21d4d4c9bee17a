internal import CVerbs
import Glibc

/// An opened device. Two origins: opened here by name, to be looked at and to hear of its ports; or librdmacm's own, on which
/// everything that takes part in a connection must be created.
///
/// Threads: one at a time.
@safe
public final class DeviceContext {
    let raw: UnsafeMutablePointer<ibv_context>
    public let name: String
    /// What keeps a borrowed context usable: librdmacm counts the identifiers on a device. Nil where the context is our own.
    private let lender: Listener?

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
        self.lender = nil
        try makeNonBlocking(asyncDescriptor)
    }

    /// The context that librdmacm uses for the device on whose address `listener` listens.
    init(borrowing raw: UnsafeMutablePointer<ibv_context>, from listener: Listener) {
        // SAFETY: librdmacm keeps its contexts open; the listener, which we hold, keeps the device in use.
        unsafe self.raw = raw
        unsafe self.name = deviceName(raw.pointee.device)
        self.lender = listener
    }

    deinit {
        // SAFETY: our own context, and nothing else holds it: whoever depends on it holds this object.
        if lender == nil { _ = unsafe ibv_close_device(raw) }
    }

    /// The largest completion queue, queue pair and region that the device takes.
    public func limits() throws(VerbsError) -> DeviceLimits {
        var attributes = ibv_device_attr()
        // SAFETY: the local is written during the call only.
        try errnoValue("ibv_query_device", "asking \(name) for its limits", unsafe ibv_query_device(raw, &attributes))
        return DeviceLimits(
            nodeGUID: UInt64(bigEndian: attributes.node_guid), queuePairs: Int(attributes.max_qp),
            workRequestsPerQueue: Int(attributes.max_qp_wr), completionsPerQueue: Int(attributes.max_cqe),
            memoryRegions: Int(attributes.max_mr), regionByteCount: attributes.max_mr_size, ports: Int(attributes.phys_port_cnt))
    }
}

/// What a device can do at most.
public struct DeviceLimits: Sendable {
    public var nodeGUID: UInt64
    public var queuePairs: Int
    public var workRequestsPerQueue: Int
    public var completionsPerQueue: Int
    public var memoryRegions: Int
    public var regionByteCount: UInt64
    public var ports: Int
}

/// Something that happened to a device or a port, not to a connection.
public enum DeviceEvent: Sendable, Equatable {
    case deviceFailed
    case portFailed(Int)
    case portActive(Int)
    case other(String)
}

extension DeviceContext {
    /// Readable when `nextEvent` has something. Meaningful for contexts opened by name only: events of a borrowed one are everybody's.
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
        case IBV_EVENT_PORT_ACTIVE: return .portActive(Int(unsafe event.element.port_num))
        default: return .other(unsafe String(cString: ibv_event_type_str(event.event_type)))
        }
    }
}

/// The list of devices while it is looked at.
@safe
final class DeviceList {
    private let raw: UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>?
    private let count: Int

    /// A kernel without RDMA (`ENOSYS`) has an empty list: that is an answer, not an error.
    init() throws(VerbsError) {
        var count: Int32 = 0
        // SAFETY: the list is this object's until deinit.
        unsafe raw = ibv_get_device_list(&count)
        self.count = Int(count)
        if unsafe raw == nil, errno != ENOSYS, errno != ENOENT {
            throw VerbsError(call: "ibv_get_device_list", errno: errno, detail: "listing the RDMA devices")
        }
    }

    deinit {
        // SAFETY: ours since init, freed once.
        if let raw = unsafe raw { unsafe ibv_free_device_list(raw) }
    }

    /// Good as long as the list lives.
    var devices: [UnsafeMutablePointer<ibv_device>] {
        // SAFETY: the library says how many entries there are.
        guard let raw = unsafe raw else { return unsafe [] }
        return unsafe (0..<count).compactMap { unsafe raw[$0] }
    }
}

func deviceName(_ device: UnsafeMutablePointer<ibv_device>) -> String {
    // SAFETY: the caller keeps the device's list or context; the name is copied.
    unsafe String(cString: ibv_get_device_name(device))
}
