import Testing
import Verbena

@testable import Trainer

@Suite("Gradients agree with numerical differentiation")
struct GradientTests {
    @Test("of every parameter of the whole model", arguments: [[6, 10], [6, 9, 10], [6, 12, 7, 10], [6, 1, 10]], [1, 2, 5])
    func wholeModel(sizes: [Int], batch: Int) throws {
        let images = randomImages(count: batch, rows: 2, columns: 3, seed: UInt64(batch))
        let model = perceptron(sizes, capacity: batch, seed: 11)
        // Biases begin at 0; other values make a wrong sign or place visible.
        for bias in model.parameters where bias.shape.count == 1 { bias.matrix.fill { Float($0 % 3) * 0.1 - 0.05 } }
        let (loss, store) = try model.gradients(0..<batch, of: images)

        let reference = ReferencePerceptron(copying: model)
        let inputs = (0..<batch).map { sample in images.pixels[sample * 6..<sample * 6 + 6].map { Double($0) / 255 } }
        let labels = images.labels.map(Int.init)
        #expect(abs(loss - reference.loss(inputs, labels)) < 1e-6)
        for (index, parameter) in model.parameters.enumerated() {
            let error = relativeError(store.values(index), reference.numericalGradient(index, inputs, labels))
            #expect(error < 1e-4, "\(parameter.name) is off by \(error)")
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
    func announcements() throws {
        let images = randomImages(count: 4, rows: 2, columns: 3, seed: 1)
        let model = perceptron([6, 8, 7, 10], capacity: 4, seed: 1)
        let (_, store) = try model.gradients(0..<4, of: images)
        #expect(store.announced == [5, 4, 3, 2, 1, 0])
        #expect(store.prepared == [0, 1, 2, 3, 4, 5])

        let early = GradientStore(for: model.parameters)
        var copies: [Int: [Float]] = [:]
        early.onReady = { index in
            copies[index] = early.values(index)
            for lower in 0..<index {
                let isUntouched = early.values(lower).allSatisfy(\.isNaN)
                #expect(isUntouched, "\(lower) was begun before \(index) was announced")
            }
        }
        _ = try model.gradients(0..<4, of: images, into: early)
        for index in 0..<6 { #expect(copies[index] == store.values(index)) }
        early.onReady = { _ in }
    }

    @Test("stops where the announcement throws")
    func throwing() {
        let images = randomImages(count: 1, rows: 1, columns: 1, seed: 1)
        let model = perceptron([1, 2, 10], capacity: 1, seed: 1)
        let store = GradientStore(for: model.parameters)
        store.onReady = { index throws(VerbenaError) in if index == 2 { throw VerbenaError(.configuration, "stop") } }
        #expect(throws: VerbenaError.self) { _ = try model.gradients(0..<1, of: images, into: store) }
        #expect(store.announced == [3])
    }

    @Test("two halves of a batch average to the whole", arguments: [1, 7, 32])
    func halves(half: Int) throws {
        let images = randomImages(count: 2 * half, rows: 4, columns: 5, seed: 9)
        let model = perceptron([20, 16, 12, 10], capacity: 2 * half, seed: 2)
        let whole = try model.gradients(0..<2 * half, of: images)
        let left = try model.gradients(0..<half, of: images)
        let right = try model.gradients(half..<2 * half, of: images)
        #expect(abs((left.loss + right.loss) / 2 - whole.loss) < 1e-6)
        for index in model.parameters.indices {
            let average = zip(left.store.values(index), right.store.values(index)).map { (Double($0) + Double($1)) / 2 }
            #expect(relativeError(whole.store.values(index), average) < 1e-5)
        }
    }

    @Test("room for more samples than the batch has changes nothing")
    func partlyFilled() throws {
        let images = randomImages(count: 8, rows: 2, columns: 3, seed: 4)
        let expected = try perceptron([6, 5, 10], capacity: 3, seed: 4).gradients(0..<3, of: images)
        let model = perceptron([6, 5, 10], capacity: 8, seed: 4)
        _ = try model.gradients(0..<8, of: images)
        let found = try model.gradients(0..<3, of: images)
        for index in model.parameters.indices { #expect(found.store.values(index) == expected.store.values(index)) }
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
