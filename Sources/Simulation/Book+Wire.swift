internal import Reduction

// What comes of operations in a wire format: said again stripe by stripe, without windows, with the same kernels.
extension Book {
    /// The operation's stripes, by elements.
    func stripes(of operation: Program.Planned) -> [Range<Int>] {
        let start = (layout.offsets[operation.place] ?? 0) / operation.type.byteCount
        var stripes: [Range<Int>] = []
        var next = 0
        while next < operation.count {
            let end = min(operation.count, next + operation.stripe - (start + next) % operation.stripe)
            stripes.append(next..<end)
            next = end
        }
        return stripes
    }

    func part(_ bytes: [UInt8], _ elements: Range<Int>) -> [UInt8] { Array(bytes[4 * elements.lowerBound..<4 * elements.upperBound]) }

    /// What arrives of elements.
    func sent(_ bytes: [UInt8], as wire: WireFormat) -> [UInt8] {
        let count = bytes.count / 4
        var encoded = Array(repeating: UInt8(0), count: wire.byteCount(of: count))
        var back = bytes
        // SAFETY: the arrays are borrowed for the calls.
        unsafe Kernels.encode(wire, bytes, residual: nil, into: &encoded, count: count)
        unsafe Kernels.decode(wire, encoded, into: &back, count: count)
        return back
    }

    /// Of an allReduce what all hold, of a reduceStripes what the owners do: the owner's part, which does not travel, then those of the ranks after it.
    func reducedInWireFormat(_ operation: Program.Planned) -> [UInt8] {
        let (inputs, ranks) = (inputs(operation), program.worldSize)
        let isWhole = operation.kind == .collective(.allReduce)
        return stripes(of: operation).flatMap { stripe in
            let owner = owner(of: stripe.lowerBound, operation)
            var sum = part(inputs[owner], stripe)
            for turn in 1..<max(1, ranks) {
                let theirs = sent(part(inputs[(owner + turn) % ranks], stripe), as: operation.wire)
                let left = sum
                // SAFETY: as above.
                unsafe Kernels.combine(
                    operation.reduction, operation.type, left, theirs, into: &sum, count: stripe.count,
                    averaging: Averaging(ranks: ranks, partials: turn > 1 ? 1 : 0, isFinal: turn == ranks - 1))
            }
            return isWhole && ranks > 1 ? sent(sum, as: operation.wire) : sum
        }
    }
}
