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
    /// - Parameters:
    ///   - isUneven: whether the parts of the ranks differ in size; the largest counts.
    ///   - isStriped: whether the operation has stripes.
    ///   - isPrivate: whether peers see neither input nor output.
    public func algorithms(
        for collective: Collective, byteCount: Int, isUneven: Bool = false, isStriped: Bool = false, isPrivate: Bool = false
    ) -> [Algorithm] {
        Algorithm.allCases.filter {
            $0.supports(collective, byteCount: byteCount, isUneven: isUneven, isStriped: isStriped, isPrivate: isPrivate, in: self)
        }
    }

    /// The one place where an algorithm is chosen: a pure function of what all ranks agree on.
    /// - Parameters:
    ///   - byteCount: of one rank's part: `count` elements; the mean, where they differ.
    ///   - largestByteCount: of the largest part, where they differ.
    ///   - stripe: elements of a stripe, where the operation has such.
    ///   - isPrivate: whether peers see neither input nor output.
    public func choice(
        for collective: Collective, byteCount: Int, largestByteCount: Int? = nil, type: ElementType, stripe: Int = 0,
        isPrivate: Bool = false
    ) -> Choice {
        let predictions = Algorithm.candidates(
            for: collective, byteCount: byteCount, largestByteCount: largestByteCount, isStriped: stripe > 0, isPrivate: isPrivate,
            type: type, in: self
        )
        .map {
            (
                algorithm: $0,
                microseconds: costs.microseconds($0, collective, byteCount: byteCount, stripeBytes: stripe * type.byteCount, in: topology)
            )
        }
        .sorted { $0.microseconds < $1.microseconds }
        return Choice(algorithm: predictions[0].algorithm, predictions: predictions)
    }
}
