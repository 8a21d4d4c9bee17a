internal import Gradients
internal import SimulatedFabric

/// One rank's trainer: steps in which it announces its gradients in its own order, and waits for all buckets.
struct Trainee {
    private let training: Program.Training
    private let rank: Int
    private let worldSize: Int
    private let seed: UInt64
    private var readiness: Readiness
    private var step = 0
    private(set) var isStepBegun = false
    private var unannounced: [Int] = []
    private var unfinished: Set<Int> = []

    init(_ training: Program.Training, rank: Int, worldSize: Int, seed: UInt64) {
        self.training = training
        self.rank = rank
        self.worldSize = worldSize
        self.seed = seed
        readiness = Readiness(training.layout, plan: training.plan)
    }

    var isDone: Bool { step == training.steps }
    var hasUnannounced: Bool { isStepBegun && !unannounced.isEmpty }

    /// In elements of the whole memory: the layout has one section.
    func range(of bucket: Int) -> Range<Int> { training.plan.buckets[bucket].elements }

    /// A rank's gradients, as bytes of the whole memory: whole numbers, padding zero.
    private func gradients(of rank: Int) -> [Float] {
        var values = Array(repeating: Float(0), count: training.layout.byteCount / 4)
        var random = SeededRandom(seed: seed ^ UInt64(rank) << 40 ^ UInt64(step) << 20)
        for place in training.layout.places { for element in place.elements { values[element] = Float(random.below(41) - 20) } }
        return values
    }

    mutating func beginStep() -> [UInt8] {
        isStepBegun = true
        unannounced = Array(training.layout.parameters.indices)
        unfinished = Set(training.plan.buckets.indices)
        return bytes(gradients(of: rank)[...])
    }

    /// Announces some gradients.
    /// - Returns: the buckets that are to start now.
    mutating func announceSome(_ random: inout SeededRandom) throws(GradientError) -> [Int] {
        guard isStepBegun else { return [] }
        var started: [Int] = []
        for _ in 0...random.below(3) where !unannounced.isEmpty {
            try readiness.announce(unannounced.remove(at: random.below(unannounced.count)))
            while let bucket = readiness.next {
                started.append(bucket)
                readiness.didStart(bucket)
            }
        }
        return started
    }

    func averages(of bucket: Int) -> [UInt8] {
        let range = range(of: bucket)
        var sum = Array(repeating: Float(0), count: range.count)
        for rank in 0..<worldSize {
            let values = gradients(of: rank)
            for index in range { sum[index - range.lowerBound] += values[index] }
        }
        return bytes(sum.map { $0 / Float(worldSize) }[...])
    }

    mutating func finish(_ bucket: Int) {
        unfinished.remove(bucket)
        guard unfinished.isEmpty, unannounced.isEmpty else { return }
        readiness.endStep()
        step += 1
        isStepBegun = false
    }

    private func bytes(_ values: ArraySlice<Float>) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) } }
    }
}
