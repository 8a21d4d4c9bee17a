internal import CPlatform
package import Fabric

/// One mapped piece of memory that processes of this machine share: ours, or a peer's that we opened. Or ours alone, without a file.
///
/// Shared memory has no name: it lives in a memfd and goes with the last process that maps it, however that process ends.
/// A peer opens it as `/proc/<pid>/fd/<number>`; the inode number tells whether it is still the same file.
// Sendable without the compiler's proof: immutable but for `closeFile` at set-up, by the thread that opened it; the bytes are shared between processes anyhow, and the
// protocol of their users (atomics in the control segment, the executor for regions) orders every access.
@safe
package final class SharedMapping: @unchecked Sendable {
    package let base: UnsafeMutableRawPointer
    let byteCount: Int
    /// -1 once closed, and where there is no file.
    private var descriptor: Int32
    private let inode: UInt64

    /// Page size is asked of nobody: 4 KiB divides every page size that Linux has, and mmap rounds up by itself.
    private static let granularity = 4096

    /// Below it a huge page is mostly wasted, and there are few.
    private static let minForHugePages = 2 << 20

    /// New zeroed memory of at least `byteCount` bytes, taken at once: of huge pages, if the administrator set some aside that are free.
    package static func allocate(byteCount: Int) throws(FabricError) -> SharedMapping {
        let hugePage = byteCount < minForHugePages ? 0 : Int(platform_free_huge_page(UInt64(byteCount)))
        if hugePage > 0, let huge = try? SharedMapping(creating: byteCount, granularity: hugePage, isHuge: true),
            (try? huge.takeAll(during: .allocate, peer: nil)) != nil
        {
            return huge
        }
        let plain = try allocateSparse(byteCount: byteCount)
        try plain.takeAll(during: .allocate, peer: nil)
        return plain
    }

    /// New zeroed memory that only this process can map, taken at once.
    package static func allocatePrivate(byteCount: Int) throws(FabricError) -> SharedMapping {
        let size = rounded(byteCount, to: granularity)
        let mapping = try SharedMapping(descriptor: -1, inode: 0, byteCount: size, failure: 0, operation: .allocate, peer: nil)
        try mapping.takeAll(during: .allocate, peer: nil)
        return mapping
    }

    /// New zeroed memory whose parts are to be taken before they are used.
    static func allocateSparse(byteCount: Int) throws(FabricError) -> SharedMapping {
        try SharedMapping(creating: byteCount, granularity: granularity, isHuge: false)
    }

    private static func rounded(_ byteCount: Int, to granularity: Int) -> Int {
        max(granularity, (byteCount + granularity - 1) / granularity * granularity)
    }

    private convenience init(creating byteCount: Int, granularity: Int, isHuge: Bool) throws(FabricError) {
        let size = Self.rounded(byteCount, to: granularity)
        // SAFETY: the literal's storage is static.
        let descriptor = unsafe platform_shared_memory("verbena", UInt64(size), isHuge ? 1 : 0)
        guard descriptor >= 0 else {
            throw Self.resourceError(.allocate, errno: -descriptor, what: "\(size) bytes of shared memory", peer: nil)
        }
        var inode: UInt64 = 0
        // SAFETY: the pointer to the local is used during the call only.
        let status = unsafe platform_inode(descriptor, &inode)
        try self.init(descriptor: descriptor, inode: inode, byteCount: size, failure: -status, operation: .allocate, peer: nil)
    }

    /// A peer's memory, by the peer's description of it; page tables are filled by `take`.
    convenience init(opening file: MemoryFile, of peer: Int, during operation: FabricError.Operation) throws(FabricError) {
        let descriptor = platform_open_peer_memory(file.process, file.descriptor, file.inode, file.byteCount)
        try self.init(
            descriptor: descriptor, inode: file.inode, byteCount: Int(file.byteCount),
            failure: descriptor < 0 ? -descriptor : 0, operation: operation, peer: peer)
    }

    private init(
        descriptor: Int32, inode: UInt64, byteCount: Int, failure: Int32, operation: FabricError.Operation, peer: Int?
    ) throws(FabricError) {
        var failure = failure
        var mapped: UnsafeMutableRawPointer?
        if failure == 0 {
            // SAFETY: the pointer to the local is used during the call only; the mapping is ours until deinit.
            unsafe mapped = platform_map(descriptor, UInt64(byteCount), &failure)
        }
        guard let mapped = unsafe mapped else {
            if descriptor >= 0 { close(descriptor) }
            throw Self.resourceError(operation, errno: failure, what: "memory of \(byteCount) bytes", peer: peer)
        }
        unsafe self.base = mapped
        self.byteCount = byteCount
        self.descriptor = descriptor
        self.inode = inode
    }

    /// Takes the memory of a part now, and fills this process's page tables for it: a first touch later would cost a page fault each.
    func take(_ part: Range<Int>, during operation: FabricError.Operation, peer: Int?) throws(FabricError) {
        let start = part.lowerBound / Self.granularity * Self.granularity
        let end = min(byteCount, (part.upperBound + Self.granularity - 1) / Self.granularity * Self.granularity)
        // SAFETY: the part lies in the mapping, and its bytes are not changed.
        let failure = unsafe -platform_populate(descriptor, base, UInt64(start), UInt64(end - start))
        if failure != 0 { throw Self.resourceError(operation, errno: failure, what: "memory of \(end - start) bytes", peer: peer) }
    }

    func takeAll(during operation: FabricError.Operation, peer: Int?) throws(FabricError) {
        try take(0..<byteCount, during: operation, peer: peer)
    }

    /// Gives back the descriptor of a peer's memory that is mapped and taken: they are few, and a large job has many regions. The mapping stays.
    /// Never for own memory, which peers open by it.
    func closeFile() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    deinit {
        // SAFETY: nobody can hold `base` beyond this object: a region's fabric holds it, as memory's keeper.
        _ = unsafe munmap(base, byteCount)
        closeFile()
    }

    /// How a peer opens this memory while this process lives; nil where no file is behind it.
    package var file: MemoryFile? {
        guard descriptor >= 0 else { return nil }
        return MemoryFile(process: platform_proc_number(), descriptor: descriptor, inode: inode, byteCount: UInt64(byteCount))
    }

    /// The first bytes of the mapping, for a fabric to make a region of: the region holds the mapping.
    package func lent(byteCount: Int) -> LentMemory {
        // SAFETY: the mapping, which the memory's user holds, keeps it.
        unsafe LentMemory(base, byteCount: byteCount, file: file, keeper: self)
    }

    static func resourceError(
        _ operation: FabricError.Operation, errno code: Int32, what: String, peer: Int?
    ) -> FabricError {
        switch code {
        case ENOMEM, ENOSPC:
            return FabricError(
                .resource, during: operation, peer: peer, detail: "no room for \(what) (errno \(code))",
                remedy: "use smaller buffers, or give the machine or container more memory")
        case EMFILE, ENFILE:
            return FabricError(
                .resource, during: operation, peer: peer, detail: "too many open files for \(what) (errno \(code))",
                remedy: "raise the hard limit on open files (ulimit -Hn, LimitNOFILE=, --ulimit nofile of a container)")
        case EACCES, EPERM, ENOSYS:
            return FabricError(
                .resource, during: operation, peer: peer, detail: "may not \(peer == nil ? "make" : "open") \(what) (errno \(code))",
                remedy: peer == nil
                    ? "use a container (seccomp) profile that allows memfd_create and pidfd_open"
                    : "run all ranks of a machine as the same user, from a program file that this user may read, without set-uid bit or "
                        + "capabilities; or use --fabric verbs")
        case ENOENT, ESTALE, ESRCH:
            return FabricError(
                .peerDied, during: operation, peer: peer, detail: "its process ended, or /proc shows it to none of us (errno \(code))",
                remedy: "see its own output; ranks of a machine need a /proc of their own PID namespace, or --fabric verbs")
        default:
            return FabricError(.resource, during: operation, peer: peer, detail: "cannot share \(what) (errno \(code))")
        }
    }
}
