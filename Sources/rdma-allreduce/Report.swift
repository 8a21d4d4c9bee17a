import Foundation
import Verbena

/// What one size took in one place, and whether it was right; over all ranks.
struct Sample: Equatable {
    var microseconds: Double
    /// Size over time, in 1e9 bytes a second.
    var algorithmBandwidth: Double
    /// `algorithmBandwidth` times the collective's factor: what the links carried, comparable over any number of ranks.
    var busBandwidth: Double
    /// Elements that were not right, summed over ranks and checks; nil without a check.
    var wrong: Int?
    var stragglers: Stragglers?
    var iterations: IterationTimes?
}

extension Sample: Encodable {
    private enum CodingKeys: String, CodingKey {
        case microseconds = "time"
        case algorithmBandwidth = "algBw"
        case busBandwidth = "busBw"
        case wrong = "nwrong"
    }

    func encode(to encoder: any Encoder) throws {
        var place = encoder.container(keyedBy: CodingKeys.self)
        try place.encode(microseconds, forKey: .microseconds)
        try place.encode(algorithmBandwidth, forKey: .algorithmBandwidth)
        try place.encode(busBandwidth, forKey: .busBandwidth)
        // Null without a check.
        try place.encode(wrong, forKey: .wrong)
    }
}

/// What the cost model says of a size.
struct Choosing: Codable, Equatable {
    struct Alternative: Codable, Equatable {
        var algorithm: String
        var predictedMicroseconds: Double
    }

    /// What ran.
    var algorithm: String
    /// What the model expects of it; nil where it expects nothing of what was demanded.
    var predictedMicroseconds: Double?
    var why: String
    var alternatives: [Alternative]

    /// - Parameters:
    ///   - predictions: of every algorithm that is possible, in microseconds; the first is what the model chooses.
    ///   - demanded: what `--algorithm` says, if anything.
    init(predictions: [(Algorithm, Double)], why reason: String, demanded: Algorithm?) {
        let chosen = demanded ?? predictions[0].0
        algorithm = chosen.name
        predictedMicroseconds = predictions.first { $0.0 == chosen }?.1
        alternatives = predictions.filter { $0.0 != chosen }.map { Alternative(algorithm: $0.0.name, predictedMicroseconds: $0.1) }
        let others = alternatives.map { "\($0.algorithm) \(Table.time($0.predictedMicroseconds)) us" }.joined(separator: ", ")
        why = demanded == nil ? reason : "--algorithm demands it\(others.isEmpty ? "" : "; possible otherwise: \(others)")"
    }
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
    var iterations: Int
    var timestamp: String?
    var explanation: Choosing?
    var overlap: Overlap?
}

extension Row: Encodable {
    private enum CodingKeys: CodingKey {
        case size, count, type, redop, root, outOfPlace, outOfPlacePerIter, inPlace, inPlacePerIter, actualIterations, experimentName
    }

    func encode(to encoder: any Encoder) throws {
        var line = encoder.container(keyedBy: CodingKeys.self)
        try line.encode(bytes, forKey: .size)
        try line.encode(count, forKey: .count)
        try line.encode(type, forKey: .type)
        try line.encode(redop, forKey: .redop)
        // A text of six places.
        try line.encode(Table.pad("\(root)", 6), forKey: .root)
        try line.encode(outOfPlace, forKey: .outOfPlace)
        try line.encodeIfPresent(outOfPlace.iterations, forKey: .outOfPlacePerIter)
        try line.encode(inPlace, forKey: .inPlace)
        try line.encodeIfPresent(inPlace.iterations, forKey: .inPlacePerIter)
        try line.encode(iterations, forKey: .actualIterations)
        try line.encode("", forKey: .experimentName)
    }
}

/// The whole run, and its JSON: the file of nccl-tests 2.19.6, version 3 of its form, so that what reads it reads ours; and under `verbena`
/// what it has no place for. Keys are to be encoded in snake case.
struct Report: Encodable {
    var version = 3
    /// Local time, as that of the end.
    var startTime: String
    var args = CommandLine.arguments
    /// `NAME=value`, only what `Report.environment` lets through; nccl-tests write all of it.
    var env: [String] = []
    /// There is no NCCL.
    var ncclVersion = 0
    var config: Config
    var results: [Row] = []
    var outOfBounds = OutOfBounds()
    var averageBusBandwidth = AverageBusBandwidth()
    var errors: [String] = []
    var endTime = ""
    var verbena: Own

