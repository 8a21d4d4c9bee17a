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
}
