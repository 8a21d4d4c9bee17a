import Testing

@testable import Trainer

@Suite("Gradients agree with numerical differentiation")
struct GradientTests {
    @Test("of every parameter of the whole model", arguments: [[6, 10], [6, 9, 10], [6, 12, 7, 10], [6, 1, 10]], [1, 2, 5])
    func wholeModel(sizes: [Int], batch: Int) {
        let images = randomImages(count: batch, rows: 2, columns: 3, seed: UInt64(batch))
        let model = MultilayerPerceptron(layerSizes: sizes, seed: 11)
        // Biases begin at 0; other values make a wrong sign or place visible.
        for index in stride(from: 1, to: model.parameterCount, by: 2) {
            // SAFETY: the model lives through the loop.
            let bias = unsafe model.parameter(at: index)
            for element in 0..<bias.count { unsafe bias[element] = Float(element % 3) * 0.1 - 0.05 }
        }
        let (loss, store) = model.gradients(0..<batch, of: images)

        let reference = ReferencePerceptron(copying: model)
        let inputs = (0..<batch).map { sample in images.pixels[sample * 6..<sample * 6 + 6].map { Double($0) / 255 } }
        let labels = images.labels.map(Int.init)
        #expect(abs(loss - reference.loss(inputs, labels)) < 1e-6)
        for index in 0..<model.parameterCount {
            let error = relativeError(store.values(index), reference.numericalGradient(index, inputs, labels))
            #expect(error < 1e-4, "\(model.parameterName(index)) is off by \(error)")
        }
    }

    @Test("of a dense layer's input")
    func denseInput() {
        var generator = SeededGenerator(seed: 3, purpose: .parameters)
        let layer = DenseLayer(inputCount: 4, outputCount: 3, generator: &generator)
        let memory = (0..<4).map { _ in FloatBuffer(count: 12) }
        let input = memory[0].matrix(rows: 2, columns: 4)
        let output = memory[1].matrix(rows: 2, columns: 3)
        let outputGradient = memory[2].matrix(rows: 2, columns: 3)
        let inputGradient = memory[3].matrix(rows: 2, columns: 4)
        input.fill { _ in generator.uniform(-1, 1) }
        outputGradient.fill { _ in generator.uniform(-1, 1) }
        layer.inputGradient(outputGradient, into: inputGradient)

        // The layer is linear in x, so differences of any size are exact but for rounding.
        let weights = outputGradient.values
        func objective() -> Float {
            layer.forward(input, into: output)
            return zip(output.values, weights).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let start = objective()
        for element in 0..<8 {
            let kept = input.values[element]
            input.set(element, kept + 1)
            #expect(abs(objective() - start - inputGradient.values[element]) < 1e-5)
            input.set(element, kept)
        }
    }

    @Test("of ReLU: passes where the output is positive, and nowhere else")
    func relu() {
        let memory = (0..<2).map { _ in FloatBuffer(count: 5) }
        let values = memory[0].matrix(rows: 1, columns: 5)
        let gradient = memory[1].matrix(rows: 1, columns: 5)
        let inputs: [Float] = [-2, -0.0, 0, 1e-30, 3]
        values.fill { inputs[$0] }
        gradient.fill { Float($0 + 1) }
        Elements.chosen.rectify(values)
        #expect(values.values == [0, 0, 0, 1e-30, 3])
        Elements.chosen.rectify(gradient: gradient, output: values)
        #expect(gradient.values == [0, 0, 0, 4, 5])
    }

    @Test("ReLU does not hide what is no number")
    func reluKeepsNaN() {
        let memory = FloatBuffer(count: 1)
        let values = memory.matrix(rows: 1, columns: 1)
        values.set(0, .nan)
        Elements.chosen.rectify(values)
        #expect(values.values[0].isNaN)
    }
}

@Suite("Backward")
struct BackwardTests {
    @Test("announces each parameter once, from the last to the first, when its gradient is final")
    func announcements() {
        let images = randomImages(count: 4, rows: 2, columns: 3, seed: 1)
        let model = MultilayerPerceptron(layerSizes: [6, 8, 7, 10], seed: 1)
        let (_, store) = model.gradients(0..<4, of: images)
        #expect(store.announced == [5, 4, 3, 2, 1, 0])

        let workspace = Workspace(for: model, capacity: 4)
        let early = GradientStore(for: model)
        var copies: [Int: [Float]] = [:]
        workspace.load(0..<4, of: images)
        model.forward(workspace)
        _ = model.loss(workspace)
        // SAFETY: the store lives through the test.
        unsafe model.backward(workspace, gradients: early.view) { index in
            copies[index] = early.values(index)
            for lower in 0..<index {
                let isUntouched = early.values(lower).allSatisfy(\.isNaN)
                #expect(isUntouched, "\(lower) was begun before \(index) was announced")
            }
        }
        for index in 0..<6 { #expect(copies[index] == store.values(index)) }
    }

    @Test("stops where the announcement throws")
    func throwing() {
        struct Stop: Error {}
        let images = randomImages(count: 1, rows: 1, columns: 1, seed: 1)
        let model = MultilayerPerceptron(layerSizes: [1, 2, 10], seed: 1)
        let workspace = Workspace(for: model, capacity: 1)
        let store = GradientStore(for: model)
        workspace.load(0..<1, of: images)
        model.forward(workspace)
        _ = model.loss(workspace)
        var calls = 0
        #expect(throws: Stop.self) {
            // SAFETY: the store lives through the test.
            try unsafe model.backward(workspace, gradients: store.view) { (_) throws(Stop) in
                calls += 1
                if calls == 2 { throw Stop() }
            }
        }
        #expect(calls == 2)
    }

