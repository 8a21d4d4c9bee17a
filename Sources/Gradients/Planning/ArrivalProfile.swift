/// When a trainer makes and wants its gradients, in seconds of its own computing: without what it waited for gradients.
///
/// Backprop begins with its first announcement and ends with its last one; then come the optimizer and the next forward pass. Medians over some steps; of
/// the ranks the largest figures count, those of the slowest.
public struct ArrivalProfile: Sendable, Equatable {
    /// By parameter: from the beginning of backprop until its gradient is announced.
    public var ready: [Double]
    /// By parameter: from the end of backprop until the trainer waits for it.
    public var needed: [Double]
    /// From the beginning to the end of backprop, and from there to the beginning of the next.
    public var backwardSeconds: Double
    public var forwardSeconds: Double
    /// What a byte of an allreduce took, measured in the same steps; 0 where too few travelled.
    public var secondsPerByte: Double
    /// What the trainer's own thread spends on each operation; 0 where another thread drives the engine. No plan hides it.
    public var operationSeconds: Double
    /// What the trainer's own thread spends on each byte of an allreduce, where it adds and copies itself and nothing else carries the bytes; else 0. No plan
    /// hides that, either: there is no link beside the thread.
    public var ownSecondsPerByte: Double

    /// A step as it was measured, without named times; 0 where it was not.
    public var stepSeconds: Double

    public init(
        ready: [Double], needed: [Double], backwardSeconds: Double, forwardSeconds: Double, secondsPerByte: Double = 0,
        operationSeconds: Double = 0, ownSecondsPerByte: Double = 0, stepSeconds: Double = 0
    ) {
        self.ready = ready
        self.needed = needed
        self.backwardSeconds = backwardSeconds
        self.forwardSeconds = forwardSeconds
        self.secondsPerByte = secondsPerByte
        self.operationSeconds = operationSeconds
        self.ownSecondsPerByte = ownSecondsPerByte
        self.stepSeconds = stepSeconds
    }

    /// As numbers of which every rank takes the largest: so that all have the same. Of the costs of a byte the least counts, that of a rank that
    /// waited for nobody.
    public var agreeable: [Double] {
        ready + needed + [backwardSeconds, forwardSeconds, -secondsPerByte, operationSeconds, -ownSecondsPerByte, stepSeconds]
    }

    public static func agreeableCount(parameters: Int) -> Int { 2 * parameters + 6 }

    public init(agreed values: [Double]) {
        let count = (values.count - 6) / 2
        self.init(
            ready: Array(values[..<count]), needed: Array(values[count..<2 * count]), backwardSeconds: values[2 * count],
            forwardSeconds: values[2 * count + 1], secondsPerByte: -values[2 * count + 2],
            operationSeconds: values[2 * count + 3], ownSecondsPerByte: -values[2 * count + 4], stepSeconds: values[2 * count + 5])
    }

    /// The median of each figure over several steps; nil of none.
    public static func median(of profiles: [ArrivalProfile]) -> ArrivalProfile? {
        guard let first = profiles.first else { return nil }
        let all = profiles.map(\.agreeable)
        return ArrivalProfile(
            agreed: first.agreeable.indices.map { index in all.map { $0[index] }.sorted()[all.count / 2] })
    }
}

/// What a byte of an allreduce took in a step: the time in which at least one operation was under way, from the first message of a peer on, over all bytes;
/// half of an allreduce counts for half its bytes. So a peer that begins late costs no byte anything, nor does the messages' latency, which
/// operations pay one after the other at most.
/// - Returns: 0 where too few bytes travelled to tell.
public func measuredSecondsPerByte(_ buckets: [BucketReport], latencySeconds: Double) -> Double {
    var (bytes, busy, covered) = (0.0, 0.0, UInt64(0))
    for bucket in buckets.sorted(by: { $0.firstArrival < $1.firstArrival }) {
        bytes += Double(bucket.byteCount) * (bucket.phase == .allReduce ? 1 : 0.5)
        if bucket.ended > covered {
            busy += Double(bucket.ended - max(covered, bucket.firstArrival)) / 1e9 - (bucket.firstArrival >= covered ? latencySeconds : 0)
            covered = bucket.ended
        }
    }
    return bytes < 65_536 || busy <= 0 ? 0 : busy / bytes
}
