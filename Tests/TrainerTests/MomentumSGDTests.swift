import Testing

@testable import Trainer

@Suite("SGD with momentum")
struct MomentumSGDTests {
    @Test("follows a scalar oracle to the last bit", arguments: [Float(0), 0.5, 0.9])
    func oracle(momentum: Float) {
        let count = 37
        let optimizer = MomentumSGD(elementCounts: [3, count], learningRate: 0.1, momentum: momentum)
        let memory = (0..<2).map { _ in FloatBuffer(count: count) }
        let parameter = memory[0].matrix(rows: 1, columns: count)
        let gradient = memory[1].matrix(rows: 1, columns: count)
        var generator = SeededGenerator(seed: 5, purpose: .parameters)
        parameter.fill { _ in generator.uniform(-1, 1) }
        var weights = parameter.values
        var velocities = [Float](repeating: 0, count: count)
        for _ in 0..<5 {
            gradient.fill { _ in generator.uniform(-1, 1) }
            let gradients = gradient.values
            for element in 0..<count {
                velocities[element] = momentum * velocities[element] + gradients[element]
                weights[element] -= 0.1 * velocities[element]
            }
            // SAFETY: the test holds both buffers.
            unsafe optimizer.update(1, memory[0].values, by: memory[1].values)
            #expect(parameter.values == weights)
            #expect(gradient.values == gradients)
        }
    }

    @Test("by hand: two steps of gradient 1 with momentum 0.5 and rate 0.25 move by 0.25 and 0.375")
    func byHand() {
        let optimizer = MomentumSGD(elementCounts: [1], learningRate: 0.25, momentum: 0.5)
        let memory = (0..<2).map { _ in FloatBuffer(count: 1) }
        memory[1].matrix(rows: 1, columns: 1).set(0, 1)
        for expected in [Float(-0.25), -0.625] {
            // SAFETY: the test holds both buffers.
            unsafe optimizer.update(0, memory[0].values, by: memory[1].values)
            #expect(memory[0].matrix(rows: 1, columns: 1).values == [expected])
        }
    }
}
