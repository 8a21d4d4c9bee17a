internal import CElements

// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' and arrays' memory alive, and shapes are checked here.

/// One step of SGD: v = momentum v + g with g = gradientScale * gradient + decay * w; then w = w - rate v, or with Nesterov's look ahead
/// w = w - rate (g + momentum v).
struct MomentumStep: Equatable {
    var rate: Float
    var momentum: Float
    /// LARS' local rate, clipping, or the mean over accumulated batches. LARS scales the decay as well.
    var gradientScale: Float = 1
    var decay: Float = 0
    var isNesterov = false
}

/// One step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101): m = beta1 m + (1 - beta1) g and v = beta2 v + (1 - beta2) g^2 with
/// g = gradientScale * gradient; then w = (1 - rate decay) w - rate meanCorrection m / (sqrt(squareCorrection v) + epsilon).
struct AdamStep: Equatable {
    var rate: Float
    var beta1: Float = 0.9
    var beta2: Float = 0.999
    var epsilon: Float = 1e-8
    var decay: Float = 0
    var gradientScale: Float = 1
    /// 1 / (1 - beta1^t) and 1 / (1 - beta2^t) in step t, counted from 1.
    var meanCorrection: Float
    var squareCorrection: Float
}

extension Elements {
    /// All three are of one length and do not overlap.
    @unsafe
    func update(
        _ parameters: UnsafeMutableBufferPointer<Float>, _ velocities: UnsafeMutableBufferPointer<Float>,
        by gradient: UnsafeMutableBufferPointer<Float>, _ step: MomentumStep
    ) {
        invariant(
            parameters.count == gradient.count && velocities.count == gradient.count,
            "parameters, velocities and gradient are of one length")
        guard
            let parameter = parameters.baseAddress, let velocity = velocities.baseAddress,
            let slope = gradient.baseAddress
        else { return }
        var step = ElementMomentumStep(
            rate: step.rate, momentum: step.momentum, gradient_scale: step.gradientScale, decay: step.decay, is_nesterov: step.isNesterov)
        unsafe set.pointee.update(parameter, velocity, slope, &step, gradient.count)
    }

    /// All four are of one length and do not overlap.
    @unsafe
    func update(
        _ parameters: UnsafeMutableBufferPointer<Float>, means: UnsafeMutableBufferPointer<Float>,
        squares: UnsafeMutableBufferPointer<Float>, by gradient: UnsafeMutableBufferPointer<Float>, _ step: AdamStep
    ) {
        invariant(
            parameters.count == gradient.count && means.count == gradient.count && squares.count == gradient.count,
            "parameters, both moments and gradient are of one length")
        guard
            let parameter = parameters.baseAddress, let mean = means.baseAddress, let square = squares.baseAddress,
            let slope = gradient.baseAddress
        else { return }
        var step = ElementAdamStep(
            rate: step.rate, beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon, decay: step.decay,
            gradient_scale: step.gradientScale, mean_correction: step.meanCorrection, square_correction: step.squareCorrection)
        unsafe set.pointee.update_adam(parameter, mean, square, slope, &step, gradient.count)
    }
}
