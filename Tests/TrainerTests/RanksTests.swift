import Testing
import Trainer
import Verbena

/// Several ranks must train as one would.
@Suite("Training on several ranks")
struct RanksTests {
    private struct Run: Equatable {
        var losses: [Float] = []
        var digest = ""
    }

    static let steps = 50
    private static let data = GeneratedDigits.split(seed: 1, trainingCount: steps * 32, heldOutCount: 50)

    private static var settings: TrainingSettings {
        var settings = TrainingSettings()
        settings.model = .mlp(hidden: [48, 24])
        settings.batchPerRank = 16
        return settings
    }

    /// One epoch of `steps` steps, or as many as the settings give; by rank.
    private static func train(ranks: Int, _ settings: TrainingSettings = settings) async throws -> [Run] {
        try await onRanks(ranks) { communicator in
            let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
            var run = Run()
            _ = try trainer.runEpoch(0) { run.losses.append($0.loss) }
            run.digest = try trainer.agreedParameterDigest()
            return run
        }
    }

    @Test("two ranks of batch B follow one rank of batch 2B over the first 50 steps")
    func twoHalvesMakeAWhole() async throws {
        var whole = Self.settings
        whole.batchPerRank *= 2
        let one = try await Self.train(ranks: 1, whole)[0]
        let two = try await Self.train(ranks: 2)
        #expect(one.losses.count == Self.steps && two[0].losses.count == Self.steps)
        for (step, (expected, found)) in zip(one.losses, two[0].losses).enumerated() {
            #expect(abs(found - expected) <= 1e-4 * abs(expected), "step \(step): \(found) instead of \(expected)")
        }
        // It must have learnt something, or equality would say little.
        #expect(one.losses.suffix(5).reduce(0, +) / 5 < one.losses[0] / 2)
    }

    @Test("a shared update changes no bit, whatever the plan and the optimizer", arguments: [1, 2, 3])
    func sharedUpdate(ranks: Int) async throws {
        for method in [OptimizerSettings.Method.sgd, .adamw] {
            var settings = Self.settings
            settings.optimizer.method = method
            settings.optimizer.weightDecay = 0.01
            settings.rate.rate = 0.01
            let plain = try await Self.train(ranks: ranks, settings)
            settings.sharesUpdate = true
            for size in [GradientSettings.BucketSize.planned, .fixed(4096), .fixed(1 << 20)] {
                settings.exchange = GradientSettings(bucketSize: size)
                #expect(try await Self.train(ranks: ranks, settings) == plain, "\(method), \(settings.exchange)")
            }
        }
    }

    @Test(
        "a transformer divided over the ranks of a team trains as a whole one, over 50 steps, too",
        arguments: [(2, 2, steps), (4, 2, 6), (4, 4, 6), (6, 2, 6)])
    func tensorParallel(ranks: Int, team: Int, steps: Int) async throws {
        let whole = try await Self.train(.transformer, ranks: ranks / team, steps: steps) { _ in }
        let divided = try await Self.train(.transformer, ranks: ranks, steps: steps) { $0.tensorRanks = team }
        #expect(divided.allSatisfy { $0 == divided[0] })
        Self.expectLike(divided[0].losses, whole[0].losses, within: 1e-4)
        #expect(divided[0].losses[steps - 1] < divided[0].losses[0])
        #expect(try await Self.train(.transformer, ranks: ranks, steps: steps) { $0.tensorRanks = team } == divided)
    }

    @Test("what the ranks of a team have in common stays equal in wire formats", arguments: [WireFormat.bfloat16, .float16])
    func tensorParallelInAFormat(wire: WireFormat) async throws {
        let runs = try await Self.train(.transformer, ranks: 4, steps: 6) { ($0.tensorRanks, $0.exchange.wire) = (2, wire) }
        #expect(runs.allSatisfy { $0 == runs[0] })
    }

    @Test("a model that cannot be divided so is told", arguments: [(ModelChoice.convnet, 2), (.transformer, 3)])
    func undivided(choice: ModelChoice, team: Int) {
        var settings = TrainingSettings(model: choice)
        settings.tensorRanks = team
        let error = #expect(throws: TrainingError.self) { try settings.validate() }
        #expect(error?.description.contains("--tensor-parallel 1") == true)
    }

    @Test("a shared update in a wire format rounds gradients only")
    func sharedUpdateInAFormat() async throws {
        var settings = Self.settings
        settings.sharesUpdate = true
        settings.exchange.wire = .bfloat16
        let runs = try await Self.train(ranks: 2, settings)
        #expect(runs[0] == runs[1] && runs[0].losses[Self.steps - 1] < runs[0].losses[0] / 2)
    }

    /// Some steps of a model on small data of its own, at the end the held-out loss; by rank.
    private static func train(
        _ choice: ModelChoice, ranks: Int, steps: Int = 4, _ change: @escaping @Sendable (inout TrainingSettings) -> Void
    ) async throws -> [Run] {
        let data =
            choice == .transformer
            ? GeneratedText.split(seed: 1, characterCount: 20_000, context: 16)
            : GeneratedDigits.split(seed: 1, trainingCount: steps * 8, heldOutCount: 8)
        return try await onRanks(ranks) { communicator in
            var settings = TrainingSettings(model: choice)
            (settings.batchPerRank, settings.steps) = (4, steps)
            change(&settings)
            let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
            var run = Run()
            let report = try trainer.runEpoch(0) { run.losses.append($0.loss) }
            run.losses.append(Float(report.heldOutLoss))
            run.digest = try trainer.agreedParameterDigest()
            return run
        }
    }

