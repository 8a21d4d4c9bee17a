import Testing

@testable import Trainer

@Suite("Softmax cross-entropy")
struct LossTests {
    private func evaluate(_ logits: [[Float]], _ labels: [Int32], smoothing: Float = 0) -> (loss: Double, gradient: [Float]) {
        let memory = (0..<2).map { _ in FloatBuffer(count: logits.count * logits[0].count) }
        let matrix = memory[0].matrix(rows: logits.count, columns: logits[0].count)
        let gradient = memory[1].matrix(rows: logits.count, columns: logits[0].count)
        let flat = logits.flatMap { $0 }
        matrix.fill { flat[$0] }
        return (
            SoftmaxCrossEntropy(smoothing: smoothing).lossAndGradient(logits: matrix, labels: labels[...], gradient: gradient),
            gradient.values
        )
    }

    @Test("of equal logits is the logarithm of the classes")
    func uniform() {
        let (loss, gradient) = evaluate([[Float](repeating: 7, count: 10)], [4])
        #expect(abs(loss - 2.302_585_092_994) < 1e-6)
        for (column, value) in gradient.enumerated() { #expect(abs(value - (column == 4 ? -0.9 : 0.1)) < 1e-6) }
    }

    @Test("by hand: logits 1, 2, 3 and label 2; logits 0, ln 3 and label 0")
    func byHand() {
        // e^-2 + e^-1 + 1 = 1.503214724; ln of it = 0.407605964
        let (loss, gradient) = evaluate([[1, 2, 3]], [2])
        #expect(abs(loss - 0.407_605_964) < 1e-6)
        for (value, expected) in zip(gradient, [0.090_030_573, 0.244_728_471, 0.665_240_956 - 1]) {
            #expect(abs(Double(value) - expected) < 1e-6)
        }
        // Softmax 1/4, 3/4: loss ln 4.
        let second = evaluate([[0, 1.098_612_3]], [0])
        #expect(abs(second.loss - 1.386_294_361) < 1e-6)
        #expect(abs(second.gradient[0] + 0.75) < 1e-6 && abs(second.gradient[1] - 0.75) < 1e-6)
    }

    @Test("smoothed: of every class its part, and the gradient is softmax minus those")
    func smoothed() {
        // Targets 0.05, 0.05, 0.9: 0.15 / 3 of each, and 0.85 of the label. Losses of the classes alone: 2.407606, 1.407606, 0.407606.
        let (loss, gradient) = evaluate([[1, 2, 3]], [2], smoothing: 0.15)
        #expect(abs(loss - (0.05 * 2.407_605_964 + 0.05 * 1.407_605_964 + 0.9 * 0.407_605_964)) < 1e-6)
        for (value, expected) in zip(gradient, [0.090_030_573 - 0.05, 0.244_728_471 - 0.05, 0.665_240_956 - 0.9]) {
            #expect(abs(Double(value) - expected) < 1e-6)
        }
    }

    @Test("is a mean over the batch")
    func mean() {
        let first = evaluate([[1, 2, 3]], [2])
        let second = evaluate([[0, 5, -1]], [0])
        let both = evaluate([[1, 2, 3], [0, 5, -1]], [2, 0])
        #expect(abs(both.loss - (first.loss + second.loss) / 2) < 1e-6)
        for (value, expected) in zip(both.gradient, first.gradient + second.gradient) { #expect(abs(value - expected / 2) < 1e-6) }
    }

    @Test("is finite for huge logits, and no number only where they are none")
    func extremes() {
        let (loss, gradient) = evaluate([[3e38, -3e38, 0]], [0])
        #expect(loss == 0 && gradient == [0, 0, 0])
        let wrong = evaluate([[1000, 0]], [1])
        #expect(abs(wrong.loss - 1000) < 1e-3 && wrong.gradient == [1, -1])
        for bad in [Float.nan, .infinity] {
            for place in 0..<3 {
                var logits: [Float] = [5, 1, 2]
                logits[place] = bad
                #expect(!evaluate([logits], [1]).loss.isFinite)
            }
        }
    }

    @Test("counts the rows whose largest logit is at their label")
    func correct() {
        let memory = FloatBuffer(count: 9)
        let logits = memory.matrix(rows: 3, columns: 3)
        let values: [Float] = [1, 2, 3, 9, 2, 3, -1, -0.5, -2]
        logits.fill { values[$0] }
        #expect(SoftmaxCrossEntropy.correctCount(logits: logits, labels: [2, 0, 1]) == 3)
        #expect(SoftmaxCrossEntropy.correctCount(logits: logits, labels: [1, 0, 2]) == 1)
    }
}

@Suite("Exponential")
struct ExponentialTests {
    private func power(_ x: Float) -> Float {
        var value = x
        // SAFETY: one value, which outlives the call.
        unsafe Elements.chosen.exponentials(&value, count: 1)
        return value
    }

    @Test("is the C library's, to half a unit in the last place and a little")
    func accuracy() {
        var generator = SeededGenerator(seed: 1, purpose: .parameters)
        var worst = 0.0
        for _ in 0..<20_000 {
            let x = generator.uniform(-87, 0)
            let exact = referenceExponential(Double(x))
            let unit = Double(Float(exact).ulp)
            worst = max(worst, abs(Double(power(x)) - exact) / unit)
        }
        #expect(worst < 0.51)
    }

    @Test("at its ends")
    func ends() {
        #expect(power(0) == 1)
        #expect(power(-0.0) == 1)
        #expect(power(-103) == Float(referenceExponential(-103)))
        #expect(power(-104.5) == 0)
        #expect(power(-.infinity) == 0)
        #expect(power(.nan).isNaN)
        #expect(power(1).isNaN)
    }
}
