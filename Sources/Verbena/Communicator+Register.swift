public import Engine
public import Reduction

extension Communicator {
    /// Makes memory of the caller's own a buffer: the tensors of a framework, say. Collective: every rank gives as many elements of the same type.
    ///
    /// Verbs registers the memory itself, and exchanges it without a copy. Where some rank's fabric cannot, in shared memory or between machines of
    /// several ranks, the buffer is *staged* on all (`Buffer.isStaged`): the engine takes as much memory again, and every operation copies what
    /// it reads here into that before it begins, and what it has written out of it in the end (`wait`, where it was started): two passes over
    /// the memory, on the caller's thread. Between two ranks in shared memory an allreduce then took 1.6 times as long of 16 KiB, 4 times of 1 and of
    /// 64 MiB (medians of interleaved runs in the peers' loop; 5.3 : 22 ms of 64 MiB). `allocate` costs none of that.
    ///
    /// - Parameter memory: the caller keeps it, at this place, until the communicator is closed.
    /// - Throws: as `allocate`.
    @unsafe
    public func register<E: Element>(_ memory: UnsafeMutableBufferPointer<E>) throws(VerbenaError) -> Buffer<E> {
        let count = memory.count
        let bytes = count * MemoryLayout<E>.stride
        // Counted as if it were staged: whether it is comes out later.
        try agreeOnMemory("\(count) \(E.elementType) of the caller's", byteCount: bytes)
        let base = UnsafeMutableRawPointer(memory.baseAddress)
        do throws(VerbenaError) {
            // SAFETY: the caller keeps the memory until the communicator is closed.
            if let base = unsafe base, bytes > 0 {
                let shared = unsafe try engine.addBuffer(base, byteCount: bytes) { (descriptor) throws(VerbenaError) in
                    try allGather(descriptor, label: "memory of the caller's")
                }
                if let shared { return unsafe Buffer(shared: shared, base: base, isCallers: true, count: count, owner: self) }
            }
            let (shared, region) = try engine.addBuffer(byteCount: max(64, bytes)) { (descriptor) throws(VerbenaError) in
                try allGather(descriptor, label: "staging memory")
            }
            let staging = unsafe StagingMemory(region.base)
            core.adopt(staging)
            return unsafe Buffer(shared: shared, base: base, isCallers: true, staging: staging, count: count, owner: self)
        } catch {
            throw error.agreed(with: group, during: "registering \(bytes) bytes")
        }
    }
}
