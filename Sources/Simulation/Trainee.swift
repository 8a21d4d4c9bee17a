internal import Collectives
internal import Gradients
internal import Reduction
internal import SimulatedFabric

/// Deliberate faults of a trainer's exchange, for tests that want to see that they are found.
enum TrainingMutation: String, CaseIterable {
    /// Rank 0 changes the plan a step early.
    case earlyPlan
    /// Gathers start in the order in which their buckets are reduced.
    case gathersAsReduced
    /// A rank says nothing of a parameter that it did not use.
    case silentAboutUnused
}

/// One rank's trainer: steps in which it announces its gradients in its own order, and waits for all buckets. Every step has a plan of its own.
struct Trainee {
    /// An operation that is to start.
    struct Start {
        var collective: Collective
        var bucket: Int

        /// The numbers of buckets are below those of the program's operations.
        var number: Int { -1 - (2 * bucket + (collective == .gatherStripes ? 1 : 0)) }
    }

    private let program: Program
    private let training: Program.Training
    private let rank: Int
    /// What the ranks' gradients travel as, where that is not plain, and what it has lost.
    private var encoding: EncodedGradients?
    private var readiness: Readiness
    private var step = 0
    private(set) var isStepBegun = false
    private var unannounced: [Int] = []
    private var unfinished: Set<Int> = []
    /// Reduced buckets whose gathers have not started, in the order of their ends: for a deliberate fault.
    private var reduced: [Int] = []

    init(_ training: Program.Training, rank: Int, of program: Program) {
        self.program = program
        self.training = training
        self.rank = rank
        // A rank alone sends nothing.
        if training.wire != .plain, program.worldSize > 1 { encoding = EncodedGradients(training, program) }
        readiness = Readiness(training.layout, plan: training.plans[0])
    }

    private var worldSize: Int { program.worldSize }
    private var seed: UInt64 { program.seed }
    var isDone: Bool { step == training.plans.count }
    var hasUnannounced: Bool { isStepBegun && !unannounced.isEmpty }

    private func isMutated(_ mutation: TrainingMutation) -> Bool { training.mutation == mutation }

    private var plan: BucketPlan {
        training.plans[isMutated(.earlyPlan) && rank == 0 ? min(step + 1, training.plans.count - 1) : step]
    }

    // MARK: values

    private func isUsed(_ parameter: Int, by rank: Int) -> Bool {
        guard training.layout.useIndex != nil else { return true }
        var random = SeededRandom(seed: seed ^ UInt64(rank) << 40 ^ UInt64(step) << 20 ^ UInt64(parameter) << 8)
        return !random.chance(perMille: 200)
    }

