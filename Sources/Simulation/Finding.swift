internal import SimulatedFabric

/// How a scenario went wrong: nil for the parts of the world that kept their promises.
struct Finding: Error, CustomStringConvertible {
    enum Kind: String {
        /// The network saw a promise broken.
        case broken
        /// A result is not what the oracle says.
        case wrongResult
        /// An operation failed without a cause, or for the wrong one; or did not fail with one.
        case wrongFailure
        /// Something had not ended in its time, or was left under way.
        case unfinished
        /// Set-up was refused.
        case refused
    }

    var kind: Kind
    var detail: String
    var trace: [String] = []
    /// Where it is `broken`: which promise.
    var violation: Violation.Kind?

    func isSameKind(as other: Finding) -> Bool { (kind, violation) == (other.kind, other.violation) }

    var description: String { "\(kind.rawValue): \(detail)" }
}
