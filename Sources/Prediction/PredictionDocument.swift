internal import Foundation

/// A prediction, with what was asked for beside it.
public struct PredictionDocument: Sendable, Codable {
    public var prediction: Predictor.Prediction
    public var whatIf: [Predictor.Effect]?
    public var sensitivity: [Predictor.Sensitivity]?

    public init(_ prediction: Predictor.Prediction) { self.prediction = prediction }

    /// Keys in order, so that equal predictions are equal texts.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        // Finite numbers and texts can always be encoded.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
