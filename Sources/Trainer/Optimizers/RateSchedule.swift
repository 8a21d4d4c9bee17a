/// The step size over a run. Source of warm-up and linear scaling: Goyal et al., arXiv 1706.02677.
public struct RateSchedule: Sendable, Equatable {
    public enum Shape: Sendable, Equatable {
        case constant
        /// Times `factor` after each of these epochs.
        case steps(after: [Int], factor: Float)
        /// Half a cosine from the rate down to 0 at the end of the run.
        case cosine
    }

    /// After warm-up.
    public var rate: Float = 0.05
    public var shape = Shape.constant
    /// In which it rises linearly, from a step's share of it.
    public var warmupEpochs: Float = 0

    public init() {}

    /// - Parameters:
    ///   - step: from 0, over the whole run.
    ///   - stepCount: of the whole run.
    func rate(step: Int, stepsPerEpoch: Int, stepCount: Int) -> Float {
        let warmup = Int((warmupEpochs * Float(stepsPerEpoch)).rounded())
        if step < warmup { return rate * Float(step + 1) / Float(warmup) }
        switch shape {
        case .constant: return rate
        case .steps(let epochs, let factor):
            return epochs.reduce(rate) { step / stepsPerEpoch >= $1 ? $0 * factor : $0 }
        case .cosine:
            let share = Double(step - warmup) / Double(max(stepCount - warmup, 1))
            return rate * Float(0.5 + 0.5 * Self.cosine(ofHalfTurns: min(share, 1)))
        }
    }

    /// cos(pi x) for 0...1, from the four basic operations, so that every machine steps alike: a Taylor series around the nearest of 0 and 1/2.
    private static func cosine(ofHalfTurns x: Double) -> Double {
        if x > 0.5 { return -cosine(ofHalfTurns: 1 - x) }
        let square = (x * Double.pi) * (x * Double.pi)
        var (term, sum) = (1.0, 1.0)
        for index in stride(from: 1.0, through: 21, by: 2) {
            term *= -square / (index * (index + 1))
            sum += term
        }
        return sum
    }
}
