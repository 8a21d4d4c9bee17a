internal import CElements

/// What the trainer does element by element, by the kernels of one instruction set. All sets give the same bits.
/// The files beside this one have more: activations, normalisation, pooling, optimizers.
// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' memory alive, and shapes are checked here.
@safe
struct Elements: CustomStringConvertible {
    let set: UnsafePointer<ElementSet>

    /// The best of this processor.
    static var chosen: Elements { unsafe Elements(set: element_set_chosen()) }

    /// Those of this processor, best first. For tests.
    static var available: [Elements] {
        var sets: [Elements] = []
        while let set = unsafe element_set_at(sets.count) { unsafe sets.append(Elements(set: set)) }
        return sets
    }

    private init(set: UnsafePointer<ElementSet>) { unsafe self.set = set }

    var description: String { unsafe String(cString: set.pointee.name) }

    /// Has the caches fetch this memory, which need not exist.
    @unsafe
    static func prefetch(_ start: UnsafePointer<UInt8>, byteCount: Int) { unsafe element_prefetch(start, byteCount) }

    /// Scales bytes to 0...1. Both are `count` long.
    @unsafe
    func scale(_ bytes: UnsafePointer<UInt8>, into values: UnsafeMutablePointer<Float>, count: Int) {
        unsafe set.pointee.scale_bytes(bytes, values, count)
    }

    /// max(x, 0), in place; NaN stays NaN, so that divergence is not hidden.
    func rectify(_ values: Matrix) { unsafe set.pointee.rectify(values.dense, values.count) }

    /// Clears the gradient where the output of `rectify` was 0: dL/dx = dL/dy * (y > 0).
    func rectify(gradient: Matrix, output: Matrix) {
        invariant(output.count == gradient.count, "a ReLU's gradient has its output's shape")
        unsafe set.pointee.rectify_gradient(output.dense, gradient.dense, gradient.count)
    }

    /// The sum of each column, from the first row on.
    func sumColumns(of matrix: Matrix, into sums: Matrix) {
        invariant(sums.count == matrix.columns, "as many sums as columns")
        if matrix.rows == 0 { return sums.clear() }
        unsafe set.pointee.sum_columns(matrix.dense, matrix.rows, matrix.columns, sums.dense)
    }

    /// e^x of each x <= 0, in place; NaN of anything else. Error: below 0.51 units in the last place.
    ///
    /// Softmax puts it into every gradient, and C libraries differ in its last bit from version to version and between processors. This one gives the same
    /// bits everywhere.
    @unsafe
    func exponentials(_ values: UnsafeMutablePointer<Float>, count: Int) { unsafe set.pointee.exponentials(values, count) }
}
