import Verbena

extension Choosing {
    /// - Parameter demanded: what `--algorithm` says, if anything.
    init(_ explanation: Explanation, demanded: Algorithm?) {
        let predictions = [(explanation.algorithm, explanation.predictedMicroseconds)] + explanation.alternatives
        self.init(predictions: predictions, why: explanation.why, demanded: demanded)
    }

    /// - Parameter predictions: of every algorithm that is possible, in microseconds; the first is what the model chooses.
    init(predictions: [(Algorithm, Double)], why reason: String, demanded: Algorithm?) {
        let chosen = demanded ?? predictions[0].0
        algorithm = chosen.name
        predictedMicroseconds = predictions.first { $0.0 == chosen }?.1
        alternatives = predictions.filter { $0.0 != chosen }.map { Alternative(algorithm: $0.0.name, predictedMicroseconds: $0.1) }
        let others = alternatives.map { "\($0.algorithm) \(Table.time($0.predictedMicroseconds)) us" }.joined(separator: ", ")
        why = demanded == nil ? reason : "--algorithm demands it\(others.isEmpty ? "" : "; possible otherwise: \(others)")"
    }
}
