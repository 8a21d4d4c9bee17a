/// A fixed number of elements at a fixed place: reading and writing one costs neither a reference count nor a check for other holders.
// SAFETY (whole type): the memory is initialised in `init`, lives as long as this value, which cannot be copied, and every index is checked.
@safe
struct FixedArray<Element>: ~Copyable {
    private let base: UnsafeMutablePointer<Element>
    let count: Int

    init(_ elements: [Element]) {
        count = elements.count
        unsafe base = .allocate(capacity: max(1, count))
        for index in elements.indices { unsafe (base + index).initialize(to: elements[index]) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }

    var indices: Range<Int> { 0..<count }

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

/// A list that is filled and emptied over and over; grows where it must, and keeps what it has grown to.
// SAFETY (whole type): elements need no clean-up; the memory lives as long as this value; every index is checked.
@safe
@usableFromInline
struct Batch<Element: BitwiseCopyable>: ~Copyable {
    private var base: UnsafeMutablePointer<Element>
    private var capacity: Int
    @usableFromInline private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(1, capacity)
        unsafe base = .allocate(capacity: self.capacity)
    }

    deinit { unsafe base.deallocate() }

    @usableFromInline var isEmpty: Bool { count == 0 }

    @usableFromInline subscript(index: Int) -> Element {
        precondition(index >= 0 && index < count)
        return unsafe base[index]
    }

    mutating func append(_ element: Element) {
        if count == capacity { grow() }
        unsafe (base + count).initialize(to: element)
        count += 1
    }

    @usableFromInline mutating func removeAll() { count = 0 }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: 2 * capacity)
        unsafe larger.update(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = larger
        capacity *= 2
    }
}