    /// A truth value, which nccl-tests write as a text.
    enum Truth: String, Encodable {
        case yes = "true"
        case no = "false"

        init(_ value: Bool) { self = value ? .yes : .no }
    }

    struct Config: Encodable {
        /// A rank is a process with one thread of the user's and no GPU; nccl-tests multiply the two.
        var nthreads = 1
        var ngpus = 1
        var minimumBytes: Int
        var maximumBytes: Int
        var stepFactor: Int?
        var stepBytes: Int?
        var warmupIters: Int
        var iterations: Int
        var aggregatedIterations: Int
        var validation: Int
        var graph = 0
        var blockingCollectives = Truth.no
        var perIterTiming = Truth.no
        var perIterSkip = 0
        var parallelInit = Truth.no
        /// By rank.
        var devices: [Device] = []
    }

    /// Where a rank runs.
    struct Device: Codable {
        var rank: Int
        var group = 0
        var pid = ProcessInfo.processInfo.processIdentifier
        var hostname = ProcessInfo.processInfo.hostName
        /// The rank's number on its host.
        var device = 0
        var deviceHex = ""
        var deviceInfo: String
    }

    struct OutOfBounds: Encodable {
        var count = 0
        var okay = Truth.yes
    }

    struct AverageBusBandwidth: Encodable {
        var bandwidth = 0.0
        /// Nothing is demanded of it.
        var okay = "unchecked"
    }

    /// What nccl-tests have no place for.
    struct Own: Encodable {
        var version = Communicator.version
        var collective: String
        var ranks: Int
        var fabric: String
        var device: String
        var average: TimeOf
        var algorithm: String?
        var queuePairs: Int?
        var dirty: Bool
        /// Nil for the engine's.
        var buffers: BufferOwner?
        var receiveBufferBytes: Int
        /// One for each of the table, if something of them was asked for.
        var results: [OwnLine]?
        var messageRate: MessageRate?
        var memory: MemoryUse?
    }

    struct OwnLine: Encodable {
        var timestamp: String?
        var explanation: Choosing?
        var overlap: Overlap?
        var outOfPlaceStragglers: Stragglers?
        var inPlaceStragglers: Stragglers?

        init(_ row: Row) {
            (timestamp, explanation, overlap) = (row.timestamp, row.explanation, row.overlap)
            (outOfPlaceStragglers, inPlaceStragglers) = (row.outOfPlace.stragglers, row.inPlace.stragglers)
        }

        var isEmpty: Bool { timestamp == nil && explanation == nil && overlap == nil && inPlaceStragglers == nil }
    }

    /// Sums the run up. To be called when all rows and devices are there.
    mutating func summarize() {
        let samples = results.flatMap { [$0.outOfPlace, $0.inPlace] }
        averageBusBandwidth.bandwidth = samples.isEmpty ? 0 : samples.reduce(0) { $0 + $1.busBandwidth } / Double(samples.count)
        outOfBounds.count = samples.reduce(0) { $0 + ($1.wrong ?? 0) }
        outOfBounds.okay = Truth(outOfBounds.count == 0)
        let lines = results.map(OwnLine.init)
        verbena.results = lines.contains { !$0.isEmpty } ? lines : nil
        var ranksOfHosts: [String: Int] = [:]
        for index in config.devices.indices {
            config.devices[index].device = ranksOfHosts[config.devices[index].hostname, default: 0]
            ranksOfHosts[config.devices[index].hostname, default: 0] += 1
        }
    }

    /// The variables that change what is measured. All others stay out: an environment has secrets in it.
    static func environment(_ variables: [String: String]) -> [String] {
        let told: Set<String> = [
            "VERBENA_COSTS", "VERBENA_DEVICE", "VERBENA_DEVICES_PER_RANK", "VERBENA_FABRIC", "VERBENA_LOG", "VERBENA_NODE",
        ]
        return variables.filter { told.contains($0.key) }.map { "\($0.key)=\($0.value)" }.sorted()
    }
}
