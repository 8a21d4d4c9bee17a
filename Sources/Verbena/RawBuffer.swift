public import Engine
internal import Fabric
public import Reduction

/// What the ranks can exchange: elements whose type is known to the compiler (`Buffer`), or at run time only (`RawBuffer`).
public protocol Exchangeable: Sendable {
    var raw: RawBuffer { get }
}

/// A buffer, or a slice of one, whose element type is a value: for callers that learn it at run time. See `Buffer` for the rules.
public struct RawBuffer: Exchangeable {
    public let type: ElementType
    /// In elements.
    public let count: Int
    /// Where the elements begin in the memory.
    let byteOffset: Int
    let memory: PooledMemory

    init(_ memory: PooledMemory, type: ElementType, byteOffset: Int = 0, count: Int) {
        self.memory = memory
        self.type = type
        self.byteOffset = byteOffset
        self.count = count
    }

    public var raw: RawBuffer { self }

    /// A part of the elements; see `Buffer`.
    public subscript(range: some RangeExpression<Int>) -> RawBuffer {
        let part = range.relative(to: 0..<count)
        guard part.lowerBound >= 0, part.upperBound <= count else { fatalError("elements \(part) of a buffer of \(count)") }
        return RawBuffer(memory, type: type, byteOffset: byteOffset + part.lowerBound * type.byteCount, count: part.count)
    }

    /// The same memory as elements of another type, as many as there is room for. Traps where an element of that type cannot begin there.
    public func viewed(as other: ElementType) -> RawBuffer {
        guard byteOffset % other.byteCount == 0 else { fatalError("a slice from byte \(byteOffset) on cannot be viewed as \(other)") }
        return RawBuffer(memory, type: other, byteOffset: byteOffset, count: count * type.byteCount / other.byteCount)
    }

    /// The elements as bytes; valid as `Buffer.elements`.
    @unsafe
    public var bytes: UnsafeMutableRawBufferPointer {
        // SAFETY: the memory has so many bytes from there on.
        unsafe UnsafeMutableRawBufferPointer(start: start, count: count * type.byteCount)
    }

    /// Gives back the whole memory, of which this may be a slice: every buffer of it ends. What the engine took, staging memory included, goes back to the
    /// system; the caller's own is the caller's alone again. Not collective: every rank releases its own, at whatever time. Any thread.
    /// - Throws: `.configuration` where an operation on the memory is under way, and nothing is given back then; `.closed` the second time, and after
    ///   the communicator of all ranks has closed.
    public func release() throws(VerbenaError) { try memory.release() }

    /// - Throws: `.closed` after the end, when `bytes` may trap.
    package func checkOpen() throws(VerbenaError) { _ = try memory.lent() }

    @unsafe
    var start: UnsafeMutableRawPointer {
        if !memory.isCallers { _ = keeper }
        // SAFETY: the elements lie in the memory, which stays as `Buffer.elements` says.
        return unsafe memory.base + byteOffset
    }

    /// What keeps the memory in its place, for as long as it is held.
    var keeper: LentMemory {
        do throws(VerbenaError) { return try memory.lent() } catch {
            fatalError("elements of a buffer that is no more (\(error)): read it before close() and release()")
        }
    }

    /// Copies elements between the caller's memory and the engine's, where that stands in for it.
    /// - Parameter range: in elements from the beginning of the memory.
    func stageIn(_ range: Range<Int>) throws(VerbenaError) { try memory.stageIn(byteRange(range)) }

    func stageOut(_ range: Range<Int>) throws(VerbenaError) { try memory.stageOut(byteRange(range)) }

    private func byteRange(_ range: Range<Int>) -> Range<Int> { range.lowerBound * type.byteCount..<range.upperBound * type.byteCount }
}
