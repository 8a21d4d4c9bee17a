import Verbena

/// The run as JSON: the file of nccl-tests 2.19.6, version 3 of its form, so that what reads it reads ours; and under `verbena` what it
/// has no place for. Keys are to be encoded in snake case.
///
/// Of the environment it has only what `Report.environment` lets through, where nccl-tests write all of it.
struct NCCLTestsReport: Encodable {
    var version = 3
    var startTime: String
    var args: [String]
    var env: [String]
    /// There is no NCCL.
    var ncclVersion = 0
    var config: Settings
    var results: [Line]
    var outOfBounds: OutOfBounds
    var averageBusBandwidth: AverageBusBandwidth
    var errors: [String] = []
    var endTime: String
    var verbena: Own

    init(_ report: Report, arguments: [String], endTime: String) {
        startTime = report.startTime
        args = arguments
        env = report.config.environment.map { "\($0.key)=\($0.value)" }.sorted()
        config = Settings(report)
        results = report.results.map { Line($0, iterations: report.config.iterations) }
        outOfBounds = OutOfBounds(count: report.outOfBounds, okay: Truth(report.outOfBounds == 0))
        averageBusBandwidth = AverageBusBandwidth(bandwidth: report.averageBusBandwidth)
        self.endTime = endTime
        verbena = Own(report)
    }

    /// A truth value, which nccl-tests write as a text.
    enum Truth: String, Encodable {
        case yes = "true"
        case no = "false"

        init(_ value: Bool) { self = value ? .yes : .no }
    }

    struct Settings: Encodable {
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
        var perIterTiming: Truth
        var perIterSkip: Int
        var parallelInit = Truth.no
        var devices: [Device]

        init(_ report: Report) {
            let settings = report.config
            minimumBytes = settings.minimumBytes
            maximumBytes = settings.maximumBytes
            stepFactor = settings.stepFactor
            stepBytes = settings.stepBytes
            warmupIters = settings.warmupIterations
            iterations = settings.iterations
            aggregatedIterations = settings.aggregatedIterations
            validation = settings.checkIterations
            perIterTiming = Truth(settings.iterationsApart)
            perIterSkip = settings.skippedIterations
            var ranksOfHosts: [String: Int] = [:]
            devices = report.processes.enumerated().map { rank, process in
                let device = ranksOfHosts[process.host, default: 0]
                ranksOfHosts[process.host] = device + 1
                return Device(
                    rank: rank, pid: process.process, hostname: process.host, device: device, deviceInfo: settings.device)
            }
        }
    }

    /// Where a rank runs. Its device is its number on its host.
    struct Device: Encodable {
        var rank: Int
        var group = 0
        var pid: Int32
        var hostname: String
        var device: Int
        var deviceHex = ""
        var deviceInfo: String
    }

    struct Line: Encodable {
        var size: Int
        var count: Int
        var type: String
        var redop: String
        /// A text, padded to six places.
        var root: String
        var outOfPlace: Place
        var outOfPlacePerIter: Iterations?
        var inPlace: Place
        var inPlacePerIter: Iterations?
        var actualIterations: Int
        var experimentName = ""

        init(_ row: Row, iterations: Int) {
            size = row.bytes
            count = row.count
            type = row.type
            redop = row.redop
            root = Table.pad("\(row.root)", 6)
            outOfPlace = Place(row.outOfPlace)
            outOfPlacePerIter = row.outOfPlace.iterations.map(Iterations.init)
            inPlace = Place(row.inPlace)
            inPlacePerIter = row.inPlace.iterations.map(Iterations.init)
            actualIterations = iterations
        }
    }

    struct Place: Encodable {
        /// Microseconds; bandwidths in 1e9 bytes a second.
        var time: Double
        var algBw: Double
        var busBw: Double
        /// Nil, without a check, is written as null.
        var nwrong: Int?

        enum CodingKeys: CodingKey { case time, algBw, busBw, nwrong }

        init(_ sample: Sample) {
            (time, algBw, busBw, nwrong) = (sample.microseconds, sample.algorithmBandwidth, sample.busBandwidth, sample.wrong)
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(time, forKey: .time)
            try container.encode(algBw, forKey: .algBw)
            try container.encode(busBw, forKey: .busBw)
            try container.encode(nwrong, forKey: .nwrong)
        }
    }

    struct Iterations: Encodable {
        var skippedIterations: Int
        var minUs: Double
        var maxUs: Double
        var avgUs: Double
        var p50Us: Double
        var p95Us: Double
        var p99Us: Double
        var stdevUs: Double
        var cvPct: Double
        /// Of the slowest rank in each iteration.
        var timesUs: [Double]
        /// Of each rank; absent for one rank.
        var perProcessMaxTimesUs: [[Double]]?

        init(_ iterations: IterationTimes) {
            skippedIterations = iterations.skipped
            (minUs, maxUs, avgUs) = (iterations.minimum, iterations.maximum, iterations.average)
            (p50Us, p95Us, p99Us) = (iterations.p50, iterations.p95, iterations.p99)
            (stdevUs, cvPct) = (iterations.deviation, iterations.variation)
            timesUs = iterations.times
            perProcessMaxTimesUs = iterations.ofRanks.count > 1 ? iterations.ofRanks : nil
        }
    }

    struct OutOfBounds: Encodable {
        var count: Int
        var okay: Truth
    }

    struct AverageBusBandwidth: Encodable {
        var bandwidth: Double
        /// Nothing is demanded of it.
        var okay = "unchecked"
    }
}

extension NCCLTestsReport {
    /// What nccl-tests have no place for.
    struct Own: Encodable {
        var version: String
        var collective: String
        var ranks: Int
        var fabric: String
        var device: String
        var average: TimeOf
        var algorithm: String?
        var queuePairs: Int?
        var dirty: Bool
        var receiveBufferBytes: Int
        /// One for each of the table, if something of them was asked for.
        var results: [OwnLine]?
        var messageRate: MessageRate?
        var memory: MemoryUse?

        init(_ report: Report) {
            let settings = report.config
            (version, collective, ranks) = (settings.version, settings.collective, settings.ranks)
            (fabric, device, average) = (settings.fabric, settings.device, settings.average)
            (algorithm, queuePairs, dirty) = (settings.algorithm, settings.queuePairs, settings.dirty)
            receiveBufferBytes = settings.receiveBufferBytes
            let lines = report.results.map(OwnLine.init)
            results = lines.contains { !$0.isEmpty } ? lines : nil
            (messageRate, memory) = (report.messageRate, report.memory)
        }
    }

    struct OwnLine: Encodable {
        var timestamp: String?
        var explanation: Choosing?
        var overlap: Overlap?
        var outOfPlace: OwnPlace?
        var inPlace: OwnPlace?

        init(_ row: Row) {
            (timestamp, explanation, overlap) = (row.timestamp, row.explanation, row.overlap)
            (outOfPlace, inPlace) = (OwnPlace(row.outOfPlace), OwnPlace(row.inPlace))
        }

        var isEmpty: Bool { timestamp == nil && explanation == nil && overlap == nil && outOfPlace == nil && inPlace == nil }
    }

    struct OwnPlace: Encodable {
        var percentiles: Percentiles?
        var stragglers: Stragglers?

        init?(_ sample: Sample) {
            if sample.percentiles == nil && sample.stragglers == nil { return nil }
            (percentiles, stragglers) = (sample.percentiles, sample.stragglers)
        }
    }
}
