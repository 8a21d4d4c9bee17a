import Trainer
import Verbena

/// Counts how often training steps allocate memory, on all threads of each rank.
///
/// Run it with VERBENA_MATH=openblas: oneDNN's sgemm takes and gives back memory inside itself, once a product.
enum TrainingCheck {
    /// The ledger fills its history of 128 steps, and the planner, who lays buckets anew in memory of his own, looks after 160 and after 320.
    static let firstSteps = 165
    static let steps = 100
    /// How many steps may see what the rest of the process does meanwhile, such as signs of life to the rendezvous.
    static let othersSteps = 5

    /// - Returns: whether no rank allocated in the steps of any model, by either optimizer; where ranks share the update, no more than a watcher of each bucket takes.
    static func measureAll(_ communicator: Communicator, _ count: AllocationCount) throws -> Bool {
        var isRight = true
        for model in [ModelChoice.mlp(hidden: [64, 32]), .convnet, .transformer] {
            for method in [OptimizerSettings.Method.sgd, .adamw] {
                for sharesUpdate in communicator.worldSize > 1 ? [false, true] : [false] {
                    var settings = TrainingSettings(model: model)
                    (settings.batchPerRank, settings.optimizer.method, settings.sharesUpdate) = (1, method, sharesUpdate)
                    if sharesUpdate { settings.exchange.bucketSize = .fixed(1 << 30) }
                    isRight = try measure(communicator, count, settings, limit: sharesUpdate ? watcherAllocations : 0) && isRight
                }
            }
        }
        return isRight
    }

    /// Of a bucket whose update is shared.
    private static let watcherAllocations = 4

    private static func measure(
        _ communicator: Communicator, _ count: AllocationCount, _ settings: TrainingSettings, limit: Int
    ) throws -> Bool {
        let sampleCount = communicator.worldSize * settings.batchPerRank * (firstSteps + steps)
        let data =
            settings.model == .transformer
            ? GeneratedText.split(seed: 1, characterCount: (sampleCount * 10 / 9 + 2) * ModelChoice.context)
            : GeneratedDigits.split(seed: 1, trainingCount: sampleCount, heldOutCount: 2)
        let trainer = try DataParallelTrainer(communicator, data: data, settings: settings)
        var counts = [Int](repeating: 0, count: trainer.stepsPerEpoch)
        _ = try trainer.runEpoch(0) { counts[$0.step] = count.now }
        let own = (firstSteps..<counts.count - 1).map { counts[$0] - counts[$0 - 1] }.sorted()
        let word = "\(own[own.count / 2]) (\(own.count { $0 > limit }) of \(own.count) steps above \(limit))"
        let words = try communicator.allGather(Array("\(own.count { $0 > limit }) \(word)".utf8), label: "allocations").map {
            String(decoding: $0, as: UTF8.self).split(separator: " ", maxSplits: 1)
        }
        let isRight = words.allSatisfy { Int($0[0]) ?? .max <= othersSteps }
        if communicator.rank == 0 {
            let title = "training of \(settings.model), \(settings.optimizer.method)\(settings.sharesUpdate ? ", update shared" : "")"
            print("\(isRight ? "right" : "WRONG") \(title), allocations in a step: \(words.map { String($0[1]) }.joined(separator: ", "))")
        }
        return isRight
    }
}
