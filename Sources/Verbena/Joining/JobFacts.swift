internal import Engine
internal import Logging
internal import Membership

/// What every communicator of a job is made from.
struct JobFacts: Sendable {
    /// Of all ranks of the job.
    let introductions: [Introduction]
    let configuration: Configuration
    let verdicts: VerdictBox
    /// Memory outlives communicators.
    let pool: MemoryPool
    let logger: Logger
}

/// This process's place in the job: ended by the communicator of all ranks.
struct JobMembership: Sendable {
    let rendezvous: Rendezvous
    let coordinator: Coordinator?
    let pool: MemoryPool
}
