/// A binomial tree for smaller broadcasts and reductions: ceil(log2 N) messages of delay.
///
/// Seen from the root, rank v's parent is v without its lowest set bit. A reduction takes the children's parts into one slot each and adds
/// them in their order, so it must fit a slot.
public struct Tree: Equatable, Sendable {
    let shape: Shape
    /// This rank's number, counted from the root.
    let place: Int
    let children: Int
    let isReduce: Bool

    init(_ shape: Shape) {
        self.shape = shape
        if case .reduce = shape.collective { isReduce = true } else { isReduce = false }
        place = (shape.rank - shape.collective.root + shape.worldSize) % shape.worldSize
        let reach = place == 0 ? Int.bitWidth - (shape.worldSize - 1).leadingZeroBitCount : place.trailingZeroBitCount
        let place = place
        children = (0..<reach).count { place + 1 << $0 < shape.worldSize }
    }

    private var isRoot: Bool { place == 0 }
    private func rank(at place: Int) -> Int { (place + shape.collective.root) % shape.worldSize }
    private var parent: Int { rank(at: place & (place - 1)) }
    private func child(_ index: Int) -> Int { rank(at: place + 1 << index) }

    public var count: Int { isReduce ? 2 * children + 3 : 2 + 2 * children }

    public subscript(index: Int) -> Step { isReduce ? reduceStep(index) : broadcastStep(index) }

    /// Children that have children of their own send sums; the first source is the own input.
    private var partials: UInt64 {
        (0..<children).reduce(0) { partials, child in
            let child = (place: place + 1 << child, source: UInt64(child + 1))
            return child.place % 2 == 0 && child.place + 1 < shape.worldSize ? partials | 1 << child.source : partials
        }
    }

    private func broadcastStep(_ index: Int) -> Step {
        switch index {
        case 0: return isRoot ? Step(action: shape.copyOwn(from: 0, to: 0)) : Step(send: .signal(parent))
        case 1: return Step(receive: isRoot ? nil : parent)
        default:
            // The child with the most ranks behind it first.
            let (turn, part) = (index - 2).quotientAndRemainder(dividingBy: 2)
            let peer = child(children - 1 - turn)
            if part == 0 { return Step(receive: peer) }
            return Step(send: Send(peer: peer, from: isRoot ? .input(0) : .output(0), to: .output(0), count: shape.count))
        }
    }

    private func reduceStep(_ index: Int) -> Step {
        if index < children { return Step(send: .signal(child(index))) }
        if index < 2 * children { return Step(receive: child(index - children)) }
        let result = Location.gated(slot: children)
        switch index - 2 * children {
        case 0:
            guard isRoot || children > 0 else { return Step() }
            return Step(
                action: .fold(
                    Fold(
                        .inputAndSlots(start: 0, slots: 0..<children), into: .location(isRoot ? .output(0) : result), count: shape.count,
                        isFinal: isRoot, partials: partials)))
        case 1: return Step(receive: isRoot ? nil : parent)
        default:
            guard !isRoot else { return Step() }
            let slot = place.trailingZeroBitCount  // This rank's number among the parent's children.
            return Step(
                send: Send(peer: parent, from: children > 0 ? result : .input(0), to: .gated(slot: slot), count: shape.count))
        }
    }
}
