import Glibc

/// -log softmax(logits)[label], in nats, averaged over rows.
struct SoftmaxCrossEntropy {
    /// The part of the target that is spread over all classes; 0: the label alone. Source: Szegedy et al., 2016.
    var smoothing: Float = 0

    /// The mean loss, with its gradient by the logits: (softmax - target) / rows.
    /// Stable: the largest logit is taken off first, so that no exponential overflows.
    /// - Parameters:
    ///   - logits: rows x classes.
    ///   - labels: one a row, each a class.
    ///   - gradient: written, shaped as the logits.
    ///   - weight: the gradient is multiplied by it.
    func lossAndGradient(logits: Matrix, labels: ArraySlice<Int32>, gradient: Matrix, weight: Float = 1) -> Double {
        Self.check(logits, labels)
        invariant(gradient.rows == logits.rows && gradient.columns == logits.columns, "a gradient has its logits' shape")
        var total = 0.0
        let scale = weight / Float(logits.rows)
        let spread = smoothing / Float(logits.columns)
        for row in 0..<logits.rows {
            let label = Int(labels[labels.startIndex + row])
            // SAFETY: the row is inside both matrices, whose makers keep them alive; the label is a column.
            let source = unsafe UnsafeBufferPointer(start: logits.base + row * logits.columns, count: logits.columns)
            let target = unsafe gradient.base + row * logits.columns
            let (largest, sum) = unsafe Self.exponentials(of: source, into: target)
            total += unsafe log(Double(sum)) - Double(source[label] - largest)
            if smoothing > 0 {
                let mean = unsafe source.reduce(0.0) { $0 + Double($1) } / Double(source.count)
                total += unsafe Double(smoothing) * (Double(source[label]) - mean)
            }
            let factor = scale / sum
            for column in 0..<logits.columns { unsafe target[column] *= factor }
            if smoothing > 0 { for column in 0..<logits.columns { unsafe target[column] -= spread * scale } }
            unsafe target[label] -= (1 - smoothing) * scale
        }
        return total / Double(logits.rows)
    }

    /// The sum of the losses, without smoothing, and how many rows have their largest logit at their label.
    /// - Parameter scratch: written, shaped as the logits.
    static func judge(logits: Matrix, labels: ArraySlice<Int32>, scratch: Matrix) -> (loss: Double, correct: Int) {
        let loss = SoftmaxCrossEntropy().lossAndGradient(logits: logits, labels: labels, gradient: scratch)
        return (loss * Double(logits.rows), correctCount(logits: logits, labels: labels))
    }

    private static func check(_ logits: Matrix, _ labels: ArraySlice<Int32>) {
        invariant(logits.rows == labels.count, "\(labels.count) labels for \(logits.rows) rows")
        for label in labels { invariant(label >= 0 && label < logits.columns, "label \(label) is no class of \(logits.columns)") }
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
    static func correctCount(logits: Matrix, labels: ArraySlice<Int32>) -> Int {
        check(logits, labels)
        var correct = 0
        for row in 0..<logits.rows {
            // SAFETY: the row is inside the matrix, whose maker keeps it alive.
            let source = unsafe UnsafeBufferPointer(start: logits.base + row * logits.columns, count: logits.columns)
            var best = 0
            for column in 1..<max(logits.columns, 1) where unsafe source[column] > source[best] { best = column }
            if best == Int(labels[labels.startIndex + row]) { correct += 1 }
        }
        return correct
    }
}
