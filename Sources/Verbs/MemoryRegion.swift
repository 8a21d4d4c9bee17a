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

/// Pinned memory that a device may write into, from here and from afar: of its own, page-aligned and zeroed, lent by somebody else, or
/// another region's, for a second device.
///
/// Owns the registration, and the pages where it mapped them: those go back to the system after the registration has ended, so that no
/// device can write into memory that is somebody else's by then. Every page of its own is there from the start, because pinning takes it, and
/// a huge one where the system allows that: the first pass over it costs nothing extra. Threads: one at a time for this object; who may
/// touch the bytes when is its user's protocol.
/// Source: ibv_reg_mr(3), mmap(2).
@safe
public final class MemoryRegion {
    /// Nil where there is nothing to register, and after `close`.
    private var registration: UnsafeMutablePointer<ibv_mr>?
    /// The first byte.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    /// Bytes mapped here, 0 where the memory is lent.
    private var mappedByteCount: Int
    private let domain: ProtectionDomain
    /// Whose memory it is, where it is another region's.
    private let owner: MemoryRegion?
    public let localKey: LocalKey
    public let remoteKey: RemoteKey

    /// Maps memory and pins it.
    /// - Parameter byteCount: 0 or more; whole pages are pinned.
    /// - Throws: `.memoryLockLimit`, `.resource`.
    public convenience init(in domain: ProtectionDomain, byteCount: Int) throws(VerbsError) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        guard byteCount >= 0, byteCount <= Int.max - page else {
            throw VerbsError(.resource, call: "mmap", errno: EINVAL, detail: "mapping \(byteCount) bytes")
        }
        let mapped = max(page, (byteCount + page - 1) / page * page)
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        // SAFETY: a fresh private mapping aliases nothing; it is this object's until deinit or the throw below.
        guard let base = unsafe mmap(nil, mapped, PROT_READ | PROT_WRITE, flags, -1, 0), unsafe base != MAP_FAILED else {
            throw VerbsError(call: "mmap", errno: errno, detail: "mapping \(mapped) bytes")
        }
        // Mere advice, before there are pages: a kernel that gives no huge ones answers EINVAL. Fewer pages are fewer entries in the device's tables.
        _ = unsafe madvise(base, mapped, MADV_HUGEPAGE)
        do throws(VerbsError) {
            unsafe try self.init(in: domain, base: base, byteCount: byteCount, pinning: mapped)
        } catch {
            unsafe munmap(base, mapped)
            throw error
        }
        mappedByteCount = mapped
    }

    /// Pins memory that is the caller's and stays so: it must be mapped, readable and writable until `close` or the end of this object.
    /// - Parameters:
    ///   - memory: aligned to anything; the pages that it touches are pinned.
    ///   - byteCount: 0 or more; of nothing nothing is pinned.
    /// - Throws: `.memoryLockLimit`; `.system` with `EFAULT` where it is not mapped.
    public convenience init(in domain: ProtectionDomain, lent memory: UnsafeMutableRawPointer, byteCount: Int) throws(VerbsError) {
        // SAFETY: the lender keeps the memory mapped, as said above.
        unsafe try self.init(in: domain, base: memory, byteCount: byteCount, pinning: byteCount)
    }

    /// Pins another region's memory in a second domain, that is, for a second device. It counts twice against the limit of locked memory.
    /// - Parameter owner: held, and so open, until the end of this object.
    /// - Throws: `.memoryLockLimit`, `.resource`.
    public convenience init(in domain: ProtectionDomain, sharing owner: MemoryRegion) throws(VerbsError) {
        // SAFETY: the owner, which this object holds, keeps the memory mapped or has it lent.
        unsafe try self.init(in: domain, base: owner.base, byteCount: owner.byteCount, pinning: owner.byteCount, owner: owner)
    }

    private init(
        in domain: ProtectionDomain, base: UnsafeMutableRawPointer, byteCount: Int, pinning pinned: Int, owner: MemoryRegion? = nil
    ) throws(VerbsError) {
        if pinned > 0 {
            let limit = memoryLockLimit().map { "\($0) bytes" } ?? "none"
            // SAFETY: the memory has this length and stays until the registration has ended: mapped above, or the lender's promise.
            let registration = unsafe try notNull("ibv_reg_mr", "pinning \(pinned) bytes (limit of locked memory: \(limit))") {
                unsafe cverbs_register(domain.raw, base, pinned)
            }
            unsafe self.registration = registration
            unsafe localKey = LocalKey(rawValue: registration.pointee.lkey)
            unsafe remoteKey = RemoteKey(rawValue: registration.pointee.rkey)
        } else {
            // Writes of no bytes look at no key.
            unsafe registration = nil
            (localKey, remoteKey) = (LocalKey(rawValue: 0), RemoteKey(rawValue: 0))
        }
        unsafe self.base = base
        self.byteCount = byteCount
        self.domain = domain
        self.owner = owner
        mappedByteCount = 0
    }

    /// Ends the registration and gives the pages back that were mapped here. Nothing may be under way from or into the region.
    /// - Throws: what the device says; the pages then stay mapped, because the device may still use them.
    public func close() throws(VerbsError) {
        if let open = unsafe registration {
            // SAFETY: registered in init, ended once: `registration` is nil afterwards.
            try errnoValue("ibv_dereg_mr", "unpinning \(byteCount) bytes", unsafe ibv_dereg_mr(open))
            unsafe registration = nil
        }
        // SAFETY: mapped in init, given back once.
        if mappedByteCount > 0 { unsafe munmap(base, mappedByteCount) }
        mappedByteCount = 0
    }

    deinit { reportingFailure(close) }
}
