import Foundation
import Testing
import Verbena

@testable import Trainer

/// Runs that are written down, stopped and gone on with.
@Suite("Checkpoints of runs")
struct ResumeTests {
    let folder: TemporaryFolder
    var path: String { "\(folder.path)/run.safetensors" }

    init() throws { folder = try TemporaryFolder() }

    private static let digits = GeneratedDigits.split(seed: 1, trainingCount: 100, heldOutCount: 20)
    private static let text = GeneratedText.split(seed: 1, characterCount: 3_000, context: 16)

    struct Result: Equatable, Sendable {
        var losses: [Float] = []
        var digest = ""
        var resumption: Resumption?
    }

    /// Trains to the end, or until so many epochs are over, from a checkpoint or not; of rank 0.
    private static func run(
        _ settings: TrainingSettings, _ data: DataSplit = digits, ranks: Int = 1, from resume: String? = nil, epochs: Int = .max
    ) async throws -> Result {
        try await onRanks(ranks) { communicator in
            let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
            var result = Result()
            // Only rank 0 has the file.
            if let resume { result.resumption = try trainer.resume(from: communicator.rank == 0 ? resume : "/nowhere") }
            for epoch in trainer.firstEpoch..<min(trainer.epochCount, epochs) {
                _ = try trainer.runEpoch(epoch) { result.losses.append($0.loss) }
            }
            try trainer.finishCheckpoints()
            result.digest = try trainer.agreedParameterDigest()
            return result
        }[0]
    }

    private static func settings(_ model: ModelChoice = .mlp(hidden: [12]), batch: Int = 8, epochs: Int = 3) -> TrainingSettings {
        var settings = TrainingSettings(model: model)
        (settings.batchPerRank, settings.epochs) = (batch, epochs)
        return settings
    }

    static let recipes: [(name: String, ranks: Int, change: @Sendable (inout TrainingSettings) -> Void)] = [
        ("sgd", 1, { _ in }), ("sgd on two ranks", 2, { $0.dropout = 0.1 }),
        (
            "adamw, cosine", 2,
            {
                $0.optimizer.method = .adamw
                $0.rate.rate = 0.01
                $0.rate.shape = .cosine
            }
        ),
        (
            "lars, of two batches", 2,
            {
                $0.optimizer.method = .lars
                $0.accumulation = 2
            }
        ),
        ("inside an epoch", 2, { $0.checkpoints?.steps = 7 }),
        ("a short last epoch", 1, { $0.steps = 30 }),
    ]

    @Test("a run that goes on ends with the digest of one without interruption", arguments: recipes.indices)
    func sameDigest(recipe: Int) async throws {
        let recipe = Self.recipes[recipe]
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        recipe.change(&settings)
        let whole = try await Self.run(settings, ranks: recipe.ranks)

        let first = try await Self.run(settings, ranks: recipe.ranks, epochs: 2)
        let rest = try await Self.run(settings, ranks: recipe.ranks, from: path)
        #expect(rest.digest == whole.digest && rest.digest != first.digest)
        #expect(rest.resumption?.warning == nil && rest.resumption?.skippedSamples == 0)
        #expect(rest.losses == Array(whole.losses.suffix(rest.losses.count)) && rest.losses.count < whole.losses.count)
        let again = try await Self.run(settings, ranks: recipe.ranks, from: path)
        #expect(again.losses.isEmpty && again.digest == whole.digest)
    }

    @Test("so does each model", arguments: [ModelChoice.convnet, .resnet20, .transformer])
    func models(model: ModelChoice) async throws {
        var settings = Self.settings(model, batch: 4)
        settings.epochs = 2
        settings.checkpoints = CheckpointSettings(path: path)
        let data = model == .transformer ? Self.text : GeneratedDigits.split(seed: 1, trainingCount: 16, heldOutCount: 8)
        let whole = try await Self.run(settings, data, ranks: 2)
        _ = try await Self.run(settings, data, ranks: 2, epochs: 1)
        #expect(try await Self.run(settings, data, ranks: 2, from: path).digest == whole.digest)
    }

