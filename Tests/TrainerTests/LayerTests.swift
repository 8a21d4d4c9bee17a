import Testing
import Verbena

@testable import Trainer

/// Each layer's backward pass against differences of its forward pass.
@Suite("Layers' gradients agree with numerical differentiation")
struct LayerTests {
    static let samples = 3

    typealias Make = @Sendable (Shape, inout Builder) throws -> any Layer

    /// An objective: the outputs, each times a weight of its own.
    private final class Trial {
        let layer: any Layer
        let builder: Builder
        let store: GradientStore
        let input: Matrix
        let inputMemory: FloatBuffer
        let outputWeights: [Float]
        private let values: FloatBuffer

        init(_ shape: Shape, seed: UInt64, fill: (Int, inout SeededGenerator) -> Float, _ make: Make) throws {
            var builder = Builder(capacity: LayerTests.samples + 1, seed: seed)
            layer = try make(shape, &builder)
            self.builder = builder
            store = GradientStore(for: builder.parameters)
            var generator = SeededGenerator(seed: seed, purpose: .digits)
            for parameter in builder.parameters where parameter.shape.count == 1 {
                // Gains and biases begin at 1 and 0, which would hide a wrong place.
                parameter.matrix.fill { _ in generator.uniform(0.5, 1.5) }
            }
            inputMemory = FloatBuffer(count: LayerTests.samples * shape.elementCount)
            values = FloatBuffer(count: LayerTests.samples * shape.elementCount)
            input = values.matrix(rows: LayerTests.samples * shape.positions, columns: shape.channels)
            input.fill { fill($0, &generator) }
            outputWeights = (0..<LayerTests.samples * layer.output.elementCount).map { _ in generator.uniform(-1, 1) }
        }

        /// A copy, because a layer may write over its input.
        private var freshInput: Matrix {
            let copy = inputMemory.matrix(rows: input.rows, columns: input.columns)
            copy.copy(input)
            return copy
        }

        func objective() throws -> Double {
            let output = try layer.forward(freshInput, Pass(sink: store, seed: 3))
            return zip(output.values, outputWeights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }

        func inputGradient() throws -> [Float] {
            let output = try layer.forward(freshInput, Pass(sink: store, seed: 3))
            let memory = FloatBuffer(count: output.count)
            let gradient = memory.matrix(rows: output.rows, columns: output.columns)
            gradient.fill { outputWeights[$0] }
            return try layer.backward(gradient, wantsInput: true, Pass(sink: store, seed: 3)).values
        }
    }

    /// The derivative in random directions by differences, against the gradient's.
    private func check(_ name: String, _ gradient: [Float], of values: Matrix, step: Float, _ objective: () throws -> Double) throws {
        var generator = SeededGenerator(seed: 77, purpose: .shuffle)
        let start = values.values
        for trial in 0..<4 {
            let direction = start.indices.map { _ in Float(generator.below(2) * 2 - 1) }
            func moved(by step: Float) throws -> Double {
                values.fill { start[$0] + step * direction[$0] }
                return try objective()
            }
            let measured = (try moved(by: step) - moved(by: -step)) / Double(2 * step)
            values.fill { start[$0] }
            let told = zip(gradient, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
            let size = gradient.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(measured - told) < 0.01 * size + 2e-3, "\(name), direction \(trial): \(told), measured \(measured)")
            #expect(size > 1e-3, "\(name) has no gradient to speak of")
        }
    }

    private func check(
        _ shape: Shape, step: Float = 0x1p-9, hasInputGradient: Bool = true,
        fill: (Int, inout SeededGenerator) -> Float = { _, generator in generator.uniform(-1, 1) }, _ make: Make
    ) throws {
        let trial = try Trial(shape, seed: 4, fill: fill, make)
        let inputGradient = try trial.inputGradient()
        #expect(trial.store.announced == Array(trial.builder.parameters.indices.reversed()))
        #expect(Array(trial.store.prepared.suffix(trial.builder.parameters.count)) == Array(trial.builder.parameters.indices))
        let gradients = trial.builder.parameters.indices.map { trial.store.values($0) }
        for (index, parameter) in trial.builder.parameters.enumerated() {
            try check(parameter.name, gradients[index], of: parameter.matrix, step: step, trial.objective)
        }
        if hasInputGradient { try check("the input", inputGradient, of: trial.input, step: step, trial.objective) }
    }

    @Test func dense() throws { try check(Shape(width: 5, channels: 4)) { Dense($0, outputs: 3, &$1) } }

    @Test("convolution", arguments: [1, 3, 5], [1, 2])
    func convolution(window: Int, stride: Int) throws {
        for channels in [1, 3] {
            try check(Shape(height: 5, width: 6, channels: channels)) {
                Convolution2D($0, channels: 4, window: window, stride: stride, &$1)
            }
        }
    }

    @Test func convolutionWithoutBias() throws {
        try check(Shape(height: 4, width: 4, channels: 2)) { Convolution2D($0, channels: 3, hasBias: false, &$1) }
    }

    // Values apart by more than the step, so that no maximum changes hands.
    @Test("pooling", arguments: [(2, 2), (3, 2), (2, 1)])
    func pooling(window: Int, stride: Int) throws {
        let shape = Shape(height: 6, width: 7, channels: 3)
        try check(shape, fill: { index, _ in Float(index * 37 % 101) / 50 }, { MaxPooling($0, window: window, stride: stride, $1) })
        try check(shape) { AveragePooling($0, window: window, stride: stride, $1) }
    }

    @Test func averageOfAll() throws { try check(Shape(height: 4, width: 3, channels: 5)) { AveragePooling($0, $1) } }

