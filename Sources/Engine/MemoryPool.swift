internal import Fabric
internal import SharedMemoryFabric
internal import Synchronization

/// The memory that a job's communicators exchange: taken once, used by any of them, given back by `PooledMemory.release` or at the job's end.
package final class MemoryPool: Sendable {
    /// Whether processes of this machine can map the memory: needed where any two ranks share some.
    private let isShared: Bool
    private let state = Mutex(State())

    private struct State {
        var memories: [ObjectIdentifier: PooledMemory] = [:]
        var isClosed = false
    }

    package init(isShared: Bool) { self.isShared = isShared }

    /// Zeroed, page-aligned memory of the pool's own.
    package func allocate(byteCount: Int) throws(VerbenaError) -> PooledMemory {
        adopt(PooledMemory(try lend(byteCount: byteCount), of: self))
    }

    /// Memory of the caller's, who keeps it mapped until it is released or the job ends.
    @unsafe
    package func adopt(_ base: UnsafeMutableRawPointer, byteCount: Int) -> PooledMemory {
        // SAFETY: the caller keeps the memory.
        adopt(PooledMemory(unsafe LentMemory(base, byteCount: byteCount), of: self))
    }

    /// All memory of the process but its first page, which is nobody's. Not given back, for nothing was taken.
    package func wholeProcess() -> PooledMemory {
        let firstPage = 4096
        guard let base = unsafe UnsafeMutableRawPointer(bitPattern: firstPage) else { fatalError("broken invariant: 4096 is not 0") }
        // SAFETY: nobody follows the address but for bytes that a caller names.
        return PooledMemory(unsafe LentMemory(base, byteCount: 1 << 47 - firstPage), of: self, isWhole: true)
    }

    /// At least 64 bytes, so that every address in it is a place of its own.
    func lend(byteCount: Int) throws(VerbenaError) -> LentMemory {
        let size = max(64, byteCount)
        return try wrapping { () throws(FabricError) in
            try (isShared ? SharedMapping.allocate(byteCount: size) : .allocatePrivate(byteCount: size)).lent(byteCount: size)
        }
    }

    private func adopt(_ memory: PooledMemory) -> PooledMemory {
        let isClosed = state.withLock { state in
            if !state.isClosed { state.memories[ObjectIdentifier(memory)] = memory }
            return state.isClosed
        }
        if isClosed { memory.end(with: .communicatorClosed) }
        return memory
    }

    func forget(_ memory: PooledMemory) { state.withLock { _ = $0.memories.removeValue(forKey: ObjectIdentifier(memory)) } }

    /// The job is over: all memory goes back as soon as no engine has it any more.
    package func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer { state.memories = [:] }
            return state.memories.values
        }
        for memory in all { memory.end(with: .communicatorClosed) }
    }
}
