internal import Foundation
internal import Gradients

/// A prediction, what was asked for beside it, and all that it assumes.
public struct PredictionDocument: Sendable, Encodable {
    public let prediction: Predictor.Prediction
    public let whatIf: [Predictor.Effect]?
    public let sensitivity: [Predictor.Sensitivity]?
    /// As a cluster's file has it.
    public let cluster: Cluster
    public let profile: Profile
    public let settings: Settings

    /// A profile without its layers' own times.
    public struct Profile: Sendable, Encodable {
        public let name: String
        public let source: String
        public let layers: Int
        public let parameters: Int
        public let batch: Int
        public let samplesPerEpoch: Int
        public let forwardSeconds: Double
        public let backwardSeconds: Double
        public let optimizerSeconds: Double
        public let inputSeconds: Double
        public let spread: Double

        init(_ profile: ModelProfile) {
            (name, source, layers, parameters) = (profile.name, profile.source, profile.layers.count, profile.parameterCount)
            (batch, samplesPerEpoch, spread) = (profile.batch, profile.samplesPerEpoch, profile.spread)
            (forwardSeconds, backwardSeconds) = (profile.forwardSeconds, profile.backwardSeconds)
            (optimizerSeconds, inputSeconds) = (profile.optimizerSeconds, profile.inputSeconds)
        }
    }

    /// In the words of `verbena predict`'s options.
    public struct Settings: Sendable, Encodable {
        public let bucketBytes: String
        public let schedule: String
        public let wire: String
        public let wait: String
        public let priorities: Bool
        public let steps: Int
        public let seed: UInt64
        public let full: Bool

        init(_ settings: StepSettings) {
            bucketBytes =
                switch settings.bucketSize {
                case .planned: "auto"
                case .ddp: "ddp"
                case .fixed(let bytes): "\(bytes)"
                }
            schedule = settings.schedule?.rawValue ?? "auto"
            (wire, wait, priorities) = ("\(settings.wire)", settings.waiting.rawValue, settings.usesPriorities)
            (steps, seed, full) = (settings.steps, settings.seed, settings.simulatesAllRanks)
        }
    }

    /// Predicts.
    /// - Parameters:
    ///   - ranks: world sizes, at least one; changes and assumptions are looked at for the last one.
    ///   - whatIf: whether changes are ranked, too.
    ///   - sensitivity: whether assumptions are, too.
    /// - Throws: `PredictionError`.
    public init(_ predictor: Predictor, ranks: [Int], whatIf: Bool = false, sensitivity: Bool = false) throws {
        let last = ranks[ranks.count - 1]
        prediction = try predictor.prediction(ranks: ranks)
        self.whatIf = whatIf ? try predictor.effects(ranks: last) : nil
        self.sensitivity = sensitivity ? try predictor.sensitivities(ranks: last) : nil
        cluster = predictor.cluster
        profile = Profile(predictor.profile)
        settings = Settings(predictor.settings)
    }

    /// Keys in order, so that equal predictions are equal texts.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        // Finite numbers and texts can always be encoded.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
