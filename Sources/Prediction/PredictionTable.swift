internal import Foundation
internal import Gradients

/// Rows as people read them.
public enum PredictionTable {
    private static func fixed(_ value: Double, _ digits: Int, _ width: Int) -> String {
        let text = String(format: "%.\(digits)f", value)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }

    /// Times in milliseconds.
    public static func text(_ prediction: Predictor.Prediction) -> String {
        var lines = [
            "\(prediction.profile), \(prediction.parameters) parameters, on \(prediction.cluster); seed \(prediction.seed)",
            "  ranks   step ms  compute  exposed   of which: late peer    wire  reduction    core   efficiency   samples/s   epoch min  plan",
        ]
        for row in prediction.rows {
            let exposed = row.exposed
            lines.append(
                padded("\(row.ranks)", 7) + fixed(row.stepSeconds * 1e3, 2, 10) + fixed((row.computeSeconds + row.inputSeconds) * 1e3, 2, 9)
                    + fixed(exposed.total * 1e3, 2, 9) + fixed(exposed.latePeer * 1e3, 2, 22) + fixed(exposed.wire * 1e3, 2, 8)
                    + fixed(exposed.reduction * 1e3, 2, 11) + fixed((exposed.core + exposed.ownGradient + exposed.release) * 1e3, 2, 8)
                    + fixed(row.efficiency * 100, 2, 11) + " %" + fixed(row.samplesPerSecond, 0, 12)
                    + (row.epochSeconds.map { fixed($0 / 60, 2, 12) } ?? padded("-", 12))
                    + "  \(row.buckets) by \(row.schedule)" + (row.urgentBuckets > 0 ? ", \(row.urgentBuckets) urgent" : ""))
        }
        return lines.joined(separator: "\n")
    }

    /// Changes, what saves most first.
    public static func text(_ effects: [Predictor.Effect], ranks: Int) -> String {
        let lines = effects.map { effect in
            guard let saved = effect.saved, let efficiency = effect.efficiency else {
                return "       -          -  \(effect.name): \(effect.reason ?? "")"
            }
            return fixed(saved * 100, 2, 8) + fixed(efficiency * 100, 2, 11) + "  \(effect.name)"
        }
        return (["what if, at \(ranks) ranks", " saved %  efficiency"] + lines).joined(separator: "\n")
    }

    /// Assumptions, what moves most first.
    public static func text(_ sensitivities: [Predictor.Sensitivity], ranks: Int) -> String {
        let lines = sensitivities.map {
            fixed($0.half * 100, 2, 9) + fixed($0.base * 100, 2, 9) + fixed($0.twice * 100, 2, 9) + "  \($0.name)"
        }
        return (["how the efficiency hangs on what is assumed, at \(ranks) ranks", "  half, %     as is    twice"] + lines)
            .joined(separator: "\n")
    }

    /// All that there is.
    public static func text(_ document: PredictionDocument) -> String {
        var parts = [text(document.prediction)]
        let ranks = document.prediction.rows.last?.ranks ?? 0
        if let effects = document.whatIf { parts.append(text(effects, ranks: ranks)) }
        if let sensitivities = document.sensitivity { parts.append(text(sensitivities, ranks: ranks)) }
        return parts.joined(separator: "\n\n")
    }

    /// The published systems.
    public static func text(_ comparisons: [ReferenceSystem.Comparison]) -> String {
        var lines = ["system            nodes      published  theirs, predicted   ours  to 4096 nodes, ours"]
        for comparison in comparisons {
            lines.append(
                comparison.name.padding(toLength: 18, withPad: " ", startingAt: 0)
                    + "\(comparison.baseNodes) to \(comparison.nodes)".padding(toLength: 9, withPad: " ", startingAt: 0)
                    + fixed(comparison.published * 100, 1, 11) + fixed(comparison.theirs * 100, 1, 19) + fixed(comparison.ours * 100, 1, 8)
                    + fixed(comparison.oursLarge * 100, 1, 21))
            for share in comparison.shares { lines.append("    " + fixed(share.points, 2, 7) + " points: \(share.cause)") }
        }
        return lines.joined(separator: "\n")
    }
}
