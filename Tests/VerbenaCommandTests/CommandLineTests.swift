import ArgumentParser
import CommandLineSupport
import Foundation
import Testing
import Trainer

@testable import verbena

/// What the command line says before any rank is started.
@Suite("Command line of verbena")
struct CommandLineTests {
    static let usageErrors: [(arguments: [String], word: String)] = [
        (["train", "--ranks", "0"], "--ranks 0"), (["train", "--ranks", "-1"], "--ranks -1"), (["train", "--ranks", "x"], "x"),
        (["train", "--fabric", "token-ring"], "auto"),
        (["train", "--epochs", "0"], "epochs"), (["train", "--batch", "0"], "batch"), (["train", "--batch", "-1"], "a batch of -1"),
        (["train", "--learning-rate", "nan"], "learning rate"), (["train", "--learning-rate", "-0.1"], "learning rate of -0.1"),
        (["train", "--momentum", "1"], "momentum"), (["train", "--hidden", "256,x"], "256,x"), (["train", "--hidden", "0"], "hidden"),
        (["train", "--hidden", "16,"], "16,"), (["train", "--bucket-bytes", "0"], "buckets"), (["train", "--schedule", "x"], "allreduce"),
        (["train", "--bucket-bytes", "1T"], "1T"),
        // What an option wants is said with it.
        (["train", "--epochs", "x"], "'--epochs <epochs>': Passes over"), (["simulate", "check"], "as FROM..TO or one number;"),
        (["train", "--fabric", "shm", "--devices-per-rank", "2"], "take --fabric verbs"),
        (["train", "--metrics", "9400"], "give a port, as :9400"), (["train", "--metrics", ":x"], "':x'"),
        (["train", "--ranks", "2", "--metrics", "nohost.invalid:1"], "an address in numbers, as 0.0.0.0:9400"),
        (["train", "--link", "5us"], "'--link <link>': Emulate"), (["train", "--link", "10,5"], "such as 10Gbit,5us;"),
        (["train", "--link", "10Gbit,5us", "--fabric", "verbs"], "leave out --fabric verbs"),
        (["train", "--ranks", "2", "--nodes", "2", "--link", "10Gbit,5us"], "and --nodes;"),

        (["train", "--seed", "-1"], "-1"), (["train", "--ranks", "2", "--batch", "10001"], "20000 samples"),
        (["train", "--nonsense"], "--nonsense"),
        (["train", "word"], "word"), (["doctor", "word"], "word"), (["nonsense"], "nonsense"),
        (["simulate", "check", "--seeds", "9..1"], "9..1"), (["simulate", "check", "--seeds", "1..2", "--ranks", "0"], "--ranks 0"),
        (["simulate", "check", "--seeds", "1", "--faults", "crash,fire"], "fire"),
        (["simulate", "check", "--seeds", "1", "--shorten", "calm,x"], "calm,x"),
        (["simulate", "time", "--ranks", "1"], "--ranks 1"), (["simulate", "time", "--bandwidth", "inf"], "--bandwidth inf"),
        (["simulate", "time", "--latency", "-1"], "--latency -1.0: "), (["simulate", "time", "--bytes", "0"], "--bytes 0: "),
        (["simulate", "time", "--receive-buffers", "1K"], "--receive-buffers 1024: "),
        (["simulate", "check", "--seeds", "1", "--faults", ""], "--faults : "),
        (["simulate", "check", "--seeds", "-1"], "'-1'"), (["train", "--hidden", "-1"], "hidden sizes [-1]"),
        (["train", "--receive-buffers", "-1"], "'-1'"), (["train", "--data", ""], "--data ''"),
        (["simulate", "time", "--bandwidth", "1e-300"], "--bandwidth 1e-300"), (["simulate", "time", "--latency", "nan"], "--latency nan"),
        (["train", "--checkpoint-every", "5"], "of --checkpoint FILE"), (["train", "--resume", ""], "--resume ''"),
        (["train", "--checkpoint", "x", "--checkpoint-every", "0"], "0 steps between checkpoints"),
        (["evaluate"], "--checkpoint"), (["generate", "--checkpoint", "x", "--length", "-1"], "--length -1"),
        (["generate", "--checkpoint", "x", "--temperature", "nan"], "--temperature nan"),
        (["simulate", "time", "--ranks", "9", "--ranks-per-node", "2"], "nodes"),
    ]

