import Testing
import Verbena

@testable import Trainer

/// The loop in a world of one; worlds of several are trained where the fabrics are tested.
@Suite("Data-parallel trainer")
struct DataParallelTrainerTests {
    private static func communicator() throws -> Communicator { try Communicator.join(Configuration(environment: [:])) }

    private static var settings: TrainingSettings {
        var settings = TrainingSettings()
        settings.model = .mlp(hidden: [32])
        settings.batchPerRank = 20
        settings.epochs = 4
        return settings
    }

    @Test("learns drawn digits far above chance, and reports it")
    func learns() throws {
        let data = GeneratedDigits.split(seed: 1, trainingCount: 1010, heldOutCount: 300)
        let trainer = try DataParallelTrainer(try Self.communicator(), data: data, settings: Self.settings)
        #expect(trainer.stepsPerEpoch == 50)
        let before = try trainer.evaluate().accuracy
        #expect(before < 0.3)
        var reports: [EpochReport] = []
        var steps: [StepRecord] = []
        for epoch in 0..<Self.settings.epochs { reports.append(try trainer.runEpoch(epoch) { steps.append($0) }) }

        #expect(steps.map(\.step) == (0..<4).flatMap { _ in 0..<50 })
        #expect(abs(steps[0].loss - 2.3) < 0.7)
        #expect(abs(reports[0].loss - steps.prefix(50).reduce(0) { $0 + Double($1.loss) } / 50) < 1e-9)
        #expect(reports[3].loss < reports[0].loss / 2)
        #expect(reports[3].accuracy > 0.6)
        let last = reports[3]
        #expect(last.seconds > 0 && abs(last.samplesPerSecond * last.seconds - 1000) < 1e-6 && last.exposedSeconds >= 0)
        // What is no training has a name, and all of it together is the whole.
        #expect(last.time.steps == 50 && last.time.named.map(\.name) == ["evaluation", "between epochs", "input"])
        let named = last.time.named.reduce(0) { $0 + $1.seconds }
        #expect(abs(last.time.computeSeconds + last.exposedSeconds + named - last.time.stepSeconds) < 1e-9)
        #expect(last.time.trainingSeconds < last.seconds && last.exposedSeconds == last.time.exposed.total)
    }

    @Test("same seed, same parameters; another seed, others")
    func repeatable() throws {
        let data = GeneratedDigits.split(seed: 1, trainingCount: 100, heldOutCount: 20)
        func digest(seed: UInt64) throws -> String {
            var settings = Self.settings
            settings.seed = seed
            let trainer = try DataParallelTrainer(try Self.communicator(), data: data, settings: settings)
            _ = try trainer.runEpoch(0)
            return try trainer.agreedParameterDigest()
        }
        let first = try digest(seed: 1)
        #expect(first.count == 64 && first.allSatisfy(\.isHexDigit))
        #expect(try digest(seed: 1) == first)
        #expect(try digest(seed: 2) != first)
    }

    @Test("stops where the loss is no number any more")
    func diverges() throws {
        var settings = Self.settings
        settings.rate.rate = 1e30
        let data = GeneratedDigits.split(seed: 1, trainingCount: 100, heldOutCount: 20)
        let trainer = try DataParallelTrainer(try Self.communicator(), data: data, settings: settings)
        let error = try #require(throws: TrainingError.self) { for epoch in 0..<4 { _ = try trainer.runEpoch(epoch) } }
        guard case .diverged = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.description.contains("learning rate"))
    }

    static let badSettings: [(String, @Sendable (inout TrainingSettings) -> Void)] = [
        ("hidden sizes", { $0.model = .mlp(hidden: [32, 0]) }), ("epochs", { $0.epochs = 0 }), ("batch", { $0.batchPerRank = 0 }),
        ("learning rate", { $0.rate.rate = -1 }), ("learning rate", { $0.rate.rate = .nan }), ("momentum", { $0.optimizer.momentum = 1 }),
        ("buckets", { $0.exchange.bucketSize = .fixed(0) }), ("samples", { $0.batchPerRank = 101 }),
    ]

    @Test("names the setting that is out of bounds", arguments: badSettings)
    func settings(name: String, change: @Sendable (inout TrainingSettings) -> Void) throws {
        var settings = Self.settings
        change(&settings)
        let data = GeneratedDigits.split(seed: 1, trainingCount: 100, heldOutCount: 20)
        let error = try #require(throws: TrainingError.self) {
            _ = try DataParallelTrainer(try Self.communicator(), data: data, settings: settings)
        }
        guard case .invalidSetting = error else {
            Issue.record("\(error)")
            return
        }
        #expect(error.description.contains(name) && error.description.contains("; give "))
    }
}

@Suite("Agreement of ranks")
struct RankAgreementTests {
    @Test("names the first value that differs, and who has which")
    func difference() throws {
        let lists = [["a", "1", "x"], ["a", "2", "y"], ["a", "1", "z"]]
        let error = try #require(RankAgreement.firstDifference(names: ["data", "batch", "seed"], lists))
        guard case .ranksDisagree(let what, let values) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(what == "batch")
        #expect(values == [.init(value: "1", ranks: [0, 2]), .init(value: "2", ranks: [1])])
        #expect(error.description.hasPrefix("ranks disagree on the batch: 1 on ranks 0, 2, 2 on rank 1; "))
    }

    @Test("is silent where all are equal, and notices a missing value")
    func equalAndMissing() {
        #expect(RankAgreement.firstDifference(names: ["a", "b"], [["1", "2"], ["1", "2"]]) == nil)
        #expect(RankAgreement.firstDifference(names: ["a", "b"], [["1", "2"], ["1"]]) != nil)
    }
}
