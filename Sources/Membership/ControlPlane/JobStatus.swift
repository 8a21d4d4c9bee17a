/// What has become of the job, as one rank knows it. It changes once: whatever ends the job first stays.
public enum JobStatus: Sendable, Equatable {
    case running
    /// The job is over for all ranks, which hold the same verdict.
    case failed(Verdict)
    /// This rank has taken leave.
    case closed
}
