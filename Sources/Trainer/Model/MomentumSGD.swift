/// Stochastic gradient descent with momentum: v = momentum v + g, then w = w - learningRate v. v starts at 0.
/// Owns v. Element by element in one order, no fused operation: equal gradients give equal bits on every rank.
/// Source: Sutskever et al., 2013, in the form that PyTorch made common.
public struct MomentumSGD {
    public let learningRate: Float
    public let momentum: Float
    private let velocities: [FloatBuffer]

    public init(for model: MultilayerPerceptron, learningRate: Float, momentum: Float) {
        self.init(elementCounts: (0..<model.parameterCount).map(model.elementCount), learningRate: learningRate, momentum: momentum)
    }

    init(elementCounts: [Int], learningRate: Float, momentum: Float) {
        self.learningRate = learningRate
        self.momentum = momentum
        velocities = elementCounts.map { FloatBuffer(count: $0) }
    }

    /// Moves parameter `index` by its gradient, which is only read. Both views must be alive and as long as the parameter.
    @unsafe
    public func update(_ index: Int, _ parameter: UnsafeMutableBufferPointer<Float>, by gradient: UnsafeMutableBufferPointer<Float>) {
        // SAFETY: this optimizer holds the velocity; the other two are the caller's.
        let velocity = unsafe velocities[index].values
        invariant(parameter.count == velocity.count && gradient.count == velocity.count, "parameter \(index) has another length")
        unsafe Elements.chosen.update(parameter, velocity, by: gradient, MomentumStep(rate: learningRate, momentum: momentum))
    }
}
