import Glibc

/// -log softmax(logits)[label], averaged over the batch.
enum SoftmaxCrossEntropy {
    /// The mean loss in nats, with its gradient with respect to the logits: (softmax - one-hot) / batch.
    /// Stable: the largest logit is taken off first, so that no exponential overflows.
    /// - Parameters:
    ///   - logits: batch x classes.
    ///   - labels: at least batch many, each a class.
    ///   - gradient: written, shaped as the logits.
    static func lossAndGradient(logits: Matrix, labels: [UInt8], gradient: Matrix) -> Double {
        invariant(logits.rows <= labels.count && gradient.rows == logits.rows && gradient.columns == logits.columns, "one label a row")
        var total = 0.0
        let scale = 1 / Float(logits.rows)
        for row in 0..<logits.rows {
            let label = Int(labels[row])
            invariant(label < logits.columns, "label \(label) is no class of \(logits.columns)")
            // SAFETY: the row is inside both matrices, whose makers keep them alive; the label is a column.
            let source = unsafe UnsafeBufferPointer(start: logits.base + row * logits.columns, count: logits.columns)
            let target = unsafe gradient.base + row * logits.columns
            let (largest, sum) = unsafe exponentials(of: source, into: target)
            total += unsafe log(Double(sum)) - Double(source[label] - largest)
            let factor = scale / sum
            for column in 0..<logits.columns { unsafe target[column] *= factor }
            unsafe target[label] -= scale
        }
        return total / Double(logits.rows)
    }

    /// Writes e^(x - largest) of each x; returns the largest and the sum. NaN in, NaN out.
    @unsafe
    private static func exponentials(of source: UnsafeBufferPointer<Float>, into target: UnsafeMutablePointer<Float>) -> (Float, Float) {
        var largest = -Float.infinity
        // SAFETY: the caller's row, both sides as long as the source says.
        for column in source.indices where unsafe !(source[column] <= largest) { unsafe largest = source[column] }
        for column in source.indices { unsafe target[column] = source[column] - largest }
        unsafe Elements.chosen.exponentials(target, count: source.count)
        var sum: Float = 0
        for column in source.indices { unsafe sum += target[column] }
        return (largest, sum)
    }

    /// How many rows have their largest logit at their label.
    static func correctCount(logits: Matrix, labels: [UInt8]) -> Int {
        var correct = 0
        for row in 0..<logits.rows {
            // SAFETY: the row is inside the matrix, whose maker keeps it alive.
            let source = unsafe UnsafeBufferPointer(start: logits.base + row * logits.columns, count: logits.columns)
            var best = 0
            for column in 1..<max(logits.columns, 1) where unsafe source[column] > source[best] { best = column }
            if best == Int(labels[row]) { correct += 1 }
        }
        return correct
    }
}
