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
    /// Buckets that have started in this step.
    private var started = 0

    public init(plan: BucketPlan) {
        self.plan = plan
        isReady = Array(repeating: false, count: plan.parameters.count)
        missing = plan.buckets.map(\.parameters.count)
    }

    /// Marks one gradient as final.
    /// - Returns: the buckets that are to start now, in this order; often none.
    public mutating func announce(_ parameter: Int) throws(GradientError) -> Range<Int> {
        guard isReady.indices.contains(parameter) else {
            throw .unknownParameter(index: parameter, count: isReady.count)
        }
        guard !isReady[parameter] else { throw .announcedTwice(name: plan.parameters[parameter].name) }
        isReady[parameter] = true
        missing[plan.bucketOfParameter[parameter]] -= 1
        let first = started
        while started < missing.count, missing[started] == 0 { started += 1 }
        return first..<started
    }

    /// Checks that the step is complete and makes ready for the next.
    public mutating func endStep() throws(GradientError) {
        guard started == missing.count else {
            throw .notAnnounced(names: isReady.indices.filter { !isReady[$0] }.map { plan.parameters[$0].name })
        }
        started = 0
        for index in isReady.indices { isReady[index] = false }
        for bucket in missing.indices { missing[bucket] = plan.buckets[bucket].parameters.count }
    }
}
