import Foundation
import Verbena

/// What one size took in one place, and whether it was right; over all ranks.
struct Sample: Equatable {
    var microseconds: Double
    /// Size over time, in 1e9 bytes a second.
    var algorithmBandwidth: Double
    /// `algorithmBandwidth` times the collective's factor: what the links carried, comparable over any number of ranks.
    var busBandwidth: Double
    /// Elements that were not right, summed over ranks and checks; absent without a check.
    var wrong: Int?
    var percentiles: Percentiles?
    var stragglers: Stragglers?
    var iterations: IterationTimes?
}

/// What the cost model says of a size.
struct Choosing: Codable, Equatable {
    struct Alternative: Codable, Equatable {
        var algorithm: String
        var predictedMicroseconds: Double
    }

    /// What ran.
    var algorithm: String
    /// What the model expects of it; absent where it expects nothing of what was demanded.
    var predictedMicroseconds: Double?
    var why: String
    var alternatives: [Alternative]
}

/// One line of the table. What is optional is there only if it was asked for.
struct Row: Equatable {
    /// Of the larger buffer of a rank.
    var bytes: Int
    /// Elements of the buffer; of one block where a buffer has one for each rank.
    var count: Int
    var type: String
    var redop: String
    var root: Int
    var outOfPlace: Sample
    var inPlace: Sample
    var timestamp: String?
    var explanation: Choosing?
    var overlap: Overlap?
}

/// Where a rank runs.
struct ProcessIdentity: Codable, Equatable {
    var host: String
    var process: Int32

    static var own: ProcessIdentity {
        ProcessIdentity(host: ProcessInfo.processInfo.hostName, process: ProcessInfo.processInfo.processIdentifier)
    }
}

/// The whole run.
struct Report {
    struct Settings {
        var version: String
        var collective: String
        var ranks: Int
        var fabric: String
        var device: String
        var minimumBytes: Int
        var maximumBytes: Int
        var stepBytes: Int?
        var stepFactor: Int?
        var iterations: Int
        var warmupIterations: Int
        var aggregatedIterations: Int
        var checkIterations: Int
        var average: TimeOf
        var algorithm: String?
        var queuePairs: Int?
        var iterationsApart = false
        var skippedIterations = 0
        var dirty: Bool
        var receiveBufferBytes: Int
        var environment: [String: String]
    }

    var config: Settings
    /// Local time.
    var startTime = ""
    /// Of each rank.
    var processes: [ProcessIdentity] = []
    var results: [Row] = []
    var messageRate: MessageRate?
    var memory: MemoryUse?
    var averageBusBandwidth: Double = 0
    var outOfBounds: Int = 0

    /// To be called when all rows are there.
    mutating func summarize() {
        let samples = results.flatMap { [$0.outOfPlace, $0.inPlace] }
        averageBusBandwidth = samples.isEmpty ? 0 : samples.reduce(0) { $0 + $1.busBandwidth } / Double(samples.count)
        outOfBounds = samples.reduce(0) { $0 + ($1.wrong ?? 0) }
    }

    /// The variables that change what is measured. All others stay out: an environment has secrets in it.
    static func environment(_ variables: [String: String]) -> [String: String] {
        let told: Set<String> = [
            "VERBENA_COSTS", "VERBENA_DEVICE", "VERBENA_DEVICES_PER_RANK", "VERBENA_FABRIC", "VERBENA_LOG", "VERBENA_NODE",
        ]
        return variables.filter { told.contains($0.key) }
    }
}
