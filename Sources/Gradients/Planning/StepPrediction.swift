/// What a step should take by a plan.
public struct StepPrediction: Sendable, Equatable {
    /// How long the trainer should wait for gradients.
    public var exposedSeconds = 0.0
    public var stepSeconds = 0.0
    /// How long the link should be in use.
    public var linkSeconds = 0.0
    /// By bucket, from the beginning of backprop: when it should be ready, and when it should be the trainer's again.
    public var ready: [Double]
    public var returned: [Double]
}

extension BucketPlan {
    /// Simulates a step: the link takes operations in the order of `Readiness`, one at a time; an urgent one interrupts a bulk one. The trainer computes as in
    /// the profile, and stops where a gradient that it wants has not come.
    public func predict(_ layout: GradientLayout, _ profile: ArrivalProfile, _ costs: LinkCosts) -> StepPrediction {
        var prediction = StepPrediction(
            ready: buckets.map { $0.parameters.reduce(0) { max($0, profile.ready[$1]) } },
            returned: Array(repeating: 0, count: buckets.count))
        var costs = costs
        // There the thread carries the bytes, and the link only signals.
        if profile.ownSecondsPerByte > 0 { (costs.whole.secondsPerByte, costs.half.secondsPerByte) = (0, 0) }
        var link = Link(self, layout, costs, ready: prediction.ready)
        link.run()
        (prediction.returned, prediction.linkSeconds) = (link.returned, link.busySeconds)
        let wanted = profile.needed.indices.sorted { (profile.needed[$0], $0) < (profile.needed[$1], $1) }
        for parameter in wanted {
            let wants = profile.backwardSeconds + profile.needed[parameter] + prediction.exposedSeconds
            let comes = bucketsOfParameter[parameter].reduce(0) { max($0, prediction.returned[$1]) }
            prediction.exposedSeconds += max(0, comes - wants)
        }
        let operations = buckets.count * (schedule == .split ? 2 : 1)
        let ownSeconds = Double(buckets.indices.reduce(0) { $0 + byteCount(of: $1, in: layout) }) * profile.ownSecondsPerByte
        prediction.exposedSeconds += Double(operations) * profile.operationSeconds + ownSeconds
        prediction.linkSeconds += ownSeconds
        prediction.stepSeconds = profile.backwardSeconds + profile.forwardSeconds + prediction.exposedSeconds
        return prediction
    }
}

/// The link in a simulated step.
private struct Link {
    struct Job {
        var bucket: Int
        var isGather: Bool
        var seconds: Double
    }

    /// By stream, bulk and urgent: what it carries, in order; the first has begun, perhaps.
    var queues: [[Job]] = [[], []]
    var next = [0, 0]
    /// By bucket: when it may start, is reduced, and comes back.
    var release: [Double]
    var reduced: [Double]
    var returned: [Double]
    /// When every first operation has been started.
    var allStarted = 0.0
    var busySeconds = 0.0
    let latencySeconds: Double
    let isSplit: Bool

    init(_ plan: BucketPlan, _ layout: GradientLayout, _ costs: LinkCosts, ready: [Double]) {
        isSplit = plan.schedule == .split
        let line = isSplit ? costs.half : costs.whole
        latencySeconds = line.latencySeconds
        release = ready
        (reduced, returned) = (ready, ready)
        var last = [0.0, 0.0]
        func seconds(_ bucket: Int) -> Double {
            LinkCosts.operationSeconds + Double(plan.byteCount(of: bucket, in: layout)) * line.secondsPerByte
        }
        for bucket in plan.buckets.indices {
            let stream = plan.buckets[bucket].isUrgent ? 1 : 0
            last[stream] = max(last[stream], ready[bucket])
            release[bucket] = last[stream]
            queues[stream].append(Job(bucket: bucket, isGather: false, seconds: seconds(bucket)))
        }
        allStarted = max(last[0], last[1])
        for bucket in isSplit ? plan.forwardOrder : [] {
            queues[plan.buckets[bucket].isUrgent ? 1 : 0].append(Job(bucket: bucket, isGather: true, seconds: seconds(bucket)))
        }
    }

    /// When the first of a stream's queue may start; nil of an empty one.
    func start(_ stream: Int) -> Double? {
        guard next[stream] < queues[stream].count else { return nil }
        let job = queues[stream][next[stream]]
        return job.isGather ? max(allStarted, reduced[job.bucket]) : release[job.bucket]
    }

    mutating func run() {
        var now = 0.0
        while true {
            let (bulk, urgent) = (start(0), start(1))
            guard let first = [bulk, urgent].compactMap({ $0 }).min() else { return }
            now = max(now, first)
            let stream = urgent.map { $0 <= now } ?? false ? 1 : 0
            let job = queues[stream][next[stream]]
            // An urgent one that comes meanwhile interrupts it.
            if stream == 0, let urgent, urgent < now + job.seconds {
                queues[0][next[0]].seconds -= urgent - now
                busySeconds += urgent - now
                now = urgent
                continue
            }
            now += job.seconds
            busySeconds += job.seconds
            next[stream] += 1
            if isSplit, !job.isGather { reduced[job.bucket] = now + latencySeconds } else { returned[job.bucket] = now + latencySeconds }
        }
    }
}