    @Test func layerNorm() throws { try check(Shape(width: 4, channels: 9)) { LayerNorm($0, &$1) } }

    @Test("batch norm", arguments: [false, true])
    func batchNorm(isRectified: Bool) throws {
        try check(Shape(height: 3, width: 4, channels: 5), step: isRectified ? 0x1p-12 : 0x1p-9) {
            try BatchNorm($0, isRectified: isRectified, &$1)
        }
    }

    @Test func gelu() throws { try check(Shape(width: 4, channels: 9)) { GELU($0, $1) } }

    // Away from the kink.
    @Test func relu() throws {
        try check(Shape(channels: 9), fill: { index, _ in Float(index % 7) - 3.5 }, { shape, _ in ReLU(shape) })
    }

    @Test func dropout() throws { try check(Shape(channels: 50)) { Dropout($0, rate: 0.3, &$1) } }

    @Test func attention() throws { try check(Shape(width: 7, channels: 3 * 8)) { Attention($0, headCount: 2, $1) } }

    @Test func embedding() throws {
        try check(
            Shape(width: 6, channels: 1), hasInputGradient: false, fill: { index, _ in Float(index * 5 % 7) },
            { Embedding($0, tokenCount: 7, width: 8, &$1) })
    }

    @Test("residual, with and without a shortcut")
    func residual() throws {
        try check(Shape(width: 3, channels: 6)) { shape, builder in
            let norm = builder.named("norm") { LayerNorm(shape, &$0) }
            return Residual(shape, Sequential([norm, builder.named("dense") { Dense(shape, outputs: 6, &$0) }]), builder)
        }
        try check(Shape(width: 3, channels: 6)) { shape, builder in
            let branch = builder.named("branch") { Dense(shape, outputs: 4, &$0) }
            let shortcut = builder.named("shortcut") { Dense(shape, outputs: 4, &$0) }
            return Residual(shape, branch, shortcut: shortcut, builder)
        }
    }
}

@Suite("What layers ask of their neighbours")
struct NeighbourTests {
    @Test("a stack tells whether it writes over its input, past layers that only pass it on")
    func overwriting() {
        let shape = Shape(height: 2, width: 2, channels: 3)
        #expect(Sequential([Flatten(shape), ReLU(shape.flat)]).overwritesInput)
        var builder = Builder(capacity: 1, seed: 1)
        #expect(!Sequential([Flatten(shape), Dense(shape.flat, outputs: 2, &builder), ReLU(Shape(channels: 2))]).overwritesInput)
        #expect(Convolution2D(shape, channels: 2, isRectified: true, &builder).readsOutput)
    }
}

@Suite("Layers")
struct LayerBehaviourTests {
    private func run(_ layer: any Layer, _ values: [Float], rows: Int, training: Bool, seed: UInt64 = 1) throws -> [Float] {
        let memory = FloatBuffer(count: values.count)
        let input = memory.matrix(rows: rows, columns: values.count / rows)
        input.fill { values[$0] }
        let sink = GradientStore(for: [])
        return try layer.forward(input, training ? Pass(sink: sink, seed: seed) : Pass()).values
    }

    @Test("dropout clears its share in training, keeps the mean, and does nothing in evaluation")
    func dropout() throws {
        var builder = Builder(capacity: 1, seed: 1)
        let layer = Dropout(Shape(channels: 10_000), rate: 0.25, &builder)
        let ones = [Float](repeating: 1, count: 10_000)
        let values = try run(layer, ones, rows: 1, training: true)
        let cleared = values.count { $0 == 0 }
        #expect((2300...2700).contains(cleared) && values.allSatisfy { $0 == 0 || abs($0 - 4 / 3) < 1e-6 })
        #expect(try run(layer, ones, rows: 1, training: true) == values)
        #expect(try run(layer, ones, rows: 1, training: true, seed: 2) != values)
        #expect(try run(layer, ones, rows: 1, training: false) == ones)
    }

    @Test("batch norm evaluates by running means, which move by a tenth of each batch")
    func batchNorm() throws {
        var builder = Builder(capacity: 4, seed: 1)
        let layer = try BatchNorm(Shape(channels: 1), &builder)
        #expect(builder.statistics.map(\.name) == ["running_mean", "running_var"])
        // Mean 5, unbiased variance 20 / 3.
        let trained = try run(layer, [2, 4, 6, 8], rows: 4, training: true)
        #expect(abs(trained.reduce(0, +)) < 1e-5 && abs(trained[3] - 1.341_640_8) < 1e-4)
        #expect(abs(builder.statistics[0].matrix.values[0] - 0.5) < 1e-6)
        #expect(abs(builder.statistics[1].matrix.values[0] - (0.9 + 2.0 / 3)) < 1e-5)
        let evaluated = try run(layer, [0.5], rows: 1, training: false)
        #expect(abs(evaluated[0]) < 1e-6)
    }

    @Test("attention looks at no later position")
    func causal() throws {
        let builder = Builder(capacity: 1, seed: 1)
        let layer = Attention(Shape(width: 5, channels: 12), headCount: 2, builder)
        var values = (0..<60).map { Float($0 % 7) - 3 }
        let before = try run(layer, values, rows: 5, training: false)
        for channel in 0..<12 { values[48 + channel] += 1 }
        let after = try run(layer, values, rows: 5, training: false)
        #expect(Array(before[..<16]) == Array(after[..<16]) && Array(before[16...]) != Array(after[16...]))
        // The first position sees itself alone: its values.
        #expect(Array(before[..<4]) == Array(values[8..<12]))
    }
}
