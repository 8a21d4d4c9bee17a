internal import Collectives
public import Engine
public import Reduction
internal import Synchronization

// Memory is the job's (`MemoryPool`), whichever communicator takes it. What a communicator must have is a number for it, and the peers' descriptors.
extension Communicator {
    /// Allocates `count` zeroed elements that the engine can exchange without a copy. Collective; a count may be 0.
    /// - Throws: ranks that ask for different memory are told so; so is a machine that has not enough for all of its ranks.
    public func allocate<E: Element>(_: E.Type = E.self, count: Int) throws(VerbenaError) -> Buffer<E> {
        Buffer(try allocate(E.elementType, count: count))
    }

    /// The same for an element type that is a value.
    public func allocate(_ type: ElementType, count: Int) throws(VerbenaError) -> RawBuffer {
        let (bytes, overflow) = max(count, 0).multipliedReportingOverflow(by: type.byteCount)
        guard count >= 0, !overflow else { throw VerbenaError(.configuration, "a buffer of \(count) elements; give 0 or more, and fewer") }
        try agreeOnMemory("\(count) \(type)", byteCount: bytes)
        return try make("allocating \(bytes) bytes", type, count) { () throws(VerbenaError) in try job.pool.allocate(byteCount: bytes) }
    }

    /// Makes memory of the caller's own a buffer: the tensors of a framework, say. Collective: every rank gives as many elements of the same type.
    ///
    /// Verbs registers the memory itself, and exchanges it without a copy. Where some rank's fabric cannot, in shared memory or between machines of
    /// several ranks, the communicator *stages* the buffer on all (`stages`): the engine takes as much memory again. In shared memory, allReduce,
    /// reduceScatter, allGather and allToAll go without it, tile by tile through the receive buffers: as fast as on memory of the engine's up to 32 KiB,
    /// and 1.3 to 3.5 times as long above (docs/PERFORMANCE.md). Every other operation copies what it reads here into the staging memory before it
    /// begins, and what it has written out of it in the end (`wait`, where it was started): two passes over the memory, on the caller's thread.
    /// `allocate` costs none of that.
    ///
    /// - Parameter memory: the caller keeps it, at this place, until `release`, or until the communicator of all ranks is closed.
    /// - Throws: as `allocate`.
    @unsafe
    public func register<E: Element>(_ memory: UnsafeMutableBufferPointer<E>) throws(VerbenaError) -> Buffer<E> {
        // SAFETY: the caller keeps the memory.
        Buffer(unsafe try register(UnsafeMutableRawPointer(memory.baseAddress), E.elementType, count: memory.count))
    }

    /// The same for an element type that is a value.
    /// - Parameter memory: nil where there are no elements.
    @unsafe
    public func register(_ memory: UnsafeMutableRawPointer?, _ type: ElementType, count: Int) throws(VerbenaError) -> RawBuffer {
        let bytes = count * type.byteCount
        // Counted as if it were staged: whether it is comes out later.
        try agreeOnMemory("\(count) \(type) of the caller's", byteCount: bytes)
        return try make("registering \(bytes) bytes", type, count) { () throws(VerbenaError) in
            // SAFETY: the caller keeps the memory.
            if let memory = unsafe memory, bytes > 0 { return unsafe job.pool.adopt(memory, byteCount: bytes) }
            return try job.pool.allocate(byteCount: 0)
        }
    }

    /// All memory of this process as elements of a type: for operations on memory that was neither allocated nor registered, such as the tensors of a framework, at
    /// whatever places they lie on each rank. Nothing is exchanged for it. The element at address A has the index (A - `bytes.baseAddress`) / the element's
    /// size, and is aligned.
    ///
    /// allReduce, reduceScatter, allGather and allToAll of equal counts take slices of it, blocking or started; every rank has to give such a slice then. What a slice
    /// names has to stay mapped until the operation's end: this cannot be checked.
    /// - Throws: `.configuration` where ranks do not share the memory of one machine: use `register`.
    @unsafe
    public func ownMemory(_ type: ElementType) throws(VerbenaError) -> RawBuffer {
        guard let wholeMemory else {
            throw VerbenaError(
                .configuration, "ownMemory: only ranks that share the memory of one machine exchange what was not registered; use register")
        }
        return RawBuffer(wholeMemory, type: type, count: wholeMemory.byteCount / type.byteCount)
    }

