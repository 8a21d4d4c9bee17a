/// How a trainer broke the rules of a step.
public enum GradientError: Error, Sendable, Equatable, CustomStringConvertible {
    case unknownParameter(index: Int, count: Int)
    case announcedTwice(name: String)
    case notAnnounced(names: [String])

    public var description: String {
        switch self {
        case .unknownParameter(let index, let count):
            "gradient \(index) does not exist; the exchange was made for parameters 0 to \(count - 1)"
        case .announcedTwice(let name):
            "the gradient of '\(name)' was announced twice in one step; call synchronize() between backward passes"
        case .notAnnounced(let names):
            "no gradient was announced for \(names.prefix(4).map { "'\($0)'" }.joined(separator: ", "))"
                + (names.count > 4 ? " and \(names.count - 4) more" : "")
                + "; announce every parameter in each step, with zeros where it took no part"
        }
    }
}

/// Which gradients of the present step are final, and which buckets may therefore start.
///
/// Buckets start in the plan's order on every rank, whatever order the gradients come in: operations are matched by order.
public struct Readiness: Sendable {
    private let plan: BucketPlan
    private var isReady: [Bool]
    /// Gradients still to come, by bucket.
    private var missing: [Int]
    /// Buckets that have started in this step; the first so many of the plan.
    private var started = 0

    public init(plan: BucketPlan) {
        self.plan = plan
        isReady = Array(repeating: false, count: plan.parameters.count)
        missing = plan.buckets.map(\.parameters.count)
    }

    /// Marks one gradient as final. One that is marked already may be announced again while a bucket waits (`next`): its caller tries once
    /// more what did not start.
    public mutating func announce(_ parameter: Int) throws(GradientError) {
        guard isReady.indices.contains(parameter) else {
            throw .unknownParameter(index: parameter, count: isReady.count)
        }
        guard !isReady[parameter] else {
            guard next == nil else { return }
            throw .announcedTwice(name: plan.parameters[parameter].name)
        }
        isReady[parameter] = true
        missing[plan.bucketOfParameter[parameter]] -= 1
    }

    /// The bucket that is to start now; often none. It stays so until `didStart`.
    public var next: Int? { started < missing.count && missing[started] == 0 ? started : nil }

    /// Bucket `next` is under way.
    public mutating func didStart() { started += 1 }

    /// Checks that every gradient was announced.
    public func checkComplete() throws(GradientError) {
        guard isReady.allSatisfy({ $0 }) else {
            throw .notAnnounced(names: isReady.indices.filter { !isReady[$0] }.map { plan.parameters[$0].name })
        }
    }

    /// Makes ready for the next step, once every bucket has started.
    public mutating func endStep() throws(GradientError) {
        try checkComplete()
        started = 0
        for index in isReady.indices { isReady[index] = false }
        for bucket in missing.indices { missing[bucket] = plan.buckets[bucket].parameters.count }
    }
}
