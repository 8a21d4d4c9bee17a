@testable import Trainer

/// The model again in `Double` and plain loops: the oracle of the gradient tests. Only a forward pass, so that it shares no
/// derivation with what it checks.
struct ReferencePerceptron {
    let sizes: [Int]
    /// In forward order: weights (in x out), biases.
    var parameters: [[Double]]

    init(copying model: MultilayerPerceptron) {
        sizes = model.layerSizes
        parameters = (0..<model.parameterCount).map { index in
            // SAFETY: the model is the caller's and lives through this call.
            unsafe model.parameter(at: index).map(Double.init)
        }
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
final class GradientStore {
    private let buffers: [UnsafeMutableBufferPointer<Float>]
    private(set) var announced: [Int] = []

    /// Filled with NaN, so that a gradient that is added to instead of being overwritten shows.
    init(for model: MultilayerPerceptron) {
        // SAFETY: freed in deinit only.
        unsafe buffers = (0..<model.parameterCount).map { index in
            let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: model.elementCount(ofParameter: index))
            unsafe buffer.initialize(repeating: .nan)
            return unsafe buffer
        }
    }

    deinit {
        // SAFETY: allocated in init; the views that were given out end with the test.
        for index in unsafe buffers.indices { unsafe buffers[index].deallocate() }
    }

    func view(_ index: Int) -> UnsafeMutableBufferPointer<Float> { unsafe buffers[index] }
    func announce(_ index: Int) { announced.append(index) }
    /// A copy of one gradient.
    func values(_ index: Int) -> [Float] {
        // SAFETY: this object holds the memory.
        unsafe Array(buffers[index])
    }
}

extension Workspace {
    func load(_ samples: Range<Int>, of images: ImageDataset) { load(ArraySlice(samples), of: images) }
}

extension MultilayerPerceptron {
    /// Loss and gradients of some samples, in a workspace that has just room for them.
    func gradients(_ samples: Range<Int>, of images: ImageDataset) -> (loss: Double, store: GradientStore) {
        let workspace = Workspace(for: self, capacity: samples.count)
        let store = GradientStore(for: self)
        workspace.load(samples, of: images)
        forward(workspace)
        let loss = loss(workspace)
        // SAFETY: the store is returned and so outlives the pass.
        unsafe backward(workspace, gradients: store.view, announce: store.announce)
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
