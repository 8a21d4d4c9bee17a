internal import CVerbs
import Glibc

/// Pinned memory that a device may write into, from here and from afar: of its own, page-aligned and zeroed, lent by somebody else, or
/// another region's, for a second device.
///
/// Owns the registrations, one or several (`RegistrationPieces`), and the pages where it mapped them: those go back to the system after the
/// registrations have ended, so that no device can write into memory that is somebody else's by then. Every page of its own is there from
/// the start, because pinning takes it, and a huge one where the system allows that: the first pass over it costs nothing extra. Threads: one
/// at a time for this object; who may touch the bytes when is its user's protocol.
/// Source: ibv_reg_mr(3), mmap(2).
@safe
public final class MemoryRegion {
    /// None where there is nothing to register, and after `close`.
    // SAFETY: each is ours from its registration to `close`.
    private var registrations: [UnsafeMutablePointer<ibv_mr>] = unsafe []
    /// The first byte.
    public let base: UnsafeMutableRawPointer
    public let byteCount: Int
    /// Bytes mapped here, 0 where the memory is lent.
    private var mappedByteCount = 0
    private let domain: ProtectionDomain
    /// What keeps the memory mapped, where it is another region's or lent by somebody who has such an object.
    private let keeper: AnyObject?
    /// Pieces begin every 2^`strideExponent` bytes.
    public private(set) var strideExponent = RegistrationPieces.wholeExponent
    private var keys: [(local: LocalKey, remote: RemoteKey)] = []

