/// Values that a model owns: trained ones, which get gradients, or statistics, which a forward pass in training updates.
///
/// Belongs to the thread that computes with the model.
// SAFETY (whole file): the memory is the parameter's own; whoever asks for it holds the parameter.
@safe
public final class Parameter {
    /// As checkpoints have it, `blocks.0.attention.qkv.weight`.
    public let name: String
    /// Row-major, the last dimension is dense.
    public let shape: [Int]
    /// Whether weight decay concerns it: a matrix's weights, but neither biases nor the gains of a norm.
    public let decays: Bool
    /// Whether this is one rank's part of what the ranks of a team divide.
    let isPart: Bool
    let memory: FloatBuffer

    public convenience init(name: String, shape: [Int], decays: Bool) { self.init(name: name, shape: shape, decays: decays, isPart: false) }

    init(name: String, shape: [Int], decays: Bool, isPart: Bool) {
        invariant(!shape.isEmpty && shape.allSatisfy { $0 > 0 }, "\(name) of shape \(shape)")
        (self.name, self.shape, self.decays, self.isPart) = (name, shape, decays, isPart)
        memory = FloatBuffer(count: shape.reduce(1, *))
    }

    public var elementCount: Int { unsafe memory.values.count }

    /// Valid as long as the parameter lives.
    public var values: UnsafeMutableBufferPointer<Float> { unsafe memory.values }

    /// All dimensions but the last are rows.
    public var matrix: Matrix { memory.matrix(rows: elementCount / shape[shape.count - 1], columns: shape[shape.count - 1]) }
}
