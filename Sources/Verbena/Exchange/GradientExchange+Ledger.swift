internal import CPlatform
public import Gradients

// Where the time of the steps went.
extension GradientExchange {
    /// Carries out what is none of the steps' computing: evaluation, input, a checkpoint. It has a time of its own in the report of the present step, except
    /// for what it waits for gradients and for what has a name inside it.
    public func named<R, Failure: Error>(_ name: String, _ body: () throws(Failure) -> R) throws(Failure) -> R {
        let start = platform_now()
        defer { traffic.state.withLock { $0.ledger.name(name, from: start, to: platform_now()) } }
        return try body()
    }

    /// Gives the time since the last step a name, except for what has one: for a trainer that comes back after other work.
    public func nameTimeSinceLastStep(_ name: String) { traffic.state.withLock { $0.ledger.name(name, from: 0, to: platform_now()) } }

    /// What is added to the times of this rank's reports to have those of rank 0's clock, in nanoseconds; 0 on the machine of rank 0. Measured when the exchange
    /// was made.
    public var clockOffsetNanoseconds: Int64 { traffic.state.withLock { $0.peerTimes.clock.offset } }

    /// The sums over all steps so far.
    public var totals: StepTotals { traffic.state.withLock { $0.ledger.history.totals } }

    /// The last steps, at most 128, oldest first.
    public var recentSteps: [StepReport] { traffic.state.withLock { $0.ledger.history.recent } }
}