    /// Maps memory and pins it.
    /// - Parameter byteCount: 0 or more; whole pages are pinned.
    /// - Throws: `.memoryLockLimit`, `.resource`.
    public convenience init(
        in domain: ProtectionDomain, byteCount: Int, pieces: RegistrationPieces = RegistrationPieces()
    ) throws(VerbsError) {
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
            unsafe try self.init(in: domain, base: base, byteCount: byteCount, pinning: mapped, pieces: pieces)
        } catch {
            unsafe munmap(base, mapped)
            throw error
        }
        mappedByteCount = mapped
    }

    /// Pins memory that is somebody else's and stays so: it must be mapped, readable and writable until `close` or the end of this object.
    /// - Parameters:
    ///   - memory: aligned to anything; the pages that it touches are pinned.
    ///   - byteCount: 0 or more; of nothing nothing is pinned.
    ///   - keeper: what keeps the memory mapped, held until the end of this object; nil where the caller promises to.
    /// - Throws: `.memoryLockLimit`, `.resource`; `.system` with `EFAULT` where it is not mapped.
    public convenience init(
        in domain: ProtectionDomain, lent memory: UnsafeMutableRawPointer, byteCount: Int, keeper: AnyObject? = nil,
        pieces: RegistrationPieces = RegistrationPieces()
    ) throws(VerbsError) {
        // SAFETY: the keeper or the lender keeps the memory mapped, as said above.
        unsafe try self.init(in: domain, base: memory, byteCount: byteCount, pinning: byteCount, pieces: pieces, keeper: keeper)
    }

    /// Pins another region's memory in a second domain, that is, for a second device. It counts twice against the limit of locked memory.
    /// - Parameter owner: held, and so open, until the end of this object.
    /// - Throws: `.memoryLockLimit`, `.resource`.
    public convenience init(
        in domain: ProtectionDomain, sharing owner: MemoryRegion, pieces: RegistrationPieces = RegistrationPieces()
    ) throws(VerbsError) {
        // SAFETY: the owner, which this object holds, keeps the memory mapped or has it lent.
        unsafe try self.init(
            in: domain, base: owner.base, byteCount: owner.byteCount, pinning: owner.byteCount, pieces: pieces, keeper: owner)
    }

    private init(
        in domain: ProtectionDomain, base: UnsafeMutableRawPointer, byteCount: Int, pinning pinned: Int, pieces: RegistrationPieces,
        keeper: AnyObject? = nil
    ) throws(VerbsError) {
        // SAFETY: the memory is mapped by the caller, lent, or the owner's, and stays until this object has ended.
        unsafe self.base = base
        self.byteCount = byteCount
        self.domain = domain
        self.keeper = keeper
        // Writes of no bytes look at no key.
        if pinned == 0 { keys = [(LocalKey(rawValue: 0), RemoteKey(rawValue: 0))] }
        guard pinned > 0, try !registerWhole(pinned, pieces) else { return }
        strideExponent = pieces.strideExponent
        for number in 0..<RegistrationPieces.count(byteCount: byteCount, strideExponent: strideExponent) {
            let start = number << strideExponent
            // One that would begin where the memory ends has nothing to hold: requests of no bytes look at no key.
            if start < pinned { try register(start..<min(pinned, start + pieces.pieceByteCount)) } else { keys.append(keys[0]) }
        }
    }

    /// - Returns: false where pieces may do better; what is refused for another reason than its size is refused in pieces as well.
    private func registerWhole(_ pinned: Int, _ pieces: RegistrationPieces) throws(VerbsError) -> Bool {
        if pinned > pieces.wholeByteLimit ?? .max { return false }
        do throws(VerbsError) {
            try register(0..<pinned)
            return true
        } catch {
            guard error.cause == .resource, pinned > pieces.pieceByteCount else { throw error }
            return false
        }
    }

    /// Registers a part of the memory, the next one.
    private func register(_ range: Range<Int>) throws(VerbsError) {
        // SAFETY: the memory reaches so far and stays until the registration has ended: mapped by the caller, or the lender's promise.
        guard let registration = unsafe cverbs_register(domain.raw, base + range.lowerBound, range.count) else {
            throw VerbsError(pinning: range, of: byteCount, errno: errno, on: domain.device.name)
        }
        unsafe registrations.append(registration)
        keys.append((LocalKey(rawValue: unsafe registration.pointee.lkey), RemoteKey(rawValue: unsafe registration.pointee.rkey)))
    }

    /// Says to our own device which memory a request means that begins in this piece.
    public func localKey(_ piece: Int = 0) -> LocalKey { keys[min(piece, keys.count - 1)].local }

    /// Lets a peer's device write what begins in this piece. Of memory that is registered as a whole all pieces have one key.
    public func remoteKey(_ piece: Int = 0) -> RemoteKey { keys[min(piece, keys.count - 1)].remote }

    /// Ends the registrations and gives the pages back that were mapped here. Nothing may be under way from or into the region.
    /// - Throws: what the device says; the pages then stay mapped, because the device may still use them.
    public func close() throws(VerbsError) {
        while let open = unsafe registrations.last {
            // SAFETY: registered in init, ended once: it is taken from the list.
            try errnoValue("ibv_dereg_mr", "unpinning \(byteCount) bytes", unsafe ibv_dereg_mr(open))
            unsafe registrations.removeLast()
        }
        // SAFETY: mapped in init, given back once.
        if mappedByteCount > 0 { unsafe munmap(base, mappedByteCount) }
        mappedByteCount = 0
    }

    deinit { reportingFailure(close) }
}

extension VerbsError {
    /// Why memory was not registered. The errno value alone does not tell: ENOMEM is a limit of locked memory, of the device, or of the
    /// machine.
    init(pinning range: Range<Int>, of byteCount: Int, errno: Int32, on device: String, limit: MemoryLockLimit = .ofThisProcess()) {
        let part = range.count < byteCount ? " of \(byteCount)" : ""
        let detail = "pinning \(range.count) bytes\(part) on \(device) (limit of locked memory: \(limit))"
        switch errno {
        case ENOMEM where limit.isExceeded(by: range.count), EAGAIN where limit.isExceeded(by: range.count),
            EPERM where limit.isExceeded(by: range.count):
            self.init(.memoryLockLimit, call: "ibv_reg_mr", errno: errno, detail: detail, remedy: Self.remedy(for: .memoryLockLimit))
        case EPERM, EACCES: self.init(call: "ibv_reg_mr", errno: errno, detail: detail)
        case EFAULT:
            self.init(
                .system, call: "ibv_reg_mr", errno: errno, detail: detail, remedy: "give memory that is mapped, readable and writable")
        default:
            self.init(
                .resource, call: "ibv_reg_mr", errno: errno, detail: detail,
                remedy:
                    "the limit of locked memory is not the cause, the device or the kernel takes no more: use smaller or fewer buffers, "
                    + "and see free memory (free -m), `ibv_devinfo -v` (max_mr, max_mr_size) and dmesg")
        }
    }
}
