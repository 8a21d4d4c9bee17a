internal import CPlatform
internal import Collectives
public import Engine
public import Gradients

/// Averages a model's fp32 gradients over all ranks while backprop still runs.
///
/// The trainer computes each gradient straight into its view (`gradient(at:)`), says so (`gradientReady`), and before the optimizer's step waits
/// for the rest (`synchronize`). Nothing is copied: the views lie in registered buckets. A bucket travels as soon as all its gradients are ready.
///
/// Belongs to one thread. Every rank makes the same calls; the order of announcements inside a step may differ.
public final class GradientExchange {
    /// Buckets under way at once, at most; the next waits for the oldest.
    static let maxBucketsInFlight = 256

    package let plan: BucketPlan
    private let communicator: Communicator
    private let memory: Buffer<Float>
    private var readiness: Readiness
    private var ledger: StepLedger
    /// Buckets of this step in order of submission, with their numbers in the engine and in the ledger; those before `firstInFlight` have been waited
    /// for.
    private var inFlight: [(operation: Int, entry: Int)] = []
    private var firstInFlight = 0

    /// Lays out the gradients and registers their memory. Collective: ranks whose layouts differ are told where, before any data moves.
    /// - Parameters:
    ///   - parameters: of the model, in forward order.
    ///   - bucketBytes: how much travels together: smaller begins earlier, larger costs fewer messages. At least 1.
    public init(
        _ communicator: Communicator, parameters: [ParameterLayout], bucketBytes: Int = 4 << 20
    ) throws(VerbenaError) {
        guard bucketBytes > 0, parameters.allSatisfy({ $0.elementCount >= 0 }) else {
            throw VerbenaError(.configuration, "buckets of \(bucketBytes) bytes, or a negative element count; give positive numbers")
        }
        plan = BucketPlan(parameters: parameters, bucketBytes: bucketBytes)
        if let difference = BucketPlan.difference(try communicator.allGather(plan.manifest, label: "gradient layout")) {
            throw VerbenaError(
                knownToAll: .disagreed, rank: communicator.group.jobRanks[difference.rank],
                "\(communicator.group.naming("the ranks' models differ")): \(difference.detail); start every rank with the same model and bucket size"
            )
        }
        memory = try communicator.allocate(Float.self, count: plan.elementCount)
        readiness = Readiness(plan: plan)
        ledger = StepLedger(start: platform_now())
        inFlight.reserveCapacity(plan.buckets.count)
        self.communicator = communicator
    }

    /// Where parameter `index`'s gradient belongs: a view into its bucket, valid until `release`, or until the communicator of all ranks
    /// is closed.
    ///
    /// Write it before `gradientReady(index)`, read it after `synchronize()`; in between it is the engine's.
    @unsafe
    public func gradient(at index: Int) -> UnsafeMutableBufferPointer<Float> {
        // SAFETY: the plan keeps every parameter's range inside the buffer, which this object holds.
        unsafe UnsafeMutableBufferPointer(
            rebasing: memory.elements[plan.offsets[index]..<plan.offsets[index] + plan.parameters[index].elementCount])
    }

    /// Says that the gradient of parameter `index` is final for this step. Full buckets start to travel. Returns at once, unless 256 buckets, or
    /// with other operations 512, are under way already: then it waits for the oldest bucket, which counts as exposed time.
    /// - Throws: `.configuration`, where the 512 are none of this exchange's. The gradient stays announced then, and its bucket waits: wait for
    ///   some of those operations and make the same call again, before any other collective.
    public func gradientReady(_ index: Int) throws(VerbenaError) {
        try wrapping { () throws(GradientError) in try readiness.announce(index) }
        try startBuckets()
    }

    /// Starts the buckets whose turn it is. One that cannot start keeps its turn.
    private func startBuckets() throws(VerbenaError) {
        while let bucket = readiness.next {
            if inFlight.count - firstInFlight >= Self.maxBucketsInFlight { try settleOldest() }
            let range = plan.buckets[bucket].range
            let request = Operation(
                .allReduce,
                input: Place(
                    try communicator.attachment(of: memory.raw, for: .allReduce).buffer,
                    byteOffset: range.lowerBound * MemoryLayout<Float>.stride),
                count: range.count, type: .float32, reduction: .average)
            var number = try communicator.engine.submitWhereRoom(request)
            while number == nil, firstInFlight < inFlight.count {
                try settleOldest()
                number = try communicator.engine.submitWhereRoom(request)
            }
            guard let number else { throw .tooManyUnderWay }
            let now = platform_now()
            let parameters = plan.buckets[bucket].parameters
            let entry = ledger.begin(
                BucketReport(
                    index: bucket, parameters: parameters[parameters.count - 1]..<parameters[0] + 1,
                    byteCount: range.count * MemoryLayout<Float>.stride, ready: now, submitted: now))
            inFlight.append((number, entry))
            readiness.didStart()
        }
    }

    /// Waits until every gradient holds its average over all ranks, and closes the step.
    /// - Returns: where the step's time went.
    /// - Throws: the parameters that were not announced; or the verdict, when a rank is lost. What `gradientReady` throws for want of room leaves
    ///   the step open: call again.
    public func synchronize() throws(VerbenaError) -> StepReport {
        try wrapping { () throws(GradientError) in try readiness.checkComplete() }
        try startBuckets()
        try wrapping { () throws(GradientError) in try readiness.endStep() }
        while firstInFlight < inFlight.count { try settleOldest() }
        inFlight.removeAll(keepingCapacity: true)
        firstInFlight = 0
        return ledger.endStep(at: platform_now())
    }

    /// Gives the gradients' memory back; no view of it (`gradient(at:)`) may be used any more. A rank's own affair; see `RawBuffer.release`.
    /// - Throws: `.configuration` inside a step.
    public func release() throws(VerbenaError) { try memory.release() }

    deinit {
        // Every number is given back, or it would never be free again; a failed operation has ended already.
        while firstInFlight < inFlight.count { try? settleOldest() }
    }

    private func settleOldest() throws(VerbenaError) {
        let (number, entry) = inFlight[firstInFlight]
        firstInFlight += 1
        defer { communicator.engine.release(number) }
        let isWaiting = !communicator.engine.hasEnded(number)
        let start = platform_now()
        ledger.end(entry, try communicator.engine.wait(number))
        if isWaiting { ledger.wait(for: entry, from: start, to: platform_now()) }
    }
}