    @Test("two halves of a batch average to the whole", arguments: [1, 7, 32])
    func halves(half: Int) {
        let images = randomImages(count: 2 * half, rows: 4, columns: 5, seed: 9)
        let model = MultilayerPerceptron(layerSizes: [20, 16, 12, 10], seed: 2)
        let whole = model.gradients(0..<2 * half, of: images)
        let left = model.gradients(0..<half, of: images)
        let right = model.gradients(half..<2 * half, of: images)
        #expect(abs((left.loss + right.loss) / 2 - whole.loss) < 1e-6)
        for index in 0..<model.parameterCount {
            let average = zip(left.store.values(index), right.store.values(index)).map { (Double($0) + Double($1)) / 2 }
            #expect(relativeError(whole.store.values(index), average) < 1e-5)
        }
    }

    @Test("a workspace larger than the batch changes nothing")
    func partlyFilledWorkspace() {
        let images = randomImages(count: 8, rows: 2, columns: 3, seed: 4)
        let model = MultilayerPerceptron(layerSizes: [6, 5, 10], seed: 4)
        let expected = model.gradients(0..<3, of: images)
        let workspace = Workspace(for: model, capacity: 8)
        let store = GradientStore(for: model)
        for samples in [0..<8, 0..<3] {
            workspace.load(samples, of: images)
            model.forward(workspace)
            _ = model.loss(workspace)
            // SAFETY: the store lives through the test.
            unsafe model.backward(workspace, gradients: store.view, announce: store.announce)
        }
        for index in 0..<model.parameterCount { #expect(store.values(index) == expected.store.values(index)) }
    }
}

extension Matrix {
    var values: [Float] {
        // SAFETY: the test holds the matrix' memory.
        (0..<count).map { unsafe base[$0] }
    }

    func fill(_ value: (Int) -> Float) { for index in 0..<count { set(index, value(index)) } }

    func set(_ index: Int, _ value: Float) {
        invariant(index < count, "index \(index) of \(count)")
        // SAFETY: inside the matrix, whose memory the test holds.
        unsafe base[index] = value
    }
}