    @Test("an option of which there are a few values names these and explains nothing") func valuesAreEnough() throws {
        let failure = try #require(throws: Failure.self) { _ = try parse(VerbenaCommand.self, ["train", "--wire", "fp8"]) }
        #expect(
            failure.description
                == "The value 'fp8' is invalid for '--wire <wire>'. Please provide one of 'auto', 'fp32', 'bf16', 'fp16' or 'int8'; "
                + "see verbena train --help")
    }

    @Test("a usage error is status 2, names what is wrong and where help is", arguments: usageErrors)
    func usage(arguments: [String], word: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try parse(VerbenaCommand.self, arguments) }
        #expect(failure.status == ExitStatus.usage)
        #expect(failure.description.contains(word))
        let commands = arguments.prefix { ["train", "evaluate", "generate", "doctor", "simulate", "check", "time"].contains($0) }
        #expect(failure.description.hasSuffix("; see \((["verbena"] + commands).joined(separator: " ")) --help"))
    }

    @Test("a folder without data is status 1, before there are ranks, with a remedy")
    func missingData() throws {
        let failure = try #require(throws: Failure.self) {
            _ = try parse(VerbenaCommand.self, ["train", "--ranks", "2", "--data", "/nowhere"])
        }
        #expect(failure.status == ExitStatus.failure)
        #expect(failure.description.contains("/nowhere") && failure.description.contains("leave --data out"))
    }

    @Test(
        "a file that cannot be written is status 1, before there are ranks", arguments: ["--json", "--report", "--trace"],
        ["/nowhere/run.json", "/", ""])
    func unwritable(option: String, path: String) throws {
        let failure = try #require(throws: Failure.self) {
            _ = try parse(VerbenaCommand.self, ["train", "--ranks", "2", option, path])
        }
        #expect(failure.status == ExitStatus.failure)
        #expect(failure.description.contains(path.isEmpty ? "''" : path) && failure.description.contains("; give a file in a folder"))
    }

    @Test("options reach the settings")
    func options() throws {
        let arguments = [
            "train", "--epochs", "3", "--batch", "7", "--learning-rate", "0.25", "--momentum", "0.5", "--hidden", "20,10", "--bucket-bytes",
            "64K", "--schedule", "split", "--seed", "9",
        ]
        let settings = try #require(try parse(VerbenaCommand.self, arguments) as? TrainCommand).settings(ranks: 2)
        #expect(settings.epochs == 3 && settings.batchPerRank == 7 && settings.rate.rate == 0.25 && settings.optimizer.momentum == 0.5)
        #expect(settings.model == .mlp(hidden: [20, 10]) && settings.seed == 9)
        #expect(settings.exchange.bucketSize == .fixed(65536) && settings.exchange.schedule == .split)
        let ddp = try #require(try parse(VerbenaCommand.self, ["train", "--bucket-bytes", "ddp", "--schedule", "auto"]) as? TrainCommand)
        #expect(ddp.settings(ranks: nil).exchange.bucketSize == .ddp && ddp.settings(ranks: nil).exchange.schedule == nil)
    }

    @Test("without options the settings are the trainer's own")
    func defaults() throws {
        let settings = try #require(try parse(VerbenaCommand.self, ["train"]) as? TrainCommand).settings(ranks: 2)
        let initial = TrainingSettings()
        #expect(settings.epochs == initial.epochs && settings.batchPerRank == initial.batchPerRank && settings.seed == initial.seed)
        #expect(settings.rate == initial.rate && settings.optimizer == initial.optimizer)
        #expect(settings.model == initial.model && settings.exchange == initial.exchange)
    }

    /// deepspeed and older torch launchers put it first.
    @Test(arguments: [["--local_rank=1"], ["--local-rank=1"], ["--local_rank", "1"], ["--local_rank", "-1"]])
    func aLocalRankIsTakenAndIgnored(words: [String]) throws {
        for arguments in [words + ["train", "--epochs", "3"], ["train"] + words + ["--epochs", "3"], ["train", "--epochs", "3"] + words] {
            let settings = try #require(try parse(VerbenaCommand.self, arguments) as? TrainCommand).settings(ranks: 2)
            #expect(settings.epochs == 3)
        }
        #expect(throws: Failure.self) { try parse(VerbenaCommand.self, ["train", "--local_rank=first"]) }
        #expect(throws: Failure.self) { try parse(VerbenaCommand.self, ["train", "--local_rank"]) }
    }

    @Test("`none` is a network without hidden layers")
    func noHiddenLayers() throws {
        let settings = try #require(try parse(VerbenaCommand.self, ["train", "--hidden", "none"]) as? TrainCommand).settings(ranks: nil)
        #expect(settings.model == .mlp(hidden: []))
    }

    @Test("a recipe's options reach the settings, and each model has its own")
    func recipes() throws {
        let arguments = [
            "train", "--model", "resnet20", "--batch", "256", "--accumulate", "2", "--optimizer", "lars", "--rate-schedule", "step:30,60",
            "--warmup", "5",
            "--scale-rate", "--nesterov", "--weight-decay", "0.01", "--label-smoothing", "0.1", "--sync-batch-norm", "--steps", "7",
        ]
        let settings = try #require(try parse(VerbenaCommand.self, arguments) as? TrainCommand).settings(ranks: 4)
        #expect(settings.model == .resnet20 && settings.accumulation == 2 && settings.optimizer.method == .lars && settings.steps == 7)
        #expect(settings.rate.shape == .steps(after: [30, 60], factor: 0.1) && settings.rate.warmupEpochs == 5)
        // 256 * 2 * 4 samples a step, 16 times the usual 128.
        #expect(settings.rate.rate == 0.02 * 16)
        #expect(settings.optimizer.nesterov && settings.optimizer.weightDecay == 0.01 && settings.labelSmoothing == 0.1)
        #expect(settings.synchronisesBatchNorm)
        let divided = ["train", "--model", "transformer", "--tensor-parallel", "2", "--scale-rate", "--learning-rate", "1"]
        #expect(try #require(try parse(VerbenaCommand.self, divided) as? TrainCommand).settings(ranks: 4).rate.rate == 2)

        let transformer = try #require(try parse(VerbenaCommand.self, ["train", "--model", "transformer"]) as? TrainCommand).settings(
            ranks: 2)
        #expect(transformer.optimizer.method == .adamw && transformer.batchPerRank == 16 && transformer.rate.shape == .cosine)
    }

    @Test(
        "a recipe that cannot be is status 2, and says what can",
        arguments: [
            (["--model", "vgg"], "mlp, convnet, resnet20, transformer"),
            (["--model", "convnet", "--hidden", "32"], "--hidden is of --model mlp"),
            (["--rate-schedule", "step:0"], "rate-schedule"), (["--optimizer", "rmsprop"], "lars"),
            (["--model", "convnet", "--dropout", "1"], "dropout"),
            (["--warmup", "-1"], "warm-up"), (["--warmup", "1e20"], "warm-up"), (["--epochs", "9223372036854775807"], "at most"),
            (["--model", "resnet20", "--dropout", "0.5"], "--dropout is of"), (["--sync-batch-norm"], "--sync-batch-norm is of"),
            (["--optimizer", "adamw", "--nesterov"], "not of adamw"), (["--shard-optimizer", "--schedule", "allreduce"], "split"),
            (["--model", "transformer", "--tensor-parallel", "2", "--optimizer", "lars"], "lars"),
            (["--model", "transformer", "--tensor-parallel", "2", "--wire", "auto"], "bf16"),
            (["--model", "transformer", "--tensor-parallel", "2", "--wire", "int8"], "bf16"), (["--accumulate", "0"], "batches a step"),
            (["--weight-decay", "nan"], "weight decay"),
        ])
    func badRecipes(arguments: [String], words: String) throws {
        let failure = try #require(throws: Failure.self) { _ = try parse(VerbenaCommand.self, ["train"] + arguments) }
        #expect(failure.status == ExitStatus.usage && failure.description.contains(words), "\(failure)")
    }

    @Test("help and version are no errors", arguments: [["--help"], ["train", "--help"], ["help", "doctor"], ["--version"], []])
    func help(arguments: [String]) throws {
        let answer = try #require(throws: (any Error).self) {
            var command = try parse(VerbenaCommand.self, arguments)
            try command.run()
        }
        #expect(!(answer is Failure) && VerbenaCommand.exitCode(for: answer).isSuccess)
    }
}

