/// How parameters move by their gradients. The defaults are plain SGD's.
public struct OptimizerSettings: Sendable, Equatable {
    public enum Method: String, Sendable, CaseIterable {
        /// v = momentum v + g + decay w; w = w - rate v. Source: Sutskever et al., 2013, in the form that PyTorch made common.
        case sgd
        /// SGD whose gradient is scaled, weight matrix by weight matrix, by trust |w| / (|g| + decay |w|), for large batches. Biases and gains are not scaled.
        /// Source: You, Gitman and Ginsburg, arXiv 1708.03888.
        case lars
        /// Moments of the gradient and its square; decay apart from them. Source: Loshchilov and Hutter, arXiv 1711.05101.
        case adamw
    }

    public var method = Method.sgd
    /// Of SGD and LARS, from 0 to below 1.
    public var momentum: Float = 0.9
    /// Of SGD and LARS: looks ahead by one step of the momentum.
    public var nesterov = false
    /// Of weight matrices; biases and gains do not decay.
    public var weightDecay: Float = 0
    /// Of LARS.
    public var trust: Float = 0.001
    /// Of AdamW.
    public var beta1: Float = 0.9
    public var beta2: Float = 0.999
    public var epsilon: Float = 1e-8

    public init() {}
}

/// Moves the parameters of a model. Owns what it remembers of each. Element by element in one order, no fused operation: equal gradients give equal bits on
/// every rank. Belongs to one thread.
@safe
final class Optimizer {
    let settings: OptimizerSettings
    private let parameters: [Parameter]
    /// By parameter, momentum or the mean of gradients, and, of AdamW, the mean of their squares. As checkpoints have them.
    let states: [[Parameter]]
    /// How many steps were begun.
    var step = 0
    /// Of this step.
    private var rate: Float = 0

    init(_ settings: OptimizerSettings, for parameters: [Parameter]) {
        self.settings = settings
        self.parameters = parameters
        let names = settings.method == .adamw ? ["mean", "square"] : ["momentum"]
        states = parameters.map { parameter in
            names.map { Parameter(name: "\(parameter.name).\($0)", shape: parameter.shape, decays: false) }
        }
    }

    func beginStep(rate: Float) {
        self.rate = rate
        step += 1
    }

    /// Moves parameter `index` by its gradient, which is only read and must be as long.
    @unsafe
    func update(_ index: Int, by gradient: UnsafeMutableBufferPointer<Float>) {
        let parameter = parameters[index]
        invariant(gradient.count == parameter.elementCount, "a gradient of \(gradient.count) for \(parameter.name)")
        let decay = parameter.decays ? settings.weightDecay : 0
        // SAFETY: parameter and states are held here and equally long; the gradient is the caller's.
        let (values, first) = unsafe (parameter.values, states[index][0].values)
        switch settings.method {
        case .sgd, .lars:
            let scale = settings.method == .lars && parameter.decays ? unsafe localRate(values, gradient, decay) : 1
            unsafe Elements.chosen.update(
                values, first, by: gradient,
                MomentumStep(
                    rate: rate, momentum: settings.momentum, gradientScale: scale, decay: scale * decay, isNesterov: settings.nesterov))
        case .adamw:
            unsafe Elements.chosen.update(
                values, means: first, squares: states[index][1].values, by: gradient,
                AdamStep(
                    rate: rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon, decay: decay,
                    meanCorrection: Self.correction(settings.beta1, step), squareCorrection: Self.correction(settings.beta2, step)))
        }
    }

    /// Of LARS; 1 where either norm is 0, as in the first step of weights that begin at 0.
    @unsafe
    private func localRate(
        _ values: UnsafeMutableBufferPointer<Float>, _ gradient: UnsafeMutableBufferPointer<Float>, _ decay: Float
    ) -> Float {
        // SAFETY: the caller's views, alive for the call.
        let norm = unsafe Elements.chosen.sumOfSquares(values).squareRoot()
        let slope = unsafe Elements.chosen.sumOfSquares(gradient).squareRoot()
        guard norm > 0, slope > 0 else { return 1 }
        return Float(Double(settings.trust) * norm / (slope + Double(decay) * norm))
    }

    /// 1 / (1 - beta^step): the means begin at 0.
    private static func correction(_ beta: Float, _ step: Int) -> Float {
        var power = 1.0
        // Squaring, so that the bits do not depend on a C library.
        var (base, exponent) = (Double(beta), step)
        while exponent > 0 {
            if exponent & 1 == 1 { power *= base }
            base *= base
            exponent >>= 1
        }
        return Float(1 / (1 - power))
    }
}
