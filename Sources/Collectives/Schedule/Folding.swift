/// The folds that turn everyone's input, in the eager slots, into an allreduce's result.
struct Folding: Equatable, Sendable {
    let shape: Shape

    init(_ shape: Shape) { self.shape = shape }

    /// Two ranks' order makes no difference; else one fold a segment, or a stripe, in its own order.
    private var segments: Int { shape.worldSize == 2 ? min(1, shape.count) : min(shape.worldSize, shape.count) }
    private var isByStripe: Bool { shape.isStriped && shape.worldSize > 2 }
    private var nodes: Int { shape.topology.nodeCount }
    private var slices: Int { shape.topology.places }

    var count: Int {
        if isByStripe { return shape.stripes.total }
        return shape.count > 0 && shape.topology.isNested ? slices * nodes : segments
    }

    subscript(index: Int) -> Action {
        if isByStripe { return stripe(index) }
        guard shape.topology.isNested else {
            let range = part(index, of: segments, in: 0..<shape.count)
            return fold(.eager(first: index, start: range.lowerBound, inputStart: range.lowerBound), range)
        }
        let (slice, segment) = index.quotientAndRemainder(dividingBy: nodes)
        let range = part(segment, of: nodes, in: part(slice, of: slices, in: 0..<shape.count))
        return fold(.eagerNodes(first: segment, start: range.lowerBound), range)
    }

    private func stripe(_ index: Int) -> Action {
        let range = shape.stripes[index]
        // The station after the owner's begins.
        let station = shape.stripes.owner(of: index) / (shape.topology.isNested ? slices : 1) + 1
        guard shape.topology.isNested else {
            return fold(.eager(first: station % shape.worldSize, start: range.lowerBound, inputStart: range.lowerBound), range)
        }
        return fold(.eagerNodes(first: station % nodes, start: range.lowerBound), range)
    }

    private func fold(_ sources: Fold.Sources, _ range: Range<Int>) -> Action {
        .fold(Fold(sources, into: .location(.output(range.lowerBound)), count: range.count, isFinal: true))
    }
}
