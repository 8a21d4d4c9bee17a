public import Collectives

/// Which algorithm carries out a collective, and why.
public struct Explanation: Sendable, CustomStringConvertible {
    public let algorithm: Algorithm
    public let predictedMicroseconds: Double
    /// What else came into question, with what it should take in microseconds; the best first.
    public let alternatives: [(Algorithm, Double)]
    public let why: String

    init(_ choice: Choice, _ settings: ExecutorSettings, link: EmulatedLink?) {
        algorithm = choice.algorithm
        predictedMicroseconds = choice.predictions[0].microseconds
        alternatives = choice.predictions.dropFirst().map { ($0.algorithm, $0.microseconds) }
        let topology = settings.topology
        let places = "on \(topology.nodeCount) machine\(topology.nodeCount == 1 ? "" : "s")"
        let world = "\(topology.worldSize) ranks \(link.map { "over an emulated link of \($0)" } ?? places)"
        let rivals = alternatives.map { "\($0.0.rawValue) \(Self.text($0.1))" }.joined(separator: ", ")
        why = rivals.isEmpty ? "what size and world decide for \(world)" : "\(world); instead of \(rivals)"
    }

    private static func text(_ microseconds: Double) -> String { "\((microseconds * 10).rounded() / 10) us" }

    /// One line.
    public var description: String { "\(algorithm.rawValue): \(Self.text(predictedMicroseconds)) predicted; \(why)" }
}
