internal import Collectives
internal import Fabric
public import Reduction

/// Memory that the engine exchanges without a copy: `count` elements, page-aligned, zero at first.
///
/// Ownership: the memory lives until its communicator closes; the buffer keeps the communicator alive, not open. Between the beginning and the
/// end of a collective on it, its contents belong to the engine.
// Sendable without the compiler's proof: a handle; the rule above says who touches the elements when.
@safe
public final class Buffer<E: Element>: @unchecked Sendable {
    public let count: Int
    let shared: SharedBuffer
    private let region: Region
    private let owner: Communicator

    init(shared: SharedBuffer, region: Region, count: Int, owner: Communicator) {
        self.shared = shared
        self.region = region
        self.count = count
        self.owner = owner
    }

    /// The elements; valid until the communicator is closed.
    @unsafe
    public var elements: UnsafeMutableBufferPointer<E> {
        // SAFETY: the region lives until the communicator closes, as the property's contract says, and was allocated for `count` elements.
        unsafe UnsafeMutableBufferPointer(start: region.base.assumingMemoryBound(to: E.self), count: count)
    }

    /// The same memory as elements of another type, as many as there is room for: one buffer does for several types.
    public func viewed<Other: Element>(as _: Other.Type = Other.self) -> Buffer<Other> {
        let bytes = count * MemoryLayout<E>.stride
        return Buffer<Other>(shared: shared, region: region, count: bytes / MemoryLayout<Other>.stride, owner: owner)
    }
}
