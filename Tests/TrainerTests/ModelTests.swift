import Testing

@testable import Trainer

@Suite("Multilayer perceptron")
struct ModelTests {
    @Test("lists its parameters in forward order")
    func parameters() {
        let model = perceptron([784, 256, 128, 10], capacity: 1, seed: 1)
        #expect(
            model.parameters.map(\.name) == [
                "dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias", "dense3.weight", "dense3.bias",
            ])
        #expect(model.parameters.map(\.elementCount) == [784 * 256, 256, 256 * 128, 128, 1280, 10])
    }

    @Test("begins with He's weights and no bias, by the seed alone")
    func initialisation() {
        let model = perceptron([100, 50, 10], capacity: 1, seed: 1)
        let (weight, bias) = (model.parameters[0].matrix.values, model.parameters[1].matrix.values)
        let bound = (6 / Float(100)).squareRoot()
        #expect(weight.allSatisfy { abs($0) <= bound } && bias.allSatisfy { $0 == 0 })
        let variance = weight.reduce(0) { $0 + $1 * $1 } / Float(weight.count)
        #expect(abs(variance - 2 / 100) < 0.002)
        #expect(abs(weight.reduce(0, +) / Float(weight.count)) < 0.01)

        func digest(_ seed: UInt64) -> String { Fingerprint.parameters(of: perceptron([100, 50, 10], capacity: 1, seed: seed)) }
        #expect(digest(1) == Fingerprint.parameters(of: model))
        #expect(digest(1) != digest(2))
    }

    @Test("computes the logits that the reference computes, pixels scaled to 0...1")
    func forward() throws {
        let images = randomImages(count: 3, rows: 2, columns: 3, seed: 6)
        let model = perceptron([6, 8, 10], capacity: 3, seed: 6)
        let batch = Batch(capacity: 3, input: model.input, labelsPerSample: 1)
        let order = [2, 0, 1]
        batch.load(order[...], of: images)
        let logits = try model.forward(batch.matrix, Pass()).values
        let reference = ReferencePerceptron(copying: model)
        for (row, sample) in order.enumerated() {
            let expected = reference.logits(images.pixels[sample * 6..<sample * 6 + 6].map { Double($0) / 255 })
            #expect(relativeError(Array(logits[row * 10..<row * 10 + 10]), expected) < 1e-5)
        }
    }

    @Test("the digest is SHA-256 over the parameters' bytes")
    func digest() {
        let model = perceptron([1, 1], capacity: 1, seed: 1)
        for parameter in model.parameters { parameter.matrix.set(0, 1) }
        // printf '\x00\x00\x80\x3f\x00\x00\x80\x3f' | sha256sum
        #expect(Fingerprint.parameters(of: model) == "80b8fd6d60fa85fd14a38b5295cb92abd80dfec5ca406c9f969609a79d36809d")
    }
}