    @Test(
        "ranks that share the update write the same file, and go on from it as all others",
        arguments: [OptimizerSettings.Method.sgd, .adamw])
    func sharedUpdate(method: OptimizerSettings.Method) async throws {
        var settings = Self.settings(.mlp(hidden: [64, 32]))
        settings.optimizer.method = method
        settings.checkpoints = CheckpointSettings(path: path, steps: 7)
        let whole = try await Self.run(settings, ranks: 2)
        _ = try await Self.run(settings, ranks: 2, epochs: 2)
        let plain = try folder.read("run.safetensors")
        settings.sharesUpdate = true
        _ = try await Self.run(settings, ranks: 2, epochs: 2)
        #expect(try folder.read("run.safetensors") == plain)
        let rest = try await Self.run(settings, ranks: 2, from: path)
        #expect(rest.digest == whole.digest && rest.resumption?.warning == nil)
        try folder.write(plain, to: "run.safetensors")
        settings.sharesUpdate = false
        #expect(try await Self.run(settings, ranks: 2, from: path).digest == whole.digest)
    }

    @Test("other ranks of the same global batch go on with the same losses, and say why the digest is another", arguments: [1, 4])
    func otherRanks(ranks: Int) async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path, steps: 7)
        let whole = try await Self.run(settings, ranks: 2)
        _ = try await Self.run(settings, ranks: 2, epochs: 2)
        settings.batchPerRank = 16 / ranks
        let rest = try await Self.run(settings, ranks: ranks, from: path)
        // 6 steps an epoch: the 7th is the 1st of epoch 1.
        #expect(rest.resumption?.epoch == 1 && rest.resumption?.step == 1 && rest.resumption?.skippedSamples == 0)
        #expect(rest.resumption?.warning?.contains("ranks 2 there, \(ranks) here") == true)
        #expect(rest.losses.count == 11)
        for (found, expected) in zip(rest.losses, whole.losses.suffix(11)) { #expect(abs(found - expected) <= 1e-3 * abs(expected)) }
    }

    @Test("another global batch goes on behind the samples that were seen")
    func otherBatch() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path, steps: 5)
        _ = try await Self.run(settings, epochs: 1)
        // The last checkpoint is behind 10 of 12 steps of 8 samples.
        settings.checkpoints = nil
        settings.batchPerRank = 12
        let rest = try await Self.run(settings, from: path)
        #expect(rest.resumption?.epoch == 0 && rest.resumption?.step == 7 && rest.resumption?.skippedSamples == 4)
        #expect(rest.losses.count == 1 + 2 * 8)
        settings.batchPerRank = 30
        let next = try await Self.run(settings, from: path)
        #expect(next.resumption?.epoch == 1 && next.resumption?.step == 0 && next.losses.count == 2 * 3)
    }

    @Test("settings that make other bits are named")
    func warning() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        settings.rate.rate = 0.5
        settings.seed = 2
        let warning = try #require(try await Self.run(settings, from: path).resumption?.warning)
        #expect(warning.contains("learning rate 0.05 there, 0.5 here") && warning.contains("seed 1 there, 2 here"))
    }

    @Test("a checkpoint of something else is one line on every rank, and changes nothing")
    func mismatches() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        var convnet = Self.settings(.convnet)
        var adamw = settings
        adamw.optimizer.method = .adamw
        (convnet.epochs, adamw.epochs) = (1, 1)
        for (settings, data, words) in [
            (convnet, Self.digits, "a checkpoint of convnet, found one of mlp 12; give --model mlp --hidden 12"),
            (Self.settings(.mlp(hidden: [12, 12])), Self.digits, "found one of mlp 12; give --model mlp --hidden 12"),
            (adamw, Self.digits, "a checkpoint of optimizer adamw, found one of sgd; give --optimizer sgd"),
            (settings, Self.images(side: 8), "a model of 8x8x1 and 10 classes, found 28x28x1 and 10"),
        ] {
            try await expectRefusal(settings, data, words)
        }
    }

    @Test("a text of another alphabet is refused, and which character it is")
    func otherAlphabet() async throws {
        var settings = Self.settings(.transformer, batch: 4)
        settings.checkpoints = CheckpointSettings(path: path)
        settings.steps = 1
        _ = try await Self.run(settings, Self.text)
        let count = Self.text.training.classCount
        let words = (Self.text.training as? TextDataset)?.characters.map { String($0) }.joined() ?? ""
        for (text, found) in [(words + "ß", "without \"ß\""), (words.replacing("q", with: ""), "with \"q\"")] {
            let data = try #require(TextDataset.split(String(repeating: text, count: 50), context: 16, origin: "text"))
            try await expectRefusal(settings, data, "characters, found \(count), \(found); give the text")
        }
    }

    private func expectRefusal(_ settings: TrainingSettings, _ data: DataSplit, _ words: String) async throws {
        let path = path
        let texts = try await onRanks(2) { communicator in
            let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
            let digest = try trainer.agreedParameterDigest()
            let error = #expect(throws: TrainingError.self) { _ = try trainer.resume(from: path) }
            #expect(try trainer.agreedParameterDigest() == digest && trainer.firstEpoch == 0)
            return error?.description ?? ""
        }
        #expect(texts[0].contains(words) && texts[0].hasPrefix(path) && texts[0] == texts[1], "\(texts)")
    }

    private static func images(side: Int) -> DataSplit {
        let images = ImageDataset(
            rows: side, columns: side, pixels: [UInt8](repeating: 3, count: 40 * side * side), labels: [UInt8](repeating: 1, count: 40))
        return DataSplit(training: images, heldOut: images, origin: "grey")
    }

    @Test("a file that is cut anywhere is refused, as are a folder, nothing, and another program's file")
    func damagedFiles() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        let whole = try folder.read("run.safetensors")
        #expect(whole.count > 50_000)
        let cut = "\(folder.path)/cut"
        for length in Array(stride(from: 0, to: whole.count, by: 997)) + [whole.count - 1] {
            try folder.write(Array(whole[..<length]), to: "cut")
            let error = #expect(throws: CheckpointError.self) { _ = try Checkpoint.read(cut) }
            #expect(error?.cause == .truncated, "\(length): \(error as Any)")
        }
        try folder.write(whole + [0], to: "cut")
        #expect(throws: CheckpointError.self) { _ = try Checkpoint.read(cut) }

        try folder.write(SafetensorsTests.file("{\(SafetensorsTests.tensor("a", "[0,4]"))}", dataByteCount: 4), to: "cut")
        expectError("found 1 tensors of another program") { _ = try Checkpoint.read(cut) }
        expectError("found a folder", .unreadable) { _ = try Checkpoint.read(folder.path) }
        expectError("No such file", .missing) { _ = try Checkpoint.read(folder.path + "/none") }
        expectError("something else", .unreadable) { _ = try Checkpoint.read("/dev/null") }
        #expect(try Checkpoint.read(path).model == .mlp(hidden: [12]))
    }

    @Test("no memory is taken for what a header promises and the file does not hold")
    func promises() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        try change("\"28x28x1\"", "\"99x99x9\"")
        let checkpoint = try Checkpoint.read("\(folder.path)/changed")
        expectError("tensors of mlp 12 for 99x99x9", .mismatch) { _ = try checkpoint.makeModel(capacity: 1) }
    }

    /// Writes the run's checkpoint with one text of its header changed, as `changed`.
    private func change(_ old: String, _ new: String) throws {
        var bytes = try folder.read("run.safetensors")
        let place = try #require(Data(bytes).range(of: Data(old.utf8)), "\(old)")
        bytes.replaceSubrange(place, with: Array(new.utf8))
        try folder.write(bytes, to: "changed")
    }

    private func expectError(_ words: String, _ cause: CheckpointError.Cause = .foreign, _ body: () throws -> Void) {
        let error = #expect(throws: CheckpointError.self) { try body() }
        #expect(error?.cause == cause && error?.description.contains(words) == true, "\(error as Any)")
    }

    @Test("every text of the header is looked at, and every tensor's name, shape and type")
    func changedHeaders() async throws {
        var settings = Self.settings()
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        for (old, new, words) in [
            ("\"version\":\"1\"", "\"version\":\"7\"", "version 7"),
            ("\"mlp 12\"", "\"mlp xx\"", "expected model of a checkpoint, found mlp xx"),
            ("\"28x28x1\"", "\"28x28x0\"", "input"), ("\"epoch\":\"1\"", "\"epoch\":\"-\"", "epoch"),
            ("\"format\":\"verbena\"", "\"format\":\"verbenb\"", "another program"),
            ("\"dense1.bias\"", "\"dense1.bigs\"", "expected tensor dense1.bias of mlp 12, found none"),
            ("\"optimizer.dense1.bias.momentum\"", "\"optimizer.dense1.bigs.momentum\"", "expected tensor optimizer.dense1.bias.momentum"),
            ("[784,12]", "[12,784]", "expected shape [784, 12] of tensor dense1.weight, found [12, 784]"),
            ("\"dtype\":\"F32\"", "\"dtype\":\"U32\"", "found U32"),
        ] {
            try change(old, new)
            let changed = "\(folder.path)/changed"
            let trainer = try DataParallelTrainer(
                Communicator.join(Configuration(environment: [:])), data: Self.digits, settings: settings)
            let digest = try trainer.agreedParameterDigest()
            let error = #expect(throws: TrainingError.self) { _ = try trainer.resume(from: changed) }
            #expect(error?.description.contains(words) == true, "\(new): \(error as Any)")
            #expect(try trainer.agreedParameterDigest() == digest)
        }
    }

    @Test("a full disk costs the checkpoint, neither the run nor the file before")
    func fullDisk() async throws {
        var settings = Self.settings(epochs: 2)
        settings.checkpoints = CheckpointSettings(path: path)
        _ = try await Self.run(settings, epochs: 1)
        let before = try folder.read("run.safetensors")
        let texts = try await onRanks(2) { [path, settings] communicator in
            let trainer = try DataParallelTrainer(communicator, data: Self.digits, settings: settings)
            _ = try trainer.resume(from: path)
            if communicator.rank == 0 {
                try FileManager.default.createSymbolicLink(atPath: path + CheckpointFile.ending, withDestinationPath: "/dev/full")
            }
            _ = try trainer.runEpoch(1)
            _ = try trainer.agreedParameterDigest()
            let error = #expect(throws: TrainingError.self) { try trainer.finishCheckpoints() }
            return error?.description ?? ""
        }
        #expect(texts[0].contains("No space left on device; make room") && texts[0] == texts[1])
        #expect(try folder.read("run.safetensors") == before)
    }

    @Test("a model of the caller's own goes on, too, and nobody else takes it for an included one")
    func ownModel() async throws {
        var settings = Self.settings(.other(name: "my own"))
        settings.checkpoints = CheckpointSettings(path: path)
        let digests = try await onRanks(1) { [path, settings] communicator in
            func make() throws -> DataParallelTrainer {
                try DataParallelTrainer(communicator, data: Self.digits, settings: settings) {
                    perceptron([784, 8, 10], capacity: $0, seed: 3)
                }
            }
            let first = try make()
            for epoch in 0..<2 { _ = try first.runEpoch(epoch) }
            try first.finishCheckpoints()
            let second = try make()
            _ = try second.resume(from: path)
            for trainer in [first, second] { _ = try trainer.runEpoch(2) }
            return [try first.agreedParameterDigest(), try second.agreedParameterDigest()]
        }[0]
        #expect(digests[0] == digests[1])
        expectError("an included model, found one of my own", .mismatch) { _ = try Checkpoint.read(path).makeModel(capacity: 1) }
    }

    @Test("a model of a checkpoint makes of held-out samples what training told, and a writer goes on with a text that it knows")
    func use() async throws {
        var settings = Self.settings(.transformer, batch: 4)
        settings.checkpoints = CheckpointSettings(path: path)
        (settings.epochs, settings.rate.rate) = (20, 3e-3)
        let text = String(repeating: "one by two ", count: 120)
        let data = try #require(TextDataset.split(text, context: 16, origin: "text"))
        let told = try await onRanks(1) { [settings] communicator in
            let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
            var report: EpochReport?
            for epoch in 0..<trainer.epochCount { report = try trainer.runEpoch(epoch) }
            try trainer.finishCheckpoints()
            return report
        }
        let report = try #require(told[0])
        let checkpoint = try Checkpoint.read(path)
        let found = try Evaluation.evaluate(checkpoint.makeModel(capacity: 3), on: data.heldOut)
        #expect(found.accuracy == report.accuracy && abs(found.loss - report.heldOutLoss) < 1e-4)

        func write(_ prompt: String, _ temperature: Float, seed: UInt64) throws -> String {
            let writer = try TextWriter(checkpoint, prompt: prompt, temperature: temperature, seed: seed)
            return try (0..<30).map { _ in String(Character(try writer.next())) }.joined()
        }
        try change("\"characters\":\" b", "\"characters\":\" e")
        expectError("expected characters of a checkpoint, found some twice", .wrongHeader) {
            _ = try Checkpoint.read("\(folder.path)/changed")
        }
        // Beyond what the model sees at once, too.
        #expect(try write("one by ", 0, seed: 1) == "two one by two one by two one ")
        #expect(try write("", 9, seed: 1) == write("", 9, seed: 1))
        #expect(try write("", 9, seed: 1) != write("", 9, seed: 2))
        for (prompt, temperature, words) in [("onZ", Float(1), "the prompt has \"Z\""), ("one", -1, "temperature of -1")] {
            let error = #expect(throws: TrainingError.self) { _ = try write(prompt, temperature, seed: 1) }
            #expect(error?.description.contains(words) == true)
        }
    }
}
