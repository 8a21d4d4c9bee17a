internal import CVerbs
import Glibc

/// The list of devices while it is looked at.
@safe
final class DeviceList {
    private let raw: UnsafeMutablePointer<UnsafeMutablePointer<ibv_device>?>?
    private let count: Int

    /// A kernel without RDMA (`ENOSYS`) has an empty list: that is an answer, not an error.
    init() throws(VerbsError) {
        try openLibraries()
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
