import ArgumentParser
import CommandLineSupport
import Foundation
import Trainer

struct EvaluateCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Tells loss and accuracy of a checkpoint on the held-out part of a data set.",
        discussion: "Without --data on the generated one that verbena train learns from. In this process alone.")

    @Option(help: "A file that verbena train --checkpoint has written.")
    var checkpoint: String

    @OptionGroup var source: DataOptions

    func work() throws -> Int32 {
        let checkpoint = try read(checkpoint)
        let data = try source.load(for: checkpoint.model, alphabet: checkpoint.model == .transformer ? checkpoint.characters : nil)
        let result: (accuracy: Double, loss: Double)
        do {
            try checkpoint.check(data.heldOut)
            result = try Evaluation.evaluate(checkpoint.makeModel(capacity: Evaluation.batch(of: checkpoint.input)), on: data.heldOut)
        } catch let error as CheckpointError { throw Failure("--checkpoint: \(error)") }
        try say("data   \(data.origin)")
        try say("model  \(checkpoint.model), after \(TrainingText.grouped(checkpoint.optimizerStep)) steps")
        try say(String(format: "held out: loss %.4f  accuracy %5.2f %%", result.loss, result.accuracy * 100))
        return 0
    }
}

struct GenerateCommand: Program {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Has a checkpoint of a transformer write text.",
        discussion: "Writes the prompt and what comes after it. The same seed and kernels write the same text.")

    @Option(help: "A file that verbena train --model transformer --checkpoint has written.")
    var checkpoint: String

    @Option(help: "What it goes on from, of characters of the text that it was trained on. (default: a line's end)")
    var prompt = ""

    // Numbers are taken unconditionally: `--length -1` is a bad value, not a missing one.
    @Option(parsing: .unconditional, help: "Characters to write after the prompt.")
    var length = 500

    @Option(parsing: .unconditional, help: "0: always the likeliest character; 1: as likely as the model says; above: more evenly.")
    var temperature: Float = 0.8

    @Option(parsing: .unconditional, help: "Of the choices.")
    var seed: UInt64 = 1

    func validate() throws {
        guard (0...Self.maximumLength).contains(length) else {
            throw ValidationError("--length \(length): give a number from 0 to \(Self.maximumLength)")
        }
        guard temperature.isFinite, temperature >= 0 else { throw ValidationError("--temperature \(temperature): give 0 or more") }
    }

    private static let maximumLength = 1_000_000_000

    func work() throws -> Int32 {
        let writer: TextWriter
        do {
            writer = try TextWriter(read(checkpoint), prompt: prompt, temperature: temperature, seed: seed)
        } catch TrainingError.checkpoint(let error) {
            throw Failure("--checkpoint: \(error)")
        } catch TrainingError.invalidSetting(let detail, let remedy) {
            throw Failure(status: ExitStatus.usage, "\(detail); \(remedy)")
        }
        try write(prompt)
        for _ in 0..<length { try write(String(Character(writer.next()))) }
        try say("")
        return 0
    }
}

private func read(_ path: String) throws(Failure) -> Checkpoint {
    do { return try Checkpoint.read(path) } catch { throw Failure("--checkpoint: \(error)") }
}
