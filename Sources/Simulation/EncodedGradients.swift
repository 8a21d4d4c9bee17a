internal import Gradients
internal import Reduction

/// What comes of gradients that travel in a wire format, and what each rank keeps of it for the next step: said again stripe by stripe, without buckets, for all
/// ranks together.
struct EncodedGradients {
    private let layout: GradientLayout
    private let wire: WireFormat
    private let program: Program
    /// By rank, as bytes of the whole memory.
    private(set) var residuals: [[UInt8]]
    /// The average, as bytes of the whole memory.
    private(set) var result: [UInt8]

    init(_ training: Program.Training, _ program: Program) {
        (layout, wire, self.program) = (training.layout, training.wire, program)
        result = Array(repeating: 0, count: layout.byteCount)
        residuals = program.members.map { _ in Array(repeating: 0, count: training.layout.byteCount) }
    }

    /// - Parameter gradients: by rank.
    mutating func step(_ gradients: [[UInt8]]) {
        let stripe = program.stripeOfGradients(.float32)
        let ranks = program.worldSize
        for section in layout.sections.indices where layout.sections[section].type == .float32 {
            let elements = layout.byteRange(0..<layout.sections[section].elementCount, ofSection: section)
            var next = elements.lowerBound / 4
            while next < elements.upperBound / 4 {
                let end = min(elements.upperBound / 4, (next / stripe + 1) * stripe)
                let bytes = 4 * next..<4 * end
                let owner = program.owner(of: next, stripe: stripe)
                var sum = Array(gradients[owner][bytes])
                for turn in 1..<ranks {
                    let sender = (owner + turn) % ranks
                    let (left, theirs) = (sum, sent(Array(gradients[sender][bytes]), by: sender, bytes))
                    // SAFETY: the arrays are borrowed for the call.
                    unsafe Kernels.combine(
                        .average, .float32, left, theirs, into: &sum, count: end - next,
                        averaging: Averaging(ranks: ranks, partials: turn > 1 ? 1 : 0, isFinal: turn == ranks - 1))
                }
                result.replaceSubrange(bytes, with: sent(sum, by: owner, bytes))
                next = end
            }
        }
    }

    /// What arrives of a rank's elements; what does not is left in its residuals.
    private mutating func sent(_ values: [UInt8], by rank: Int, _ range: Range<Int>) -> [UInt8] {
        let count = values.count / 4
        var rest = Array(residuals[rank][range])
        var encoded = Array(repeating: UInt8(0), count: wire.byteCount(of: count))
        var back = values
        // SAFETY: as above.
        unsafe Kernels.encode(wire, values, residual: &rest, into: &encoded, count: count)
        unsafe Kernels.decode(wire, encoded, into: &back, count: count)
        residuals[rank].replaceSubrange(range, with: rest)
        return back
    }
}
