import CommandLineSupport
import Foundation
internal import Platform
import Prediction
import Verbena

/// Measures on this machine, predicts the same, and compares.
struct PredictionCheck {
    struct Line {
        var name: String
        var ranks: Int
        var measuredSeconds: Double
        var predictedSeconds: Double
        /// Parts of one; nil of an operation alone.
        var exposed: (measured: Double, predicted: Double)?

        var difference: Double { predictedSeconds / measuredSeconds - 1 }
    }

    /// That ranks are to have between them.
    var link: EmulatedLink
    /// A program that takes longer is ended, and the check fails.
    static let maxSeconds = 120.0

    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "verbena-check-\(ProcessInfo.processInfo.processIdentifier)")

    init(link: EmulatedLink) { self.link = link }

    func run() throws -> [Line] {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var lines: [Line] = []
        for ranks in [2, 4] {
            let cluster = try measureCosts(ranks: ranks)
            lines += try allReduces(ranks: ranks, on: cluster)
        }
        for model in ["mlp", "convnet", "transformer"] { lines += try training(model) }
        return lines
    }

    private var text: String { "\(link.bitsPerSecond / 1_000_000)Mbit,\(link.latencyNanoseconds / 1000)us" }

    // MARK: operations

    private func file(_ name: String) -> String { folder.appendingPathComponent(name).path }

    private func measureCosts(ranks: Int) throws -> Cluster {
        try start(
            "rdma-allreduce",
            [
                "--ranks", "\(ranks)", "--link", text, "-b", "64K", "-e", "64M", "-f", "4", "-n", "5", "-c", "0", "-J",
                file("operations.json"),
            ]
                + ["--save-costs", file("costs-\(ranks).json")])
        return try cluster(ranks: ranks)
    }

    /// The network is what the link is said to be; what adding costs was measured.
    private func cluster(ranks: Int) throws -> Cluster {
        var cluster = try Cluster(name: "here", costs: bytes("costs-\(ranks).json"), place: "costs")
        cluster.nicGigabytesPerSecond = Double(link.bitsPerSecond) / 8e9
        cluster.latencyMicroseconds = Double(link.latencyNanoseconds) / 1e3
        return cluster
    }

    private func bytes(_ name: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: file(name)) else {
            throw Failure("\(name) was not written by the measurement")
        }
        return [UInt8](data)
    }

    private struct Operations: Decodable {
        struct Result: Decodable {
            struct Time: Decodable { var time: Double }
            var size: Int
            var inPlace: Time

            enum CodingKeys: String, CodingKey {
                case size
                case inPlace = "in_place"
            }
        }
        var results: [Result]
    }

    private func allReduces(ranks: Int, on cluster: Cluster) throws -> [Line] {
        let measured = try JSONDecoder().decode(Operations.self, from: Data(bytes("operations.json")))
        return try measured.results.map {
            Line(
                name: "allreduce of \($0.size >> 10) KiB", ranks: ranks, measuredSeconds: $0.inPlace.time / 1e6,
                predictedSeconds: try Predictor.allReduceSeconds(byteCount: $0.size, ranks: ranks, on: cluster))
        }
    }

    // MARK: training

    private struct Run: Decodable {
        struct Epoch: Decodable {
            struct Time: Decodable {
                var stepSeconds: Double
                var exposed: [String: Double]
                var named: [NamedTime]
                var steps: Int

                /// Without evaluations and the like; a step's input is part of it.
                var trainingSeconds: Double { named.filter { $0.name != "input" }.reduce(stepSeconds) { $0 - $1.seconds } }
            }
            var time: Time
        }
        var epochs: [Epoch]
    }

    private func training(_ model: String) throws -> [Line] {
        func train(_ ranks: Int, _ options: [String]) throws -> (step: Double, exposed: Double) {
            let ours = ranks > 1 ? ["--link", text] : []
            try start(
                "verbena", ["train", "--model", model, "--ranks", "\(ranks)", "--steps", "40", "--json", file("run.json")] + ours + options)
            guard let time = try JSONDecoder().decode(Run.self, from: Data(bytes("run.json"))).epochs.last?.time else {
                throw Failure("no epoch was measured")
            }
            return (time.trainingSeconds / Double(time.steps), time.exposed.values.reduce(0, +) / time.trainingSeconds)
        }
        _ = try train(1, ["--profile", file("profile.json")])
        let profile = try ModelProfile(json: bytes("profile.json"), place: "profile")
        return try [1, 2, 4].map { ranks in
            let measured = try train(ranks, [])
            // Ranks that outnumber the cores take turns.
            let shared = profile.with(speed: min(1, Double(UsableCores.count) / Double(ranks)))
            let row = try Predictor(shared, on: ranks > 1 ? try cluster(ranks: ranks) : Cluster(name: "here")).rows(ranks: [ranks])[0]
            return Line(
                name: "a step of \(model)", ranks: ranks, measuredSeconds: measured.step, predictedSeconds: row.stepSeconds,
                exposed: (measured.exposed, row.exposed.total / row.stepSeconds))
        }
    }

    // MARK: programs

    /// Runs a program that lies beside this one, and waits for its end.
    private func start(_ name: String, _ arguments: [String]) throws {
        let process = Process()
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.executableURL = own.deletingLastPathComponent().appendingPathComponent(name)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        let ended = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in ended.signal() }
        do { try process.run() } catch { throw Failure("\(name) is not beside this program; build it with `swift build -c release`") }
        guard ended.wait(timeout: .now() + Self.maxSeconds) == .success else {
            process.terminate()
            throw Failure("\(name) \(arguments.joined(separator: " ")): not done after \(Int(Self.maxSeconds)) s; see what else runs here")
        }
        guard process.terminationStatus == 0 else {
            throw Failure("\(name) \(arguments.joined(separator: " ")): failed; its own message is above")
        }
    }

    // MARK: text

    static func text(_ lines: [Line]) -> String {
        func number(_ value: Double, _ digits: Int, _ width: Int) -> String {
            let text = value.formatted(
                .number.precision(.fractionLength(digits)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
            return String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var text = ["                          ranks  measured ms  predicted ms  difference %   exposed %, measured and predicted"]
        for line in lines {
            let exposed = line.exposed.map { number($0.measured * 100, 1, 12) + number($0.predicted * 100, 1, 9) } ?? ""
            text.append(
                line.name.padding(toLength: 26, withPad: " ", startingAt: 0) + number(Double(line.ranks), 0, 5)
                    + number(line.measuredSeconds * 1e3, 3, 13) + number(line.predictedSeconds * 1e3, 3, 14)
                    + number(line.difference * 100, 1, 14) + exposed)
        }
        if let worst = lines.max(by: { abs($0.difference) < abs($1.difference) }) {
            text.append("worst: \(worst.name) on \(worst.ranks) ranks, \(number(worst.difference * 100, 1, 0)) %")
        }
        return text.joined(separator: "\n")
    }
}