    private func make(
        _ what: String, _ type: ElementType, _ count: Int, _ take: () throws(VerbenaError) -> PooledMemory
    ) throws(VerbenaError) -> RawBuffer {
        do throws(VerbenaError) {
            let memory = try take()
            try attach(memory)
            return RawBuffer(memory, type: type, count: count)
        } catch {
            throw error.agreed(with: group, during: what)
        }
    }

    /// Makes a buffer that another communicator of the job made known to this one. Collective; ranks may bring different buffers: each that of its
    /// own group, say. A collective does so by itself at the buffer's first use, on all ranks or on none; transfers between two ranks need it first.
    /// - Throws: `.closed` where the buffer was released; `.configuration` where it is of another job.
    public func attach<B: Exchangeable>(_ buffer: B) throws(VerbenaError) {
        let memory = buffer.raw.memory
        if try knownAttachment(of: memory) == nil { try attachAgreed(memory) }
    }

    /// Whether operations of this communicator may copy what they read of the buffer into memory of the engine's, and what they write out of it; see `register`.
    public func stages<B: Exchangeable>(_ buffer: B) -> Bool { (try? knownAttachment(of: buffer.raw.memory))?.isStaged ?? false }

    /// What this communicator knows the buffer by: two loads as a rule.
    @inline(__always)
    func attachment(of buffer: RawBuffer, for collective: Collective) throws(VerbenaError) -> PooledMemory.Attachment {
        let latest = PooledMemory.Attachment(rawValue: buffer.memory.latest.load(ordering: .relaxed))
        return latest.communicator == number ? latest : try findAttachment(of: buffer.memory, for: collective)
    }

    @inline(never)
    private func findAttachment(of memory: PooledMemory, for collective: Collective) throws(VerbenaError) -> PooledMemory.Attachment {
        if let known = try knownAttachment(of: memory) { return known }
        if collective.peer != nil {
            throw VerbenaError(
                .configuration,
                "\(collective): the communicator of \(group) does not know the buffer; have all of its ranks call attach first")
        }
        try attachAgreed(memory)
        guard let known = try knownAttachment(of: memory) else { throw .communicatorClosed }
        return known
    }

    private func knownAttachment(of memory: PooledMemory) throws(VerbenaError) -> PooledMemory.Attachment? {
        guard memory.isPart(of: job.pool) else {
            throw VerbenaError(.configuration, "the buffer belongs to another job; allocate or register one in this")
        }
        let known = try memory.attachment(of: number)
        if known == nil, memory.isWhole {
            throw VerbenaError(.configuration, "the process's memory was asked of another communicator; ask this one for it")
        }
        return known
    }

    private func attachAgreed(_ memory: PooledMemory) throws(VerbenaError) {
        do throws(VerbenaError) { try attach(memory) } catch { throw error.agreed(with: group, during: "attaching a buffer") }
    }

    private func attach(_ memory: PooledMemory) throws(VerbenaError) {
        try memory.attach(
            to: engine, of: number, exchange: { (descriptor) throws(VerbenaError) in try allGather(descriptor, label: "memory") },
            willStage: { () throws(VerbenaError) in try agreeOnMemory("staging memory", byteCount: memory.byteCount) })
    }

    /// See `JobFacts.agreeOnMemory`.
    private func agreeOnMemory(_ what: String, byteCount: Int) throws(VerbenaError) {
        guard !core.isClosed else { throw .communicatorClosed }
        try job.agreeOnMemory(what, byteCount: byteCount, group, "use smaller buffers", collectivesBegun: engine.collectivesBegun)
    }
}