@Suite("Sizes with suffixes")
struct ByteCountTests {
    @Test(arguments: [
        ("0", 0), ("4096", 4096), ("7b", 7), ("64K", 65536), ("32m", 32 << 20), ("1G", 1 << 30), ("1MB", 1 << 20), ("1KiB", 1024),
        ("2gib", 2 << 30), ("3kb", 3072), ("0.5G", 1 << 29), (".5k", 512), ("1.5MiB", 3 << 19), ("0.3K", 307), ("1.9", 1), ("7.K", 7168),
        ("9223372036854775807", .max),
    ])
    func taken(text: String, bytes: Int) { #expect(ByteCount(argument: text)?.value == bytes) }

    @Test(arguments: [
        "", "K", "GB", "iB", "1iB", "12Q", "1T", "1TB", "1MM", "1MBB", "1 M", "-1", "-0.5G", "+1", "1e3", "0x10", "nan", "inf", ".",
        "1.2.3", "1,5G",
        "9223372036854775808", "9223372036854775807K", "9000000000G", "9999999999.5G", "٣",
    ])
    func refused(text: String) { #expect(ByteCount(argument: text) == nil) }

    @Test(arguments: [(0, "0"), (1000, "1000"), (256 << 10, "256K"), (3 << 20, "3M"), (1 << 30, "1G")])
    func shown(bytes: Int, text: String) {
        #expect(ByteCount(bytes).defaultValueDescription == text)
    }
}
