/// Why the ranks of a job could not meet, or why they cannot go on together.
public struct RendezvousError: Error, Sendable, Equatable, Codable, CustomStringConvertible {
    public var cause: FailureCause
    /// The facts: which rank, variable, address or bound.
    public var detail: String
    /// What the reader can do about it.
    public var remedy: String
    /// What ends the whole job by this error, where something does.
    public let verdict: Verdict?

    public init(_ cause: FailureCause, _ detail: String, remedy: String) {
        (self.cause, self.detail, self.remedy, verdict) = (cause, detail, remedy, nil)
    }

    /// A verdict as an error of every call that is under way.
    package init(_ verdict: Verdict) {
        (cause, detail, remedy, self.verdict) = (verdict.cause, verdict.facts, verdict.remedy, verdict)
    }

    /// One line: what, why, and what to do.
    public var description: String { remedy.isEmpty ? detail : "\(detail); \(remedy)" }
}
