internal import Glibc

/// The one piece of memory that all regions are where writes move no bytes. Reserved, not taken: pages exist once they are touched.
// SAFETY (whole file): the mapping lives from `init` to `deinit`; nobody reads meaning into its bytes.
@safe
final class Scratch {
    let base: UnsafeMutableRawPointer
    private let byteCount: Int

    /// Nil where the system refuses the address space.
    init?(byteCount: Int) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = unsafe mmap(nil, max(1, byteCount), PROT_READ | PROT_WRITE, flags, -1, 0), unsafe memory != MAP_FAILED else {
            return nil
        }
        unsafe base = memory
        self.byteCount = max(1, byteCount)
    }

    deinit { unsafe munmap(base, byteCount) }
}