    /// A rank's gradients, as bytes of the whole memory: whole numbers, padding zero.
    private func gradients(of rank: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: training.layout.byteCount)
        var random = SeededRandom(seed: seed ^ UInt64(rank) << 40 ^ UInt64(step) << 20)
        for parameter in 0..<training.layout.parameterCount {
            let start = training.layout.byteRange(ofParameter: parameter).lowerBound
            for element in 0..<training.layout.parameters[parameter].elementCount {
                let value = Float(random.below(41) - 20)
                if isUsed(parameter, by: rank) { Self.store(value, &bytes, at: start + 4 * element) }
            }
            guard let useIndex = training.layout.useIndex else { continue }
            bytes[training.layout.byteRange(ofParameter: useIndex).lowerBound + parameter] = isUsed(parameter, by: rank) ? 1 : 0
        }
        return bytes
    }

    private static func store(_ value: Float, _ bytes: inout [UInt8], at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * index)) }
    }

    private static func load(_ bytes: [UInt8], at offset: Int) -> Float {
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) })
    }

    /// What a bucket is to hold in the end.
    func result(of bucket: Int) -> [UInt8] {
        let range = byteRange(of: bucket)
        if let encoding, !type(of: bucket).isInteger { return Array(encoding.result[range]) }
        let all = (0..<worldSize).map { gradients(of: $0) }
        var result = Array(all[0][range])
        if type(of: bucket).isInteger {
            for index in result.indices { result[index] = all.map { $0[range.lowerBound + index] }.max() ?? 0 }
        } else {
            for offset in stride(from: 0, to: range.count, by: 4) {
                let sum = all.reduce(Float(0)) { $0 + Self.load($1, at: range.lowerBound + offset) }
                Self.store(sum / Float(worldSize), &result, at: offset)
            }
        }
        return result
    }

    /// What of a bucket's elements is to be sent the next time; nil where nothing is kept.
    func residual(of bucket: Int) -> [UInt8]? {
        encoding.flatMap { type(of: bucket).isInteger ? nil : Array($0.residuals[rank][byteRange(of: bucket)]) }
    }

    // MARK: buckets

    func byteRange(of bucket: Int) -> Range<Int> {
        training.layout.byteRange(plan.buckets[bucket].elements, ofSection: plan.buckets[bucket].section)
    }

    private func type(of bucket: Int) -> ElementType { training.layout.sections[plan.buckets[bucket].section].type }

    /// - Parameter buffers: of gradients, and of residuals where there are such.
    func operation(_ start: Start, in buffers: ArraySlice<SharedBuffer>) -> Operation {
        let (bucket, type) = (plan.buckets[start.bucket], type(of: start.bucket))
        var operation = Operation(
            start.collective, input: Place(buffers[buffers.startIndex], byteOffset: byteRange(of: start.bucket).lowerBound),
            count: bucket.elements.count, type: type, reduction: type.isInteger ? .maximum : .average,
            stream: bucket.isUrgent ? .urgent : .bulk, stripe: program.stripeOfGradients(type))
        if encoding != nil, !type.isInteger {
            operation.wire = training.wire
            operation.residual = buffers.last
        }
        return operation
    }

    // MARK: steps

    mutating func beginStep() -> [UInt8] {
        isStepBegun = true
        unannounced = Array(training.layout.parameters.indices)
        if isMutated(.silentAboutUnused), rank == 0 {
            unannounced = unannounced.filter { $0 == training.layout.useIndex || isUsed($0, by: rank) }
        }
        unfinished = Set(plan.buckets.indices)
        readiness = Readiness(training.layout, plan: plan)
        let all = (0..<worldSize).map { gradients(of: $0) }
        encoding?.step(all)
        return gradients(of: rank)
    }

    /// Announces some gradients; the bytes of use are the last.
    mutating func announceSome(_ random: inout SeededRandom) throws(GradientError) {
        for _ in 0...random.below(3) where !unannounced.isEmpty {
            let isUseLast = unannounced.last == training.layout.useIndex && unannounced.count > 1
            let index = random.below(unannounced.count - (isUseLast ? 1 : 0))
            let parameter = unannounced.remove(at: index)
            try readiness.announce(parameter)
        }
    }

    /// The next operation that is to start.
    mutating func takeStart() -> Start? {
        if let bucket = readiness.next {
            readiness.didStart(bucket)
            return Start(collective: plan.schedule == .split ? .reduceStripes : .allReduce, bucket: bucket)
        }
        if isMutated(.gathersAsReduced), readiness.haveAllStarted, !reduced.isEmpty {
            return Start(collective: .gatherStripes, bucket: reduced.removeFirst())
        }
        guard !isMutated(.gathersAsReduced), let bucket = readiness.nextGather else { return nil }
        readiness.didStartGather(bucket)
        return Start(collective: .gatherStripes, bucket: bucket)
    }

    /// An operation has ended.
    /// - Returns: the bucket, where it holds its result now.
    func returned(_ number: Int) -> Int? {
        let (bucket, isGather) = ((-1 - number) / 2, (-1 - number) % 2 == 1)
        return isGather || plan.schedule == .allReduce ? bucket : nil
    }

    mutating func end(_ number: Int) {
        let bucket = (-1 - number) / 2
        guard returned(number) != nil else {
            readiness.didReduce(bucket)
            reduced.append(bucket)
            return
        }
        unfinished.remove(bucket)
        guard unfinished.isEmpty, unannounced.isEmpty else { return }
        step += 1
        isStepBegun = false
    }
}
