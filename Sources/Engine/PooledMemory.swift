package import Collectives
package import Fabric
package import Synchronization

/// Memory of a job's pool, and by which number each communicator knows it.
///
/// *Release* is a matter of one rank: a peer writes to this rank, and reads its memory, only within an operation that both have begun, and until that has
/// ended here, `release` refuses. So ranks may release at different times; shared pages go back to the system with the last.
// Sendable without the compiler's proof: the rules of operations say who touches the bytes when; everything else is constant, an atomic or in the Mutex.
@safe
package final class PooledMemory: @unchecked Sendable {
    /// The caller's or the pool's; the pool's is mapped until `end`.
    package let base: UnsafeMutableRawPointer
    package let byteCount: Int
    /// Whether it is memory of the caller's own, which stays when the job has ended.
    package let isCallers: Bool
    /// Whether it stands for all memory of the process, of which nobody knows what is there.
    package let isWhole: Bool
    private let pool: MemoryPool
    /// What the communicator that asked last knows the memory by; none of any communicator's after the end. So an operation costs one look.
    package let latest = Atomic(Attachment.none.rawValue)
    private let state: Mutex<State>

    private struct State {
        /// Nil once the memory has been released or the job has ended.
        var own: LentMemory?
        /// The pool's memory that communicators exchange in place of the caller's, where some rank's fabric cannot reach that.
        var staging: LentMemory?
        var attachments: [(attachment: Attachment, engine: WeakEngine)] = []
        var reason = VerbenaError.communicatorClosed
    }

    /// A closed communicator's engine goes, though the memory stays.
    private struct WeakEngine {
        weak var engine: (any EngineControl)?
    }

    /// A communicator's number for the memory, in one word.
    package struct Attachment: Sendable {
        package let rawValue: UInt64
        package static var none: Attachment { Attachment(rawValue: 0) }
        private static var stagedBit: UInt64 { 1 << 31 }
        private static var ownBit: UInt64 { 1 << 30 }

        package init(rawValue: UInt64) { self.rawValue = rawValue }

        /// - Parameters:
        ///   - communicator: its number in this process, from 1 on.
        ///   - buffer: what peers reach: the memory, or the staging memory in its place.
        ///   - hasOwn: whether the memory that is staged is a buffer as well, the next one.
        init(communicator: UInt32, _ buffer: SharedBuffer, isStaged: Bool, hasOwn: Bool) {
            rawValue = UInt64(communicator) << 32 | (isStaged ? Self.stagedBit : 0) | (hasOwn ? Self.ownBit : 0) | UInt64(buffer.index)
        }

        package var communicator: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
        package var isStaged: Bool { rawValue & Self.stagedBit != 0 }
        package var buffer: SharedBuffer { SharedBuffer(index: Int(rawValue & (Self.ownBit - 1))) }
        /// The memory itself, for private operations; nil where there are none on it.
        package var own: SharedBuffer? {
            if !isStaged { return buffer }
            return rawValue & Self.ownBit != 0 ? SharedBuffer(index: buffer.index + 1) : nil
        }
        /// All that an engine has of the memory.
        var buffers: [SharedBuffer] { isStaged ? [buffer] + (own.map { [$0] } ?? []) : [buffer] }
    }

    init(_ own: LentMemory, of pool: MemoryPool, isWhole: Bool = false) {
        self.isWhole = isWhole
        // SAFETY: the state holds the memory until `end`; the caller keeps its own.
        unsafe base = own.base
        byteCount = own.byteCount
        isCallers = own.keeper == nil
        self.pool = pool
        state = Mutex(State(own: own))
    }

    /// Whether it belongs to this pool: that is, to this job.
    package func isPart(of pool: MemoryPool) -> Bool { self.pool === pool }

    /// The memory, which stays in its place for as long as what is returned is held.
    /// - Throws: `.closed` after the end.
    package func lent() throws(VerbenaError) -> LentMemory {
        try state.withLock { (state) throws(VerbenaError) in
            guard let own = state.own else { throw state.reason }
            return own
        }
    }

    // MARK: communicators

    /// What a communicator knows the memory by; nil where it does not yet.
    /// - Throws: `.closed` after the end.
    package func attachment(of communicator: UInt32) throws(VerbenaError) -> Attachment? {
        try state.withLock { (state) throws(VerbenaError) in
            if state.own == nil { throw state.reason }
            guard let found = state.attachments.first(where: { $0.attachment.communicator == communicator })?.attachment else { return nil }
            latest.store(found.rawValue, ordering: .relaxed)
            return found
        }
    }

    /// Makes the memory known to a communicator. Collective: every rank brings memory of its own.
    /// - Parameters:
    ///   - exchange: swaps descriptors.
    ///   - willStage: called on all ranks where the fabric of one cannot reach its memory, before all take as much for staging.
    package func attach(
        to engine: any EngineControl, of communicator: UInt32, exchange: ([UInt8]) throws(VerbenaError) -> [[UInt8]],
        willStage: () throws(VerbenaError) -> Void
    ) throws(VerbenaError) {
        var buffer = try engine.attach(try lent(), exchange: exchange)
        var own: SharedBuffer?
        let isStaged = buffer == nil
        if isStaged {
            try willStage()
            var staging = state.withLock { $0.staging }
            if staging == nil { staging = try pool.lend(byteCount: byteCount) }
            guard let staging else { return }
            state.withLock { state in if state.own != nil { state.staging = staging } }
            buffer = try engine.attach(staging, exchange: exchange)
            own = try engine.attachPrivate(try lent())
            precondition(own == nil || own?.index == buffer.map { $0.index + 1 }, "communicators take one buffer at a time")
        }
        guard let buffer else { fatalError("broken invariant: every fabric of the job takes memory of its pool") }
        // Whose part of an operation has ended, such as a broadcast's root, may release its memory: not before the slowest rank has opened it.
        _ = try exchange([])
        let attachment = Attachment(communicator: communicator, buffer, isStaged: isStaged, hasOwn: own != nil)
        let isEnded = state.withLock { state in
            state.attachments.removeAll { $0.engine.engine == nil }
            state.attachments.append((attachment, WeakEngine(engine: engine)))
            if state.own != nil { latest.store(attachment.rawValue, ordering: .relaxed) }
            return state.own == nil
        }
        if isEnded { for buffer in attachment.buffers { try engine.detach(buffer) } }
    }

    /// The same for the whole memory of the process, which is a buffer for private operations and nothing else. Collective.
    /// - Returns: whether there are such.
    package func attachWhole(to engine: any EngineControl, of communicator: UInt32) throws(VerbenaError) -> Bool {
        guard let own = try engine.attachPrivate(try lent()) else { return false }
        // Nothing stands in for it, so the number before is asked for by nobody; nor is there an engine to give it back to.
        let attachment = Attachment(communicator: communicator, SharedBuffer(index: own.index - 1), isStaged: true, hasOwn: true)
        state.withLock { $0.attachments = [(attachment, WeakEngine(engine: nil))] }
        latest.store(attachment.rawValue, ordering: .relaxed)
        return true
    }

    // MARK: staging

    /// Copies bytes of the caller's memory into the staging memory.
    /// - Throws: `.closed` after the end, as `stageOut`.
    package func stageIn(_ bytes: Range<Int>) throws(VerbenaError) {
        try staging { staging in
            // SAFETY: both hold the bytes; the caller keeps its memory, and `staging` its own.
            unsafe (staging.base + bytes.lowerBound).copyMemory(from: base + bytes.lowerBound, byteCount: bytes.count)
        }
    }

    package func stageOut(_ bytes: Range<Int>) throws(VerbenaError) {
        try staging { staging in
            // SAFETY: as in `stageIn`.
            unsafe (base + bytes.lowerBound).copyMemory(from: staging.base + bytes.lowerBound, byteCount: bytes.count)
        }
    }

    /// Lends the staging memory under the lock: `end`, after which the caller may free its memory, waits for copies that are under way.
    private func staging(_ copy: (LentMemory) -> Void) throws(VerbenaError) {
        try state.withLock { (state) throws(VerbenaError) in
            if state.own == nil { throw state.reason }
            if let staging = state.staging { copy(staging) }
        }
    }

    // MARK: the end

    /// Gives the memory back on this rank: that of the pool to the system, that of the caller's to the caller.
    /// - Throws: `.closed` after the end; `.configuration` where an operation on it is under way: then nothing is given back.
    package func release() throws(VerbenaError) {
        let attachments = try state.withLock { (state) throws(VerbenaError) in
            if state.own == nil { throw state.reason }
            return state.attachments.flatMap { entry in
                entry.engine.engine.map { engine in entry.attachment.buffers.map { ($0, engine) } } ?? []
            }
        }
        for (buffer, engine) in attachments where (try? engine.isInUse(buffer)) == true {
            throw VerbenaError(.configuration, "release: an operation on the buffer is under way; wait for it, then release")
        }
        end(with: VerbenaError(.closed, "the buffer was released"))
        // An engine that has stopped has let go of its memory by itself.
        for (buffer, engine) in attachments { try? engine.detach(buffer) }
        pool.forget(self)
    }

    /// From here on every use throws `reason`.
    func end(with reason: VerbenaError) {
        state.withLock { state in
            guard state.own != nil else { return }
            latest.store(Attachment.none.rawValue, ordering: .relaxed)
            state.reason = reason
            (state.own, state.staging, state.attachments) = (nil, nil, [])
        }
    }
}
