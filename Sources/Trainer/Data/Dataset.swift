public import Crypto

/// Samples to learn from, all of one shape, with one label or one for each position.
public protocol Dataset: Sendable {
    var count: Int { get }
    var input: Shape { get }
    var classCount: Int { get }
    var labelsPerSample: Int { get }
    /// The chosen samples, row by row: values as a model wants them (pixels 0...1, tokens as whole numbers), and their labels.
    func load(_ samples: ArraySlice<Int>, into batch: Batch)
    /// All that training depends on.
    func hash(into hash: inout SHA256)
}

/// The memory of up to `capacity` samples. Belongs to one thread.
public final class Batch {
    public let capacity: Int
    public let input: Shape
    public let labelsPerSample: Int
    /// How many samples the last `load` put in.
    public private(set) var count = 0
    private var labelMemory: [Int32]
    private let values: FloatBuffer

    public init(capacity: Int, input: Shape, labelsPerSample: Int) {
        invariant(capacity > 0 && labelsPerSample > 0, "a batch of \(capacity)")
        (self.capacity, self.input, self.labelsPerSample) = (capacity, input, labelsPerSample)
        labelMemory = [Int32](repeating: 0, count: capacity * labelsPerSample)
        values = FloatBuffer(count: capacity * input.elementCount)
    }

    /// Traps where the samples are more than the capacity, or of another shape.
    public func load(_ samples: ArraySlice<Int>, of data: some Dataset) {
        invariant(!samples.isEmpty && samples.count <= capacity, "\(samples.count) samples for a batch of \(capacity)")
        invariant(data.input.elementCount == input.elementCount, "samples of \(data.input) for a model of \(input)")
        invariant(data.labelsPerSample == labelsPerSample, "\(data.labelsPerSample) labels a sample, not \(labelsPerSample)")
        count = samples.count
        data.load(samples, into: self)
    }

    /// samples * positions x channels.
    public var matrix: Matrix { values.matrix(rows: count * input.positions, columns: input.channels) }

    public var labels: ArraySlice<Int32> { labelMemory[..<(count * labelsPerSample)] }

    /// - Parameter index: over all labels of the batch.
    public func setLabel(_ index: Int, _ label: Int32) { labelMemory[index] = label }
}
