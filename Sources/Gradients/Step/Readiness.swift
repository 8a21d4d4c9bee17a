/// Which gradients of the present step are final, and which operations may therefore start.
///
/// Operations are matched by their order inside a stream, so it must be the same on every rank, whatever order gradients and ends come in. It is:
/// 1. All ranks have the same plan in the same step.
/// 2. Of a stream's buckets, only the first that has not started may start (`next`): their first operations start in the plan's order.
/// 3. A gather may start only after every first operation of the step has (`nextGather`), those of a stream in the order of the next forward pass.
/// 4. The next step begins only after every operation of this one has started (`endStep`).
///
/// So what a rank starts in a stream is, step after step: the first operations in the plan's order, then the gathers in forward order. Neither
/// announcements nor ends change it: they only delay it.
public struct Readiness: Sendable {
    private let layout: GradientLayout
    private let plan: BucketPlan
    private var isAnnounced: [Bool]
    /// How many were, in this step.
    public private(set) var announcedCount = 0
    /// Gradients still to come, by bucket.
    private var missing: [Int]
    /// By stream, bulk and urgent: the buckets in the order of their first operations, and how many of those have started in this step.
    private let order: [[Int]]
    private var started = [0, 0]
    /// By stream: the buckets in the order of their gathers, and how many of those have started in this step.
    private let gatherOrder: [[Int]]
    private var gathersStarted = [0, 0]
    /// By bucket, of this step: whether its first operation has started, and has ended here.
    private var hasStarted: [Bool]
    private var isReduced: [Bool]

    public init(_ layout: GradientLayout, plan: BucketPlan) {
        self.layout = layout
        self.plan = plan
        isAnnounced = Array(repeating: false, count: layout.parameters.count)
        missing = plan.buckets.map(\.parameters.count)
        hasStarted = Array(repeating: false, count: plan.buckets.count)
        isReduced = hasStarted
        order = [false, true].map { isUrgent in plan.buckets.indices.filter { plan.buckets[$0].isUrgent == isUrgent } }
        let isSplit = plan.schedule == .split
        gatherOrder = [false, true].map { isUrgent in isSplit ? plan.forwardOrder.filter { plan.buckets[$0].isUrgent == isUrgent } : [] }
    }

    // MARK: announcements

    /// Marks one gradient as final. One that is marked already may be announced again while a bucket waits (`next`): its caller tries once
    /// more what did not start.
    /// - Returns: whether it is new.
    @discardableResult
    public mutating func announce(_ parameter: Int) throws(GradientError) -> Bool {
        guard isAnnounced.indices.contains(parameter) else {
            throw .unknownParameter(index: parameter, count: layout.parameterCount)
        }
        guard !isAnnounced[parameter] else {
            guard next == nil else { return false }
            throw .announcedTwice(name: layout.parameters[parameter].name)
        }
        isAnnounced[parameter] = true
        announcedCount += 1
        for bucket in plan.bucketsOfParameter[parameter] { missing[bucket] -= 1 }
        return true
    }

    /// Parameters that no gradient was announced for in this step.
    public var unannounced: [Int] { isAnnounced.indices.filter { !isAnnounced[$0] } }

    // MARK: starting

    /// The bucket whose first operation is to start now; often none. It stays so until `didStart`.
    public var next: Int? {
        for stream in [1, 0] where started[stream] < order[stream].count {
            let bucket = order[stream][started[stream]]
            if missing[bucket] == 0 { return bucket }
        }
        return nil
    }

    /// The first operation of bucket `next` is under way.
    public mutating func didStart(_ bucket: Int) {
        started[stream(of: bucket)] += 1
        hasStarted[bucket] = true
    }

    /// Whether a bucket's first operation has started in this step.
    public func hasStarted(_ bucket: Int) -> Bool { hasStarted[bucket] }

    /// Whether every bucket's has.
    public var haveAllStarted: Bool { started[0] + started[1] == plan.buckets.count }

    // MARK: gathers

    /// The first operation of a bucket has ended here.
    public mutating func didReduce(_ bucket: Int) { isReduced[bucket] = true }

    /// The bucket whose gather is to start now. It stays so until `didStartGather`.
    public var nextGather: Int? {
        if let urgent = pendingGather(isUrgent: true), isReduced[urgent] { return urgent }
        return pendingGather(isUrgent: false).flatMap { isReduced[$0] ? $0 : nil }
    }

    /// Of a stream the bucket whose gather is the next, whether it may start or not.
    public func pendingGather(isUrgent: Bool) -> Int? {
        let stream = isUrgent ? 1 : 0
        guard haveAllStarted, gathersStarted[stream] < gatherOrder[stream].count else { return nil }
        return gatherOrder[stream][gathersStarted[stream]]
    }

    public mutating func didStartGather(_ bucket: Int) { gathersStarted[stream(of: bucket)] += 1 }

    // MARK: the end

    /// Makes ready for the next step, once every operation of this one has started.
    public mutating func endStep() {
        guard haveAllStarted, pendingGather(isUrgent: true) == nil, pendingGather(isUrgent: false) == nil else {
            fatalError("broken invariant: a step ends when all its operations have started")
        }
        announcedCount = 0
        // In place: a literal would be a new array.
        for stream in started.indices { (started[stream], gathersStarted[stream]) = (0, 0) }
        for index in isAnnounced.indices { isAnnounced[index] = false }
        for bucket in plan.buckets.indices {
            (missing[bucket], hasStarted[bucket], isReduced[bucket]) = (plan.buckets[bucket].parameters.count, false, false)
        }
    }

    private func stream(of bucket: Int) -> Int { plan.buckets[bucket].isUrgent ? 1 : 0 }
}
