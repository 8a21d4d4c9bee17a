import ArgumentParser
import CommandLineSupport
import Foundation
import Prediction

/// How a model scales on machines that are described.
struct PredictCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "predict",
        abstract: "Says how a model scales on a described cluster: the engine's own code and planner in virtual time.",
        discussion: """
            Each rank computes by the profile; the production planner cuts buckets, and the production executor carries them over simulated wires. \
            docs/PREDICTION.md says what is simulated, what is assumed, and how far to believe it.
            """)

    @Argument(help: "Built in: \(ModelProfile.names.joined(separator: ", ")); or a profile's JSON file.")
    var profile: String

    @Option(help: "Built in: \(Cluster.names.joined(separator: ", ")); or a cluster's JSON file.")
    var cluster = "ideal"

    @Option(help: "World sizes, separated by commas.")
    var ranks = "1,4,16,64"

    @Option(parsing: .unconditional, help: "Steps that are simulated for each world size.")
    var steps = 10

    @Option(parsing: .unconditional, help: "Decides how computing varies: the same seed gives the same prediction, byte for byte.")
    var seed: UInt64 = 1

    @Flag(help: "Print JSON instead of a table.")
    var json = false

    func check() throws {
        _ = try parsedRanks
        guard 1...1000 ~= steps else { throw ValidationError("--steps \(steps): give 1 to 1000") }
    }

    private var parsedRanks: [Int] {
        get throws {
            let numbers = ranks.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            guard !numbers.isEmpty, numbers.allSatisfy({ $0.map { 1...65_536 ~= $0 } ?? false }) else {
                throw ValidationError("--ranks \(ranks): give numbers from 1 to 65536, separated by commas")
            }
            return numbers.compactMap { $0 }
        }
    }

    func work() throws -> Int32 {
        do {
            let model = try ModelProfile.named(profile) ?? ModelProfile(json: bytes(profile, of: "profile"), place: profile)
            let machines = try Cluster.named(cluster) ?? Cluster(json: bytes(cluster, of: "cluster"), place: cluster)
            let prediction = try Predictor(model, on: machines, settings: settings).prediction(ranks: parsedRanks)
            if json {
                try say(prediction.json)
            } else {
                try say(PredictionTable.text(prediction))
            }
        } catch let error as PredictionError {
            throw Failure(error.description)
        }
        return 0
    }

    private var settings: StepSettings {
        var settings = StepSettings()
        settings.steps = steps
        settings.seed = seed
        return settings
    }

    private func bytes(_ name: String, of kind: String) throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: name) else {
            throw Failure(
                "\(name): neither a built-in \(kind) nor a file that can be read; `verbena predict --help` lists the built-in ones")
        }
        return [UInt8](data)
    }
}
