internal import CVerbs
import Glibc

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

/// Says to our own device which memory a work request means. Never travels.
public struct LocalKey: Hashable, Sendable {
    let rawValue: UInt32
}

/// Lets a peer's device write into our memory. Its own type: soft-RoCE gives both keys the same value, and would hide a mix-up.
public struct RemoteKey: Hashable, Sendable {
    /// As it travels to the peer.
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// Page-aligned, zeroed, pinned memory that the device may write into, from here and from afar.
///
/// Owns the pages and their registration: the pages go back to the system after the registration has ended, so that no device can
/// write into memory that is somebody else's by then. Every page is touched at the start: the first pass over it costs nothing extra.
/// Threads: one at a time for this object; who may touch the bytes when is its user's protocol.
/// Source: ibv_reg_mr(3), mmap(2).
@safe
public final class MemoryRegion {
    private var registration: UnsafeMutablePointer<ibv_mr>?
    /// The first byte.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    private let mappedByteCount: Int
    private let domain: ProtectionDomain
    public let localKey: LocalKey
    public let remoteKey: RemoteKey

    /// - Parameter byteCount: 0 or more; whole pages are pinned.
    /// - Throws: `.memoryLockLimit`, `.resource`.
    public init(in domain: ProtectionDomain, byteCount: Int) throws(VerbsError) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        guard byteCount >= 0, byteCount <= Int.max - page else {
            throw VerbsError(.resource, call: "mmap", errno: EINVAL, detail: "mapping \(byteCount) bytes")
        }
        let mapped = max(page, (byteCount + page - 1) / page * page)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | Int32(MAP_POPULATE)
        // SAFETY: a fresh private mapping aliases nothing; it is this object's until deinit or the throw below.
        guard let base = unsafe mmap(nil, mapped, PROT_READ | PROT_WRITE, flags, -1, 0), unsafe base != MAP_FAILED else {
            throw VerbsError(call: "mmap", errno: errno, detail: "mapping \(mapped) bytes")
        }
        do throws(VerbsError) {
            let limit = memoryLockLimit().map { "\($0) bytes" } ?? "none"
            // SAFETY: the mapping has this length and stays until the registration has ended.
            let registration = unsafe try notNull("ibv_reg_mr", "pinning \(mapped) bytes (limit of locked memory: \(limit))") {
                unsafe cverbs_register(domain.raw, base, mapped)
            }
            unsafe self.registration = registration
            unsafe localKey = LocalKey(rawValue: registration.pointee.lkey)
            unsafe remoteKey = RemoteKey(rawValue: registration.pointee.rkey)
        } catch {
            unsafe munmap(base, mapped)
            throw error
        }
        unsafe self.base = base
        self.byteCount = byteCount
        self.mappedByteCount = mapped
        self.domain = domain
    }

    /// Ends the registration and gives the pages back. Nothing may be under way from or into the region.
    /// - Throws: what the device says; the pages then stay mapped, because the device may still use them.
    public func close() throws(VerbsError) {
        guard let open = unsafe registration else { return }
        // SAFETY: registered in init, ended once: `registration` is nil afterwards.
        try errnoValue("ibv_dereg_mr", "unpinning \(mappedByteCount) bytes", unsafe ibv_dereg_mr(open))
        unsafe registration = nil
        unsafe munmap(base, mappedByteCount)
    }

    deinit { reportingFailure(close) }
}