    private static func expectLike(_ found: some Collection<Float>, _ expected: some Collection<Float>, within error: Float) {
        #expect(found.count == expected.count)
        for (loss, other) in zip(found, expected) { #expect(abs(loss - other) <= error * abs(other)) }
    }

    static let deepModels = [ModelChoice.convnet, .resnet20, .transformer]

    @Test("two ranks train each model as one does with twice the batch, and end with the same parameters", arguments: deepModels)
    func models(choice: ModelChoice) async throws {
        let one = try await Self.train(choice, ranks: 1) { ($0.batchPerRank, $0.synchronisesBatchNorm) = (8, true) }
        let two = try await Self.train(choice, ranks: 2) { $0.synchronisesBatchNorm = true }
        #expect(two[0] == two[1])
        // Adam divides small gradients by their own size, which makes more of rounding. So does a young batch norm of held-out samples.
        Self.expectLike(two[0].losses.dropLast(), one[0].losses.dropLast(), within: 2e-3)
        #expect(try await Self.train(choice, ranks: 2) { $0.synchronisesBatchNorm = true } == two)
        let shared = try await Self.train(choice, ranks: 2) { ($0.synchronisesBatchNorm, $0.sharesUpdate) = (true, true) }
        #expect(shared == two)
    }

    @Test("one rank that adds up two batches trains each model as two ranks with a batch each do", arguments: deepModels)
    func accumulation(choice: ModelChoice) async throws {
        let one = try await Self.train(choice, ranks: 1) { $0.accumulation = 2 }
        let two = try await Self.train(choice, ranks: 2) { _ in }
        // Each has running means of its own, so nothing is said of held-out samples.
        Self.expectLike(one[0].losses.dropLast(), two[0].losses.dropLast(), within: 2e-3)
        let both = try await Self.train(choice, ranks: 2, steps: 2) { ($0.accumulation, $0.sharesUpdate) = (2, true) }
        #expect(both[0] == both[1])
    }

    @Test("ranks agree to the last bit, on every run and by any plan", arguments: [2, 3])
    func sameBits(ranks: Int) async throws {
        let first = try await Self.train(ranks: ranks)
        #expect(first.count == ranks && first.allSatisfy { $0 == first[0] })
        #expect(first[0].digest.count == 64)
        #expect(try await Self.train(ranks: ranks) == first)

        for size in [GradientSettings.BucketSize.fixed(4), .fixed(4096), .fixed(1 << 20), .ddp] {
            for schedule in GradientSettings.Schedule.allCases {
                var settings = Self.settings
                settings.exchange = GradientSettings(bucketSize: size, schedule: schedule)
                #expect(try await Self.train(ranks: ranks, settings) == first, "\(settings.exchange)")
            }
        }
    }

    @Test(
        "in a wire format no plan changes a bit, and the loss falls as it does in fp32", arguments: [WireFormat.bfloat16, .float16, .int8])
    func wireFormats(wire: WireFormat) async throws {
        let plain = try await Self.train(ranks: 2)[0]
        var first: [Run]?
        for (size, schedule) in [(.planned, nil), (.fixed(4096), .allReduce), (.ddp, .split)]
            as [(GradientSettings.BucketSize, GradientSettings.Schedule?)]
        {
            var settings = Self.settings
            settings.exchange = GradientSettings(bucketSize: size, schedule: schedule, wire: wire)
            let runs = try await Self.train(ranks: 2, settings)
            let wanted = first ?? runs
            first = wanted
            #expect(runs == wanted && runs[0] == runs[1], "\(settings.exchange)")
        }
        let losses = try #require(first)[0].losses
        #expect(losses != plain.losses)
        let (found, expected) = (losses.suffix(10).reduce(0, +) / 10, plain.losses.suffix(10).reduce(0, +) / 10)
        #expect((found - expected).magnitude <= 0.03 * expected, "\(found), and \(expected) in fp32")
    }

    @Test("ranks with other settings are told so, all of them")
    func disagreement() async throws {
        let errors = try await onRanks(2) { communicator in
            var settings = Self.settings
            settings.seed += UInt64(communicator.rank)
            let error = #expect(throws: TrainingError.self) {
                _ = try DataParallelTrainer(communicator, data: Self.data, settings: settings)
            }
            return error?.description ?? "none"
        }
        #expect(errors.count == 2 && errors.allSatisfy { $0.contains("seed: 1 on rank 0, 2 on rank 1") })
    }

    @Test("a wire format is every rank's or nobody's")
    func wireFormatsThatDiffer() async throws {
        let errors = try await onRanks(2) { communicator in
            var settings = Self.settings
            settings.exchange.wire = communicator.rank == 0 ? .plain : .int8
            let error = #expect(throws: TrainingError.self) {
                _ = try DataParallelTrainer(communicator, data: Self.data, settings: settings)
            }
            return error?.description ?? "none"
        }
        #expect(errors.count == 2 && errors.allSatisfy { $0.contains("wire format: fp32 on rank 0, int8 on rank 1") })
    }
}
