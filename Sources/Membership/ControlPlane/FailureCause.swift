/// Why a rank cannot begin or go on: what code switches on. The same on every rank that holds the same verdict.
public enum FailureCause: String, Sendable, Codable, CaseIterable {
    /// A rank's process has ended without taking leave.
    case died
    /// Nothing is heard of a rank, or no way leads to it, for longer than a bound.
    case unreachable
    /// A rank lives, but did not come to a call, or moved nothing, within a bound.
    case stalled
    /// Ranks make different calls, or a rank does not keep to the protocol.
    case disagreed
    /// A rank's program has ended the job.
    case aborted
    /// A rank took leave while others still needed it.
    case left
    /// This rank itself has closed or left what it still asks something of.
    case closed
    /// The environment, an option, an argument or the order of a rank's calls is wrong.
    case configuration
    /// A device, port or driver failed a rank, or its machine has not enough memory, descriptors or permission.
    case resource
}
