internal import Reduction

/// Memory of one element type, freed with the last who holds it.
// SAFETY: allocated in `init`, freed in `deinit`.
@safe
@usableFromInline
final class Storage<Element> {
    let base: UnsafeMutablePointer<Element>
    private let count: Int

    init(_ elements: [Element]) {
        count = elements.count
        unsafe base = .allocate(capacity: max(1, count))
        for index in elements.indices { unsafe (base + index).initialize(to: elements[index]) }
    }

    deinit {
        unsafe base.deinitialize(count: count)
        unsafe base.deallocate()
    }
}

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

    /// Has the caches fetch these elements, as far as there are such; see `StateMachine.prefetch`.
    func prefetch(_ range: Range<Int>) {
        let range = range.clamped(to: indices)
        // SAFETY: nothing is read through the address.
        unsafe Kernels.prefetch(base + range.lowerBound, byteCount: range.count * MemoryLayout<Element>.stride)
    }

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

    func prefetch() { elements.prefetch(0..<1) }
}

/// The place of each rank in a list of peers, -1 for those that are not in it. A list of few, as in a simulated ring of thousands, is searched: a table for
/// all ranks would be a page of memory a rank.
struct PeerSlots {
    private let table: FixedArray<Int32>
    private let isTable: Bool

    /// Lists of up to so many are searched, where the world is larger.
    private static let mostSearched = 16

    init(_ peers: [Int], worldSize: Int) {
        isTable = worldSize <= 4 * Self.mostSearched || peers.count > Self.mostSearched
        guard isTable else {
            table = FixedArray(peers.map { Int32($0) })
            return
        }
        var slots = Array(repeating: Int32(-1), count: worldSize)
        for (slot, peer) in peers.enumerated() { slots[peer] = Int32(slot) }
        table = FixedArray(slots)
    }

    subscript(peer: Int) -> Int32 {
        if isTable { return table[peer] }
        for slot in table.indices where Int(table[slot]) == peer { return Int32(truncatingIfNeeded: slot) }
        return -1
    }

    func prefetch() { if !isTable { table.prefetch(table.indices) } }
}
