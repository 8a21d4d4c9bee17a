import Testing

@testable import Trainer

@Suite("Multilayer perceptron")
struct ModelTests {
    @Test("lists its parameters in forward order")
    func parameters() {
        let model = MultilayerPerceptron(layerSizes: [784, 256, 128, 10], seed: 1)
        #expect(
            (0..<model.parameterCount).map(model.parameterName) == [
                "dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias", "dense3.weight", "dense3.bias",
            ])
        #expect((0..<6).map(model.elementCount) == [784 * 256, 256, 256 * 128, 128, 1280, 10])
    }

    @Test("begins with He's weights and no bias, by the seed alone")
    func initialisation() {
        let model = MultilayerPerceptron(layerSizes: [100, 50, 10], seed: 1)
        // SAFETY: the model lives through the test.
        let (weight, bias) = unsafe (Array(model.parameter(at: 0)), Array(model.parameter(at: 1)))
        let bound = (6 / Float(100)).squareRoot()
        #expect(weight.allSatisfy { abs($0) <= bound } && bias.allSatisfy { $0 == 0 })
        let variance = weight.reduce(0) { $0 + $1 * $1 } / Float(weight.count)
        #expect(abs(variance - 2 / 100) < 0.002)
        #expect(abs(weight.reduce(0, +) / Float(weight.count)) < 0.01)

        func digest(_ seed: UInt64) -> String { Fingerprint.parameters(of: MultilayerPerceptron(layerSizes: [100, 50, 10], seed: seed)) }
        #expect(digest(1) == Fingerprint.parameters(of: model))
        #expect(digest(1) != digest(2))
    }

    @Test("computes the logits that the reference computes, pixels scaled to 0...1")
    func forward() {
        let images = randomImages(count: 3, rows: 2, columns: 3, seed: 6)
        let model = MultilayerPerceptron(layerSizes: [6, 8, 10], seed: 6)
        let workspace = Workspace(for: model, capacity: 3)
        let order = [2, 0, 1]
        workspace.load(order[...], of: images)
        model.forward(workspace)
        let reference = ReferencePerceptron(copying: model)
        for (row, sample) in order.enumerated() {
            let expected = reference.logits(images.pixels[sample * 6..<sample * 6 + 6].map { Double($0) / 255 })
            #expect(relativeError(Array(workspace.logits.values[row * 10..<row * 10 + 10]), expected) < 1e-5)
        }
    }

    @Test("the digest is SHA-256 over the parameters' bytes")
    func digest() {
        let model = MultilayerPerceptron(layerSizes: [1, 1], seed: 1)
        for index in 0..<2 {
            // SAFETY: the model lives through the test.
            unsafe model.parameter(at: index)[0] = 1
        }
        // printf '\x00\x00\x80\x3f\x00\x00\x80\x3f' | sha256sum
        #expect(Fingerprint.parameters(of: model) == "80b8fd6d60fa85fd14a38b5295cb92abd80dfec5ca406c9f969609a79d36809d")
    }
}
