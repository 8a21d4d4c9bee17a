public import Verbena

/// Why training could not begin or go on.
public enum TrainingError: Error, Sendable, CustomStringConvertible {
    /// A setting outside its bounds; the same on every rank, so every rank says so.
    case invalidSetting(String, remedy: String)
    /// Ranks differ in something that must be equal; the values with their ranks, lowest rank first.
    case ranksDisagree(what: String, values: [RankedValue])
    /// The loss is no number any more; the same step on every rank.
    case diverged(epoch: Int, step: Int, loss: Float)
    /// This rank cannot multiply matrices.
    case noBLAS(String)
    /// The checkpoint to go on from cannot be used; the same on every rank.
    case checkpoint(CheckpointError)
    /// The data that rank 0 reads for all cannot be used; the same on every rank.
    case data(DataError)
    /// The engine failed.
    case communication(VerbenaError)

    /// A value and who has it.
    public struct RankedValue: Sendable, Equatable {
        public let value: String
        public let ranks: [Int]
    }

    /// One line.
    public var description: String {
        switch self {
        case .invalidSetting(let detail, let remedy):
            "\(detail); \(remedy)"
        case .ranksDisagree(let what, let values):
            "ranks disagree on the \(what): " + Self.text(values)
                + "; start every rank with the same options and the same program"
        case .diverged(let epoch, let step, let loss):
            "training diverged: loss \(loss) in epoch \(epoch + 1), step \(step + 1); lower the learning rate"
        case .noBLAS(let detail):
            "matrices cannot be multiplied: \(detail)"
        case .checkpoint(let error):
            error.description
        case .data(let error):
            error.description
        case .communication(let error):
            error.description
        }
    }

    static func text(_ values: [RankedValue]) -> String { values.map(text).joined(separator: ", ") }

    private static func text(_ entry: RankedValue) -> String {
        let ranks = entry.ranks.map(String.init).joined(separator: ", ")
        return "\(entry.value) on rank\(entry.ranks.count == 1 ? "" : "s") \(ranks)"
    }
}
