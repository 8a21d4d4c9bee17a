public import Reduction

/// What was chosen for an operation, and why.
public struct Choice: Sendable, Equatable {
    public var algorithm: Algorithm
    /// What each algorithm that came into question should take, in microseconds; the chosen one first.
    public var predictions: [(algorithm: Algorithm, microseconds: Double)]

    public static func == (left: Choice, right: Choice) -> Bool {
        left.algorithm == right.algorithm && left.predictions.elementsEqual(right.predictions) { $0 == $1 }
    }
}

extension ExecutorSettings {
    /// Those that can carry out a collective of this size.
    public func algorithms(for collective: Collective, byteCount: Int) -> [Algorithm] {
        Algorithm.allCases.filter { $0.supports(collective, byteCount: byteCount, in: self) }
    }

    /// The one place where an algorithm is chosen: a pure function of what all ranks agree on.
    /// - Parameter byteCount: of one rank's part: `count` elements.
    public func choice(for collective: Collective, byteCount: Int, type: ElementType) -> Choice {
        let predictions = Algorithm.candidates(for: collective, byteCount: byteCount, type: type, in: self)
            .map { (algorithm: $0, microseconds: costs.microseconds($0, collective, byteCount: byteCount, in: topology)) }
            .sorted { $0.microseconds < $1.microseconds }
        return Choice(algorithm: predictions[0].algorithm, predictions: predictions)
    }
}
