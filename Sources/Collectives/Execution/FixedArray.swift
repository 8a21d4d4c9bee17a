/// A fixed number of elements at a fixed place: reading and writing one costs neither a reference count nor a check for other holders. A copy is another
/// name for the same elements.
// SAFETY: the storage is held as long as this value, and every index is checked.
@safe
@usableFromInline
struct FixedArray<Element> {
    private let storage: Storage<Element>
    @usableFromInline let base: UnsafeMutablePointer<Element>
    @usableFromInline let count: Int

    init(_ elements: [Element]) {
        storage = Storage(elements)
        unsafe base = storage.base
        count = elements.count
    }

    var indices: Range<Int> { 0..<count }

    /// The place of an element, good as long as this value: for code that touches so many of its fields that finding it for each would be most of the work.
    @inline(__always)
    func address(of index: Int) -> UnsafeMutablePointer<Element> {
        precondition(index >= 0 && index < count)
        return unsafe base + index
    }

    @inlinable
    subscript(index: Int) -> Element {
        _read {
            precondition(index >= 0 && index < count)
            yield unsafe base[index]
        }
        nonmutating _modify {
            precondition(index >= 0 && index < count)
            yield unsafe &base[index]
        }
    }
}
