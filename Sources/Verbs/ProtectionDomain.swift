internal import CVerbs

/// Groups what may work together: queue pairs reach the memory regions of their own domain only.
///
/// Threads: one at a time. Ends with its last dependant: regions and queue pairs hold it.
@safe
public final class ProtectionDomain {
    let raw: UnsafeMutablePointer<ibv_pd>
    /// Freed after the domain, because the domain holds it.
    public let device: DeviceContext

    /// - Throws: `.resource` where the device has no more domains.
    public init(on device: DeviceContext) throws(VerbsError) {
        // SAFETY: the context is open as long as `device` lives, and this object holds it.
        unsafe raw = try notNull("ibv_alloc_pd", "on \(device.name)") { unsafe ibv_alloc_pd(device.raw) }
        self.device = device
    }

    deinit {
        // SAFETY: every dependant holds this object, so none is left.
        reportingFailure { () throws(VerbsError) in try errnoValue("ibv_dealloc_pd", "on \(device.name)", unsafe ibv_dealloc_pd(raw)) }
    }
}
