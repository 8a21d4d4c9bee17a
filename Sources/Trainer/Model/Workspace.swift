/// The memory of one forward and backward pass over up to `capacity` samples, allocated once, so that a step allocates nothing.
/// Belongs to one thread.
public final class Workspace {
    public let capacity: Int
    /// How many samples the last `load` put in.
    public private(set) var sampleCount = 0
    private(set) var labels: [UInt8]
    private let layerSizes: [Int]
    /// Per level, from the input to the logits: capacity x size.
    private let activationMemory: [FloatBuffer]
    /// dL/d(activation), likewise; the input's is never wanted, so the list starts with the first layer's output.
    private let gradientMemory: [FloatBuffer]

    /// - Parameter capacity: the most samples of one batch, at least 1.
    public init(for model: MultilayerPerceptron, capacity: Int) {
        invariant(capacity > 0, "a workspace for \(capacity) samples")
        self.capacity = capacity
        layerSizes = model.layerSizes
        labels = [UInt8](repeating: 0, count: capacity)
        activationMemory = model.layerSizes.map { FloatBuffer(count: capacity * $0) }
        gradientMemory = model.layerSizes.dropFirst().map { FloatBuffer(count: capacity * $0) }
    }

    /// Copies samples and labels in, pixels scaled to 0...1. Traps where they are more than the capacity or of another size.
    public func load(_ samples: ArraySlice<Int>, of images: ImageDataset) {
        invariant(!samples.isEmpty && samples.count <= capacity, "\(samples.count) samples for a workspace of \(capacity)")
        invariant(images.pixelsPerImage == layerSizes[0], "\(images.pixelsPerImage) pixels for \(layerSizes[0]) inputs")
        sampleCount = samples.count
        images.copyPixels(of: samples, into: input)
        for (row, sample) in samples.enumerated() { labels[row] = images.labels[sample] }
    }

    var input: Matrix { activation(0) }
    var logits: Matrix { activation(layerSizes.count - 1) }

    /// sampleCount x size of level 0 (the input) ... layers (the logits).
    func activation(_ level: Int) -> Matrix {
        activationMemory[level].matrix(rows: sampleCount, columns: layerSizes[level])
    }

    /// The loss' gradient with respect to `activation(level)`; level from 1.
    func activationGradient(_ level: Int) -> Matrix {
        gradientMemory[level - 1].matrix(rows: sampleCount, columns: layerSizes[level])
    }
}
