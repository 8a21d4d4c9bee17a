/// Why the ranks of a job could not meet, or why they cannot go on together.
public struct RendezvousError: Error, Sendable, Equatable, Codable, CustomStringConvertible {
    /// Stable: tests and callers switch on it.
    public enum Cause: String, Sendable, Codable {
        /// A variable of the environment is missing, malformed or contradicts another.
        case environment
        /// The port is taken on the coordinator's machine.
        case addressInUse
        /// The coordinator could not listen for another reason.
        case cannotListen
        /// No coordinator answered before the join deadline.
        case unreachable
        /// Something answers at the address, but it is no coordinator.
        case notACoordinator
        /// This process and the coordinator do not hold the same secret.
        case wrongSecret
        /// The ranks do not agree on the size of the world.
        case wrongWorldSize
        /// The ranks do not run the same version.
        case wrongVersion
        /// A rank that the world does not have.
        case rankOutOfRange
        /// Two processes claim the same rank.
        case duplicateRank
        /// At least one rank did not come before the join deadline.
        case ranksMissing
        /// Ranks are in different calls.
        case labelMismatch
        /// The payload is over `RendezvousBounds.payloadByteLimit`.
        case payloadTooLarge
        /// A deadline passed in a call.
        case timedOut
        /// A rank took leave while others waited for it.
        case peerLeft
        /// The job has a verdict: a rank is lost, or reported a failure.
        case verdict
        /// This rank has taken leave, and something was still asked of it.
        case closed
    }

    public var cause: Cause
    /// The facts: which rank, variable, address or bound.
    public var detail: String
    /// What the reader can do about it.
    public var remedy: String
    /// Who is at fault, where the whole job ends by this error.
    public var verdict: Verdict?

    public init(_ cause: Cause, _ detail: String, remedy: String, verdict: Verdict? = nil) {
        self.cause = cause
        self.detail = detail
        self.remedy = remedy
        self.verdict = verdict
    }

    /// A verdict as an error of every call that is under way.
    init(verdict: Verdict) {
        self.init(.verdict, "\(verdict.culprit): \(verdict.cause) (during \(verdict.operation))", remedy: verdict.remedy, verdict: verdict)
    }

    /// An error of the whole job that is laid to one rank.
    init(_ cause: Cause, rank: Int, during operation: String, _ detail: String, remedy: String) {
        self.init(
            cause, detail, remedy: remedy, verdict: Verdict(rank: rank, cause: detail, operation: operation, remedy: remedy))
    }

    /// One line: what, why, and what to do.
    public var description: String { remedy.isEmpty ? detail : "\(detail); \(remedy)" }
}
