internal import Collectives
internal import Engine
public import Reduction
internal import Synchronization

/// Memory that the engine exchanges: `count` elements.
///
/// Ownership: memory of `Communicator.allocate` is page-aligned, zero at first, and lives until its communicator closes; that of `register` is the
/// caller's. The buffer keeps the communicator alive, not open. Only the communicator that made a buffer exchanges it. Between the beginning
/// and the end of a collective on it, its contents belong to the engine.
// Sendable without the compiler's proof: a handle; the rule above says who touches the elements when.
@safe
public final class Buffer<E: Element>: @unchecked Sendable {
    public let count: Int
    let shared: SharedBuffer
    private let base: UnsafeMutableRawPointer?
    /// Whether the memory at `base` outlives the communicator.
    private let isCallers: Bool
    /// What the engine exchanges in place of `base`.
    private let staging: StagingMemory?
    let owner: Communicator
    /// The owner, to compare without retaining it.
    private let ownerIdentifier: ObjectIdentifier

    /// - Parameters:
    ///   - base: where the caller has the elements.
    ///   - isCallers: whether it is the caller's memory, not the engine's.
    ///   - staging: as many elements of the engine's, where it cannot exchange those at `base`.
    init(
        shared: SharedBuffer, base: UnsafeMutableRawPointer?, isCallers: Bool = false, staging: StagingMemory? = nil, count: Int,
        owner: Communicator
    ) {
        self.shared = shared
        // SAFETY: it lives until the communicator closes, as the type says.
        unsafe self.base = base
        self.isCallers = isCallers
        self.staging = staging
        self.count = count
        self.owner = owner
        ownerIdentifier = ObjectIdentifier(owner)
    }

    /// The elements; valid until the communicator is closed. Asking for those of the engine's memory afterwards traps with a message.
    @unsafe
    public var elements: UnsafeMutableBufferPointer<E> {
        guard isCallers || !owner.core.isClosed else {
            fatalError("elements of a buffer whose communicator was closed: its memory went with that; read it before close()")
        }
        // SAFETY: the memory lives until the communicator closes, as the property's contract says, and is of `count` elements.
        return unsafe UnsafeMutableBufferPointer(start: base?.assumingMemoryBound(to: E.self), count: count)
    }

    /// Whether every operation copies what it reads into memory of the engine's, and what it writes out of it; see `Communicator.register`.
    @inline(__always)
    public var isStaged: Bool { staging != nil }

    @inline(__always)
    func isOwned(by communicator: Communicator) -> Bool { ownerIdentifier == ObjectIdentifier(communicator) }

    /// Copies elements into the engine's memory, where there is such a copy.
    /// - Throws: `.closed`, where the communicator has taken that with it.
    func stageIn(_ range: Range<Int>) throws(VerbenaError) {
        guard let staging, let base = unsafe base else { return }
        let (offset, byteCount) = Self.bytes(range)
        // SAFETY: both are of `count` elements, of which the range is a part; the caller keeps those at `base`.
        unsafe try staging.use { unsafe ($0 + offset).copyMemory(from: base + offset, byteCount: byteCount) }
    }

    /// Copies elements out of the engine's memory, where there is such a copy.
    /// - Throws: as `stageIn`.
    func stageOut(_ range: Range<Int>) throws(VerbenaError) {
        guard let staging, let base = unsafe base else { return }
        let (offset, byteCount) = Self.bytes(range)
        // SAFETY: as in `stageIn`.
        unsafe try staging.use { unsafe (base + offset).copyMemory(from: $0 + offset, byteCount: byteCount) }
    }

    /// The same memory as elements of another type, as many as there is room for: one buffer does for several types.
    public func viewed<Other: Element>(as _: Other.Type = Other.self) -> Buffer<Other> {
        let room = count * MemoryLayout<E>.stride / MemoryLayout<Other>.stride
        // SAFETY: the same memory under the same owner, and no more of it.
        return unsafe Buffer<Other>(shared: shared, base: base, isCallers: isCallers, staging: staging, count: room, owner: owner)
    }

    private static func bytes(_ range: Range<Int>) -> (offset: Int, byteCount: Int) {
        (range.lowerBound * MemoryLayout<E>.stride, range.count * MemoryLayout<E>.stride)
    }
}

extension Buffer: StagedOutput {}

extension Operation {
    /// Elements of the input's buffer that the operation reads on this rank.
    func readRange(rank: Int, worldSize: Int) -> Range<Int> {
        let first = input.byteOffset / type.byteCount
        switch collective {
        case .allReduce, .reduce, .send: return first..<first + count
        case .reduceScatter, .allToAll: return first..<first + worldSize * count
        case .broadcast(let root): return first..<first + (rank == root ? count : 0)
        case .scatter(let root): return first..<first + (rank == root ? worldSize * count : 0)
        case .allGather, .gather:
            let start = first + (isInPlace ? rank * count : 0)
            return start..<start + count
        case .barrier, .receive: return 0..<0
        }
    }

    /// Elements of the output's buffer that the operation's result fills on this rank.
    func writtenRange(rank: Int, worldSize: Int) -> Range<Int> {
        let first = output.byteOffset / type.byteCount
        switch collective {
        case .allReduce, .broadcast, .receive: return first..<first + count
        case .allGather, .allToAll: return first..<first + worldSize * count
        case .reduce(let root): return first..<first + (rank == root ? count : 0)
        case .gather(let root): return first..<first + (rank == root ? worldSize * count : 0)
        case .reduceScatter, .scatter:
            let start = first + (isInPlace ? rank * count : 0)
            return start..<start + count
        case .barrier, .send: return 0..<0
        }
    }
}
