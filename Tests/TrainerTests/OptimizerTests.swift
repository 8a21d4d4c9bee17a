import Foundation
import Testing

@testable import Trainer

@Suite("Optimizers")
struct OptimizerTests {
    private static let count = 37

    /// Runs steps of random gradients, beside an oracle that is given weights, gradient and step (from 1), and returns the new weights.
    private func check(
        _ settings: OptimizerSettings, rate: Float = 0.1, shape: [Int] = [count], decays: Bool = true, tolerance: Float = 0,
        _ oracle: (inout [Float], [Float], Int) -> Void
    ) {
        let parameters = [3, shape.reduce(1, *)].map { Parameter(name: "p", shape: [$0], decays: decays) }
        let optimizer = Optimizer(settings, for: parameters)
        optimizer.remember()
        let gradient = FloatBuffer(count: parameters[1].elementCount)
        let gradients = gradient.row(parameters[1].elementCount)
        var generator = SeededGenerator(seed: 5, purpose: .parameters)
        parameters[1].matrix.fill { _ in generator.uniform(-1, 1) }
        var weights = parameters[1].matrix.values
        for step in 1...5 {
            gradients.fill { _ in generator.uniform(-1, 1) }
            let given = gradients.values
            oracle(&weights, given, step)
            optimizer.beginStep(rate: rate)
            // SAFETY: the test holds the gradient.
            unsafe optimizer.update(1, by: gradient.values)
            #expect(zip(parameters[1].matrix.values, weights).allSatisfy { abs($0 - $1) <= tolerance * abs($1) }, "step \(step)")
            #expect(gradients.values == given)
        }
    }

    @Test("SGD follows a scalar oracle to the last bit", arguments: [Float(0), 0.5, 0.9], [false, true])
    func momentum(momentum: Float, nesterov: Bool) {
        var settings = OptimizerSettings()
        (settings.momentum, settings.nesterov) = (momentum, nesterov)
        var velocities = [Float](repeating: 0, count: Self.count)
        check(settings) { weights, gradients, _ in
            for element in weights.indices {
                velocities[element] = momentum * velocities[element] + gradients[element]
                weights[element] -= 0.1 * (nesterov ? gradients[element] + momentum * velocities[element] : velocities[element])
            }
        }
    }

    @Test("by hand: two steps of gradient 1 with momentum 0.5 and rate 0.25 move by 0.25 and 0.375")
    func byHand() {
        var settings = OptimizerSettings()
        settings.momentum = 0.5
        let parameter = Parameter(name: "p", shape: [1], decays: true)
        let optimizer = Optimizer(settings, for: [parameter])
        optimizer.remember()
        let gradient = FloatBuffer(count: 1)
        gradient.row(1).set(0, 1)
        for expected in [Float(-0.25), -0.625] {
            optimizer.beginStep(rate: 0.25)
            // SAFETY: the test holds the gradient.
            unsafe optimizer.update(0, by: gradient.values)
            #expect(parameter.matrix.values == [expected])
        }
    }

    @Test("weight decay pulls weights towards 0, and nothing else", arguments: [true, false])
    func decay(decays: Bool) {
        var settings = OptimizerSettings()
        (settings.momentum, settings.weightDecay) = (0, 0.5)
        check(settings, decays: decays, tolerance: 1e-6) { weights, gradients, _ in
            for element in weights.indices { weights[element] -= 0.1 * (gradients[element] + (decays ? 0.5 * weights[element] : 0)) }
        }
    }

    @Test("LARS' step is as long as trust says, whatever the gradient's size")
    func lars() {
        var settings = OptimizerSettings()
        (settings.method, settings.momentum, settings.weightDecay, settings.trust) = (.lars, 0, 0.25, 0.01)
        check(settings, tolerance: 1e-5) { weights, gradients, _ in
            let norm = weights.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let slope = gradients.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let local = Float(0.01 * norm / (slope + 0.25 * norm))
            for element in weights.indices { weights[element] -= 0.1 * local * (gradients[element] + 0.25 * weights[element]) }
        }
    }

    @Test("LARS leaves biases to SGD")
    func larsOfABias() {
        var settings = OptimizerSettings()
        (settings.method, settings.momentum) = (.lars, 0)
        check(settings, decays: false) { weights, gradients, _ in
            for element in weights.indices { weights[element] -= 0.1 * gradients[element] }
        }
    }

    @Test("AdamW follows a scalar oracle, its first step is the rate in each direction")
    func adam() {
        var settings = OptimizerSettings()
        (settings.method, settings.weightDecay) = (.adamw, 0.125)
        var means = [Double](repeating: 0, count: Self.count)
        var squares = means
        check(settings, tolerance: 1e-5) { weights, gradients, step in
            for element in weights.indices {
                let slope = Double(gradients[element])
                means[element] = 0.9 * means[element] + 0.1 * slope
                squares[element] = 0.999 * squares[element] + 0.001 * slope * slope
                let mean = means[element] / (1 - power(0.9, step))
                let square = squares[element] / (1 - power(0.999, step))
                let decayed = Double(weights[element]) * (1 - 0.1 * 0.125)
                weights[element] = Float(decayed - 0.1 * mean / (square.squareRoot() + 1e-8))
            }
        }
    }

    private func power(_ base: Double, _ exponent: Int) -> Double { (0..<exponent).reduce(1) { product, _ in product * base } }
}

@Suite("Step size")
struct RateScheduleTests {
    private func rates(_ schedule: RateSchedule, stepsPerEpoch: Int, stepCount: Int) -> [Float] {
        (0..<stepCount).map { schedule.rate(step: $0, stepsPerEpoch: stepsPerEpoch, stepCount: stepCount) }
    }

    @Test("rises linearly in warm-up, to the rate in its last step")
    func warmup() {
        var schedule = RateSchedule()
        (schedule.rate, schedule.warmupEpochs) = (0.8, 2)
        #expect(rates(schedule, stepsPerEpoch: 2, stepCount: 6) == [0.2, 0.4, 0.6, 0.8, 0.8, 0.8].map { Float($0) }.map { $0 })
    }

    @Test("steps down after the epochs that were named")
    func steps() {
        var schedule = RateSchedule()
        (schedule.rate, schedule.shape) = (1, .steps(after: [1, 3], factor: 0.5))
        #expect(rates(schedule, stepsPerEpoch: 2, stepCount: 8) == [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25])
    }

    @Test("follows half a cosine from the rate to 0")
    func cosine() {
        var schedule = RateSchedule()
        (schedule.rate, schedule.shape, schedule.warmupEpochs) = (2, .cosine, 1)
        let found = rates(schedule, stepsPerEpoch: 4, stepCount: 12)
        for (step, rate) in found.enumerated().dropFirst(4) {
            let expected = 1 + cos(Double.pi * Double(step - 4) / 8)
            #expect(abs(Double(rate) - expected) < 1e-6, "step \(step)")
        }
        #expect(found[4] == 2)
    }
}
