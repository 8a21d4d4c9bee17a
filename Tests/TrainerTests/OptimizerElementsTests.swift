import Testing

@testable import Trainer

/// Three steps in double; and the same bits on every instruction set.
@Suite("Elements: optimizers")
struct OptimizerElementsTests {
    @Test(
        "SGD with momentum, Nesterov, decay and a scaled gradient", arguments: [1, 16, 45],
        [
            MomentumStep(rate: 0.1, momentum: 0.9), MomentumStep(rate: 0.1, momentum: 0.9, decay: 0.01),
            MomentumStep(rate: 0.1, momentum: 0.9, gradientScale: 0.5, isNesterov: true),
            MomentumStep(rate: 0.1, momentum: 0.9, gradientScale: 0.5, decay: 0.01, isNesterov: true),
        ])
    func momentum(count: Int, step: MomentumStep) {
        let (start, slopes) = (OwnedMatrix(1, count, seed: 1), OwnedMatrix(3, count, seed: 2))
        let (starts, values, doubles) = (start.doubles, slopes.values, slopes.doubles)
        let results = onEverySet { set in
            let (parameters, velocities) = (OwnedMatrix(copying: start), OwnedMatrix(1, count) { _ in 0 })
            for turn in 0..<3 {
                let gradient = OwnedMatrix(1, count) { values[turn * count + $0] }
                // SAFETY: the buffers are the matrices' own.
                unsafe set.update(parameters.memory.values, velocities.memory.values, by: gradient.memory.values, step)
            }
            return [parameters.values]
        }
        let expected = (0..<count).map { index in
            var (w, v) = (starts[index], 0.0)
            for turn in 0..<3 {
                let g = Double(step.gradientScale) * doubles[turn * count + index] + Double(step.decay) * w
                v = Double(step.momentum) * v + g
                w -= Double(step.rate) * (step.isNesterov ? g + Double(step.momentum) * v : v)
            }
            return w
        }
        #expect(relativeError(results[0], expected) < 1e-6)
    }

    @Test("AdamW", arguments: [1, 16, 45])
    func adam(count: Int) {
        let (start, slopes) = (OwnedMatrix(1, count, seed: 3), OwnedMatrix(3, count, seed: 4))
        let (starts, values, doubles) = (start.doubles, slopes.values, slopes.doubles)
        let (beta1, beta2, rate, decay, scale) = (0.9, 0.99, 0.01, 0.1, 0.5)
        func correction(_ beta: Double, _ turn: Int) -> Double { 1 / (1 - (0...turn).reduce(1) { power, _ in power * beta }) }
        let results = onEverySet { set in
            let parameters = OwnedMatrix(copying: start)
            let (means, squares) = (OwnedMatrix(1, count) { _ in 0 }, OwnedMatrix(1, count) { _ in 0 })
            for turn in 0..<3 {
                let gradient = OwnedMatrix(1, count) { values[turn * count + $0] }
                let step = AdamStep(
                    rate: Float(rate), beta1: Float(beta1), beta2: Float(beta2), decay: Float(decay), gradientScale: Float(scale),
                    meanCorrection: Float(correction(beta1, turn)), squareCorrection: Float(correction(beta2, turn)))
                // SAFETY: the buffers are the matrices' own.
                unsafe set.update(
                    parameters.memory.values, means: means.memory.values, squares: squares.memory.values, by: gradient.memory.values, step)
            }
            return [parameters.values]
        }
        let expected = (0..<count).map { index in
            var (w, m, v) = (starts[index], 0.0, 0.0)
            for turn in 0..<3 {
                let g = scale * doubles[turn * count + index]
                m = beta1 * m + (1 - beta1) * g
                v = beta2 * v + (1 - beta2) * g * g
                w -= rate * decay * w
                w -= rate * m * correction(beta1, turn) / ((v * correction(beta2, turn)).squareRoot() + 1e-8)
            }
            return w
        }
        #expect(relativeError(results[0], expected) < 1e-6)
    }
}
