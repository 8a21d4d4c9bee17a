/// First in, first out: a ring that grows to at most twice what ever waited at once, and no further.
@usableFromInline
struct Queue<Element> {
    /// `elements[(head + i) mod capacity]` is the i-th of `count`; what is beyond those is old. The capacity is a power of two.
    private var elements = FixedArray<Element>([])
    private var head = 0
    /// Kept here: every event asks for it, when the elements are in no cache.
    @usableFromInline private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var capacity: Int { elements.count }
    var first: Element? { count > 0 ? self[0] : nil }

    func contains(where isWanted: (Element) -> Bool) -> Bool { (0..<count).contains { isWanted(self[$0]) } }

    @inline(__always)
    mutating func append(_ element: Element) {
        if count == elements.count { grow(filler: element) }
        elements[(head + count) & (elements.count - 1)] = element
        count += 1
    }

    /// There is one.
    mutating func removeFirst() {
        count -= 1
        // A queue that is often empty stays in one line of the cache.
        head = count == 0 ? 0 : (head + 1) & (elements.count - 1)
    }

    private subscript(index: Int) -> Element { elements[(head + index) & (elements.count - 1)] }

    @inline(never)
    private mutating func grow(filler: Element) {
        elements = FixedArray((0..<count).map { self[$0] } + Array(repeating: filler, count: max(8, count)))
        head = 0
    }
}
