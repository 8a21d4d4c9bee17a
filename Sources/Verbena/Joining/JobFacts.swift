internal import Engine
internal import Logging
internal import Membership

/// What every communicator of a job is made from.
struct JobFacts: Sendable {
    /// Of all ranks of the job.
    let introductions: [Introduction]
    let configuration: Configuration
    let listeners: VerdictListeners
    /// Memory outlives communicators.
    let pool: MemoryPool
    let logger: Logger
}

/// This process's place in the job: ended by the communicator of all ranks.
struct JobMembership: Sendable {
    let client: ControlPlaneClient
    let coordinator: Coordinator?
    let pool: MemoryPool
}
