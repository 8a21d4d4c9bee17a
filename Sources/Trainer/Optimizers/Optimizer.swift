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
    /// Of LARS. With 1 the step size is by what part of its norm a weight matrix moves, but for momentum; the paper's 0.001 wants step sizes a thousand times as
    /// large, which biases, whose steps are not scaled, do not bear.
    public var trust: Float = 1
    /// Of AdamW.
    public var beta1: Float = 0.9
    public var beta2: Float = 0.999
    public var epsilon: Float = 1e-8

    public init() {}
}

/// Moves the parameters of a model. Owns what it remembers of each element, or of those elements only that this rank updates for all. Element by element in one order, no
/// fused operation: equal gradients give equal bits on every rank, and whoever does it.
///
/// One call at a time. `replace` may come from the engine's thread, under the exchange's lock, between the trainer's `beginStep` and its waits.
@safe
// Sendable: two threads are kept apart by the exchange's lock, and by the order of begin, announcements and waits, as said above.
final class Optimizer: @unchecked Sendable {
    let settings: OptimizerSettings
    let parameters: [Parameter]
    /// By parameter, momentum or the mean of gradients, and, of AdamW, the mean of their squares. As checkpoints have them; where ranks share the update, of
    /// this rank's elements one after the other, and none where it has none.
    private(set) var states: [[Parameter]] = []
    /// By parameter, where ranks share the update: this rank's elements.
    private(set) var owned: [[Range<Int>]]?
    /// How many steps were begun.
    var step = 0
    /// Of this step.
    private var rate: Float = 0
    /// A piece of a parameter that is moved on its way to other ranks.
    private let piece = FloatBuffer(count: Optimizer.pieceElements)

    /// Of the first-level cache.
    private static let pieceElements = 2048

    init(_ settings: OptimizerSettings, for parameters: [Parameter]) {
        self.settings = settings
        self.parameters = parameters
    }

    /// Before the first step: takes memory for what is remembered.
    /// - Parameter owned: by parameter this rank's elements, where ranks share the update; nil: all.
    func remember(owned: [[Range<Int>]]? = nil) {
        self.owned = owned
        states = parameters.enumerated().map { index, parameter in
            let shape = owned.map { [$0[index].reduce(0) { $0 + $1.count }] } ?? parameter.shape
            return shape == [0] ? [] : makeStates(parameter, shape)
        }
    }

    /// What is remembered of a parameter, all of it 0.
    func makeStates(_ parameter: Parameter, _ shape: [Int]) -> [Parameter] {
        let names = settings.method == .adamw ? ["mean", "square"] : ["momentum"]
        return names.map { Parameter(name: "\(parameter.name).\($0)", shape: shape, decays: false) }
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
        // SAFETY: parameter and states are held here and equally long; the gradient is the caller's.
        unsafe move(parameter, parameter.values, states[index][0].values, states[index][states[index].count - 1].values, by: gradient)
    }

    /// Makes of a piece of an averaged gradient the parameter's new values, which this rank finds out for all. The parameter itself stays.
    @unsafe
    func replace(_ index: Int, _ elements: Range<Int>, _ gradient: UnsafeMutableBufferPointer<Float>) {
        guard let owned else { fatalError("this rank updates everything itself") }
        var place = 0
        for range in owned[index] {
            if range.contains(elements.lowerBound) {
                place += elements.lowerBound - range.lowerBound
                break
            }
            place += range.count
        }
        let parameter = parameters[index]
        for start in stride(from: 0, to: elements.count, by: Self.pieceElements) {
            let part = start..<min(start + Self.pieceElements, elements.count)
            // SAFETY: parts of the parameter, of its states, and of the caller's gradient; all are held here, or by the caller.
            let values = unsafe UnsafeMutableBufferPointer(rebasing: piece.values[..<part.count])
            let slope = unsafe UnsafeMutableBufferPointer(rebasing: gradient[part])
            let source = unsafe parameter.values.baseAddress! + elements.lowerBound + start
            unsafe values.baseAddress!.update(from: source, count: part.count)
            let remembered = place + part.lowerBound..<place + part.upperBound
            unsafe move(
                parameter, values, UnsafeMutableBufferPointer(rebasing: states[index][0].values[remembered]),
                UnsafeMutableBufferPointer(rebasing: states[index][states[index].count - 1].values[remembered]), by: slope)
            unsafe slope.baseAddress!.update(from: values.baseAddress!, count: part.count)
        }
    }

    /// - Parameters:
    ///   - first: what is remembered first.
    ///   - last: and last, which is the same where that is all.
    @unsafe
    private func move(
        _ parameter: Parameter, _ values: UnsafeMutableBufferPointer<Float>, _ first: UnsafeMutableBufferPointer<Float>,
        _ last: UnsafeMutableBufferPointer<Float>, by gradient: UnsafeMutableBufferPointer<Float>
    ) {
        // SAFETY: as long as each other; they are the callers', who hold them for the call.
        let decay = parameter.decays ? settings.weightDecay : 0
        switch settings.method {
        case .sgd, .lars:
            let scale = settings.method == .lars && parameter.decays ? unsafe localRate(values, gradient, decay) : 1
            unsafe Elements.chosen.update(
                values, first, by: gradient,
                MomentumStep(
                    rate: rate, momentum: settings.momentum, gradientScale: scale, decay: scale * decay, isNesterov: settings.nesterov))
        case .adamw:
            unsafe Elements.chosen.update(
                values, means: first, squares: last, by: gradient,
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
