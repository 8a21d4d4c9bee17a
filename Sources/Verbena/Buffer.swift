internal import Collectives
public import Engine
public import Reduction

/// Elements that the engine exchanges: all that `Communicator.allocate` or `register` gave, or a slice of them (`buffer[range]`).
///
/// Every communicator of the job takes every buffer of the job: to one that does not know a buffer yet, the first collective makes it known (`Communicator.attach`).
/// Between the beginning and the end of a collective on it, its contents belong to the engine.
///
/// Ownership: memory of `allocate` is page-aligned and zero at first; that of `register` is the caller's. It stays until `release` or until the communicator of
/// all ranks has closed; a use after that throws `.closed`. Buffers are handles: a copy is another handle of the same memory, and frees nothing.
public struct Buffer<E: Element>: Exchangeable {
    /// The same elements, with their type as a value.
    public let raw: RawBuffer

    init(_ raw: RawBuffer) { self.raw = raw }

    public var count: Int { raw.count }

    /// A part of the elements. Ranks that exchange slices give slices that begin at the same place of their buffers; in transfers between two ranks, each
    /// end has a place of its own. A range outside the buffer traps.
    public subscript(range: some RangeExpression<Int>) -> Buffer<E> { Buffer(raw[range]) }

    /// The same memory as elements of another type, as many as there is room for: one buffer does for several types.
    public func viewed<Other: Element>(as _: Other.Type = Other.self) -> Buffer<Other> { Buffer<Other>(raw.viewed(as: Other.elementType)) }

    /// See `RawBuffer.release`.
    public func release() throws(VerbenaError) { try raw.release() }

    // MARK: access

    /// The elements; valid until `release`, or until the communicator of all ranks is closed. Asking for those of the engine's memory afterwards traps
    /// with a message.
    @unsafe
    public var elements: UnsafeMutableBufferPointer<E> {
        // SAFETY: the memory is of `count` elements of this type, and stays as said above.
        unsafe UnsafeMutableBufferPointer(start: raw.start.assumingMemoryBound(to: E.self), count: count)
    }

    /// Lets `body` read the elements, within their bounds. The memory stays until it has returned. After the buffer's end this traps with a message.
    public func withElements<R, Failure: Error>(_ body: (Span<E>) throws(Failure) -> R) throws(Failure) -> R {
        let keeper = raw.keeper
        defer { extendLifetime(keeper) }
        // SAFETY: the keeper is held until `body` has returned.
        let pointer = unsafe UnsafeBufferPointer(elements)
        return try body(unsafe pointer.span)
    }

    /// The same for reading and writing. No other access to these elements may go on meanwhile.
    public func withMutableElements<R, Failure: Error>(_ body: (inout MutableSpan<E>) throws(Failure) -> R) throws(Failure) -> R {
        let keeper = raw.keeper
        defer { extendLifetime(keeper) }
        // SAFETY: as in `withElements`.
        let pointer = unsafe elements
        var span = unsafe pointer.mutableSpan
        return try body(&span)
    }
}

extension Operation {
    /// Elements of the input's buffer that the operation reads on this rank.
    func readRange(rank: Int, worldSize: Int) -> Range<Int> {
        moved(extents(worldSize: worldSize).input(of: rank), to: input)
    }

    /// Elements of the output's buffer that the operation's result fills on this rank.
    func writtenRange(rank: Int, worldSize: Int) -> Range<Int> {
        moved(extents(worldSize: worldSize).output(of: rank), to: output)
    }

    private func moved(_ range: Range<Int>, to place: Place) -> Range<Int> {
        let first = place.byteOffset / type.byteCount
        return first + range.lowerBound..<first + range.upperBound
    }
}
