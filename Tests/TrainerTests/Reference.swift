import Verbena

@testable import Trainer

/// The model again in `Double` and plain loops: the oracle of the gradient tests. Only a forward pass, so that it shares no
/// derivation with what it checks.
struct ReferencePerceptron {
    let sizes: [Int]
    /// In forward order: weights (in x out), biases.
    var parameters: [[Double]]

    init(copying model: any Model) {
        parameters = model.parameters.map { $0.matrix.values.map(Double.init) }
        sizes = [model.input.elementCount] + model.parameters.filter { $0.shape.count == 1 }.map(\.elementCount)
    }

    /// The logits of one sample.
    func logits(_ input: [Double]) -> [Double] {
        var values = input
        for layer in 0..<sizes.count - 1 {
            let (weight, bias) = (parameters[2 * layer], parameters[2 * layer + 1])
            let (inputs, outputs) = (sizes[layer], sizes[layer + 1])
            var next = bias
            for input in 0..<inputs {
                for output in 0..<outputs { next[output] += values[input] * weight[input * outputs + output] }
            }
            values = layer + 2 < sizes.count ? next.map { max($0, 0) } : next
        }
        return values
    }

    /// The mean softmax cross-entropy of a batch.
    func loss(_ inputs: [[Double]], _ labels: [Int]) -> Double {
        zip(inputs, labels).reduce(0) { sum, sample in
            sum + Self.crossEntropy(logits(sample.0), sample.1)
        } / Double(labels.count)
    }

    static func crossEntropy(_ logits: [Double], _ label: Int) -> Double {
        let largest = logits.max()!
        return referenceLogarithm(logits.reduce(0) { $0 + referenceExponential($1 - largest) }) + largest - logits[label]
    }

    /// Central differences of the loss with respect to one parameter's elements.
    func numericalGradient(_ index: Int, _ inputs: [[Double]], _ labels: [Int]) -> [Double] {
        let step = 1e-6
        return parameters[index].indices.map { element in
            var moved = self
            moved.parameters[index][element] += step
            let above = moved.loss(inputs, labels)
            moved.parameters[index][element] -= 2 * step
            return (above - moved.loss(inputs, labels)) / (2 * step)
        }
    }
}

/// Gradients in plain memory, as a trainer without an engine would keep them, and the order in which they were announced.
@safe
final class GradientStore: GradientSink {
    private let buffers: [FloatBuffer]
    private(set) var prepared: [Int] = []
    private(set) var announced: [Int] = []
    /// Called before an announcement is noted.
    var onReady: (Int) throws(VerbenaError) -> Void = { _ in }

    /// Filled with NaN, so that a gradient that is added to instead of being overwritten shows.
    init(for parameters: [Parameter]) {
        buffers = parameters.map { parameter in
            let buffer = FloatBuffer(count: parameter.elementCount)
            buffer.row(parameter.elementCount).fill { _ in .nan }
            return buffer
        }
    }

    func prepare(_ index: Int) { prepared.append(index) }
    // SAFETY: this object holds the memory.
    func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float> { unsafe buffers[index].values }
    func ready(_ index: Int) throws(VerbenaError) {
        try onReady(index)
        announced.append(index)
    }
    /// A copy of one gradient.
    func values(_ index: Int) -> [Float] { unsafe Array(buffers[index].values) }
}

/// A perceptron of these sizes, the first of them the inputs.
func perceptron(_ sizes: [Int], capacity: Int, seed: UInt64) -> LayeredModel {
    let input = Shape(channels: sizes[0])
    return LayeredModel(input: input, Builder(capacity: capacity, seed: seed)) {
        ModelChoice.mlp(input, hidden: Array(sizes[1..<sizes.count - 1]), classCount: sizes[sizes.count - 1], &$0)
    }
}

extension Model {
    /// Loss and gradients of some samples.
    func gradients(_ samples: Range<Int>, of data: ImageDataset, into store: GradientStore? = nil) throws -> (
        loss: Double, store: GradientStore
    ) {
        let store = store ?? GradientStore(for: parameters)
        let batch = Batch(capacity: samples.count, input: input, labelsPerSample: labelsPerSample)
        batch.load(ArraySlice(samples), of: data)
        let pass = Pass(sink: store)
        let logits = try forward(batch.matrix, pass)
        let memory = FloatBuffer(count: logits.count)
        let gradient = memory.matrix(rows: logits.rows, columns: logits.columns)
        let loss = SoftmaxCrossEntropy().lossAndGradient(logits: logits, labels: batch.labels, gradient: gradient)
        try backward(gradient, pass)
        return (loss, store)
    }
}

/// Images of random pixels with random labels.
func randomImages(count: Int, rows: Int, columns: Int, seed: UInt64) -> ImageDataset {
    var generator = SeededGenerator(seed: seed, purpose: .digits)
    return ImageDataset(
        rows: rows, columns: columns, pixels: (0..<count * rows * columns).map { _ in UInt8(generator.below(256)) },
        labels: (0..<count).map { _ in UInt8(generator.below(10)) })
}

/// max |a - b| / max |b|: the largest error against the largest value.
func relativeError(_ values: [Float], _ reference: [Double]) -> Double {
    guard values.count == reference.count else { return .infinity }
    let scale = reference.map(abs).max() ?? 0
    let errors = zip(values, reference).map { abs(Double($0) - $1) }
    if errors.contains(where: \.isNaN) { return .infinity }
    return (errors.max() ?? 0) / max(scale, 1e-30)
}

extension DataSplit {
    /// Both parts, which are images, or it traps.
    var images: (training: ImageDataset, heldOut: ImageDataset) {
        guard let training = training as? ImageDataset, let heldOut = heldOut as? ImageDataset else { fatalError("no images") }
        return (training, heldOut)
    }
}
