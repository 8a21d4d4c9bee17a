/// A list that is filled and emptied over and over, of a capacity that its owner never exceeds.
@usableFromInline
struct Batch<Element: BitwiseCopyable> {
    @usableFromInline let elements: FixedArray<Element>
    @usableFromInline private(set) var count = 0

    /// - Parameter filler: what stands in the places that hold nothing.
    init(capacity: Int, filler: Element) { elements = FixedArray(Array(repeating: filler, count: capacity)) }

    @usableFromInline var isEmpty: Bool { count == 0 }
    var isFull: Bool { count == elements.count }

    @inlinable
    subscript(index: Int) -> Element {
        _read { yield elements[index] }
        nonmutating _modify { yield &elements[index] }
    }

    mutating func append(_ element: Element) {
        elements[count] = element
        count += 1
    }

    @usableFromInline mutating func removeAll() { count = 0 }
}
