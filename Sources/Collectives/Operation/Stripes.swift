/// Who owns which elements of a striped operation.
///
/// A stripe is a fixed number of elements in a row, counted from the beginning of the *buffer*; the owners take stripes in turn. So the owner of an
/// element, which alone decides in what order it is summed, does not depend on where the operation begins and ends: the first and
/// the last stripe of an operation may be parts of one. Elements are counted from the beginning of the operation here.
///
/// With stripes of 4 elements, 3 owners, and an operation on elements 6 ..< 19 of the buffer:
///
///     buffer     6 7 | 8 9 10 11 | 12 13 14 15 | 16 17 18
///     stripe       0           1             2          3
///     owner        1           2             0          1
public struct Stripes: Equatable, Sendable {
    /// Of a whole stripe; 0 where the operation has none.
    public let elements: Int
    /// Ranks that own stripes; see `Topology.owners`.
    public let owners: Int
    /// Elements of the operation.
    public let count: Int
    /// Where it begins, counted from the beginning of a stripe of owner 0.
    private let start: Int

    /// - Parameters:
    ///   - elements: of a stripe; 0: the operation has none.
    ///   - start: the operation's first element, counted from the beginning of its buffer.
    public init(elements: Int, owners: Int, start: Int, count: Int) {
        self.elements = elements
        self.owners = owners
        // Only where it is in the owners' turn counts: schedules of the same stripes are equal.
        self.start = elements > 0 ? start % (elements * owners) : 0
        self.count = elements > 0 ? count : 0
    }

    private var first: Int { start / elements }

    /// Stripes that the operation touches.
    public var total: Int { count > 0 ? (start + count - 1) / elements + 1 - first : 0 }

    /// As many as the owner of the most has, or one more.
    public var mostOfAnOwner: Int { (total + owners - 1) / owners }

    /// Stripe `index` of the operation, in the order of elements.
    public subscript(index: Int) -> Range<Int> {
        let lower = (first + index) * elements - start
        return max(0, lower)..<min(count, lower + elements)
    }

    /// The owner of stripe `index` of the operation.
    public func owner(of index: Int) -> Int { (first + index) % owners }

    /// Stripe `index` of those that the owner has in the operation: empty beyond its last.
    public func stripe(_ index: Int, of owner: Int) -> Range<Int> {
        let number = number(index, of: owner)
        return number < total ? self[number] : count..<count
    }

    /// Stripes that the owner has in the operation.
    public func count(of owner: Int) -> Int { max(0, total - number(0, of: owner) + owners - 1) / owners }

    private func number(_ index: Int, of owner: Int) -> Int {
        elements > 0 ? (owner - first % owners + owners) % owners + index * owners : 0
    }
}

extension Topology {
    /// Ranks that own stripes: in a nested world those at the places that every node has, for they are who sums there; else all.
    public var owners: Int { isNested ? places * nodeCount : worldSize }

    /// The owner that a rank is; nil of one that owns nothing.
    public func owner(_ rank: Int) -> Int? {
        guard isNested else { return rank }
        let local = local(of: rank)
        return local < places ? node(of: rank) * places + local : nil
    }
}

extension Operation {
    /// Where its stripes lie; with no elements where it has none.
    public func stripes(in topology: Topology) -> Stripes {
        Stripes(elements: stripe, owners: topology.owners, start: input.byteOffset / type.byteCount, count: count)
    }
}
