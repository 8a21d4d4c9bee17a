import Foundation
import Verbena

/// The whole run as JSON.
struct Report: Codable {
    struct Settings: Codable {
        var version: String
        var ranks: Int
        var fabric: String
        var device: String
        var minimumBytes: Int
        var maximumBytes: Int
        var iterations: Int
        var warmupIterations: Int
        var landingBytes: Int
    }

    var config: Settings
    var results: [Row] = []
    var averageBusBandwidth: Double = 0
    var outOfBounds: Int = 0
}

/// The table in the columns of nccl-tests, so that scripts written for them read it.
enum Table {
    static func header(_ settings: Report.Settings, sweep: SizeSweep, isChecked: Bool) -> String {
        let step = sweep.factor.map { "\($0)(factor)" } ?? "\(sweep.step)(bytes)"
        return """
            # rdma-allreduce \(settings.version) ranks \(settings.ranks) fabric \(settings.fabric) device \(settings.device)
            # minBytes \(settings.minimumBytes) maxBytes \(settings.maximumBytes) step: \(step) warmup iters: \(settings.warmupIterations) \
            iters: \(settings.iterations) validation: \(isChecked ? 1 : 0)
            #
            # \(pad("", 10))  \(pad("", 12))  \(pad("", 8))  \(pad("", 6))  \(pad("", 6))           out-of-place                       in-place
            \(line("#", ["size", "count", "type", "redop", "root"], ["time", "algbw", "busbw", "#wrong"]))
            \(line("#", ["(B)", "(elements)", "", "", ""], ["(us)", "(GB/s)", "(GB/s)", ""]))
            """
    }

    static func row(_ row: Row) -> String {
        let left = [pad("\(row.bytes)", 12), pad("\(row.count)", 12), pad(row.type, 8), pad(row.redop, 6), pad("\(row.root)", 6)]
        return left.joined(separator: "  ") + sample(row.outOfPlace) + sample(row.inPlace)
    }

    static func footer(_ report: Report) -> String {
        """
        # Out of bounds values : \(report.outOfBounds) \(report.outOfBounds == 0 ? "OK" : "FAILED")
        # Avg bus bandwidth    : \(String(format: "%g", report.averageBusBandwidth))
        #
        """
    }

    private static func sample(_ sample: Sample) -> String {
        let time = sample.microseconds
        let digits = time >= 10_000 ? 0 : time >= 1_000 ? 1 : 2
        return "  " + pad(String(format: "%.\(digits)f", time), 7) + "  " + pad(String(format: "%.2f", sample.algorithmBandwidth), 6) + "  "
            + pad(String(format: "%.2f", sample.busBandwidth), 6) + "  " + pad(sample.wrong.map { "\($0)" } ?? "N/A", 5)
    }

    private static func line(_ mark: String, _ left: [String], _ side: [String]) -> String {
        let columns = zip(left, [10, 12, 8, 6, 6]).map { pad($0, $1) }.joined(separator: "  ")
        let samples = "  " + zip(side, [7, 6, 6, 6]).map { pad($0, $1) }.joined(separator: "  ")
        return "\(mark) \(columns)\(samples)\(samples)"
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
