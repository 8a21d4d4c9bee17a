package import Collectives
package import Fabric
package import Gradients
public import Membership

/// Why a rank cannot begin, or cannot go on. One line says who, during what, why, and what to do.
public struct VerbenaError: Error, Sendable, Equatable, CustomStringConvertible {
    public typealias Cause = FailureCause

    /// Stable: callers switch on it.
    public var cause: Cause
    /// The rank at fault, where there is one, by its number in the job.
    public var rank: Int?
    public var message: String
    /// Whether every rank knows of it: the job's verdict, or what all have found alike. Any other error is this rank's own, and the others wait for it
    /// until it comes, leaves or calls `abort`.
    public package(set) var isKnownToAll = false
    /// The rank at fault by its number in the fabric's group, where the fabric has named it.
    private var fabricPeer: Int?

    public init(_ cause: Cause, rank: Int? = nil, _ message: String) {
        self.cause = cause
        self.rank = rank
        self.message = message
    }

    /// What all ranks find alike, by what they have told each other.
    package init(knownToAll cause: Cause, rank: Int, _ message: String) {
        self.init(cause, rank: rank, message)
        isKnownToAll = true
    }

    public var description: String { message }

    /// Of every call on a communicator that was closed.
    package static var communicatorClosed: VerbenaError { VerbenaError(.closed, "the communicator was closed") }

    package static var tooManyUnderWay: VerbenaError {
        VerbenaError(
            .configuration,
            "more than \(OperationSlots.count) operations are under way; wait for some and call again, or use larger buckets")
    }

    package init(_ error: RendezvousError) {
        self.init(error.cause, rank: error.verdict?.rank, error.description)
        isKnownToAll = error.verdict != nil
    }

    package init(_ error: FabricError) {
        self.init(FailureCause(error.cause), rank: error.rankAtFault, error.description)
        fabricPeer = error.rankAtFault
    }

    package init(_ error: GradientError) { self.init(.configuration, error.description) }

    /// A verdict as this rank met it: during its own operation.
    package init(_ verdict: Verdict, during operation: String) {
        let advice = verdict.remedy.isEmpty ? "" : "; \(verdict.remedy)"
        self.init(knownToAll: verdict.cause, rank: verdict.rank, "\(verdict.culprit): \(operation): \(verdict.detail)\(advice)")
    }

    /// What this rank says of its own failure in a collective call, once all ranks have been told of it: its own error where it is at fault
    /// itself, the verdict that all agreed on where a peer is. Errors that all ranks know already stay as they are. Bounded.
    ///
    /// A fabric's error names the peer by its number in `group`; what comes out of here names it by the job's.
    package func agreed(with group: RankGroup, during operation: String) -> VerbenaError {
        guard !isKnownToAll, cause != .closed else { return self }
        let operation = group.naming(operation)
        let own = group.jobRanks[group.rank]
        let culprit = fabricPeer.map { group.jobRanks[$0] } ?? rank ?? own
        let verdict = Verdict(rank: culprit, cause: cause, message, during: operation)
        // That a process has ended is only concluded from its connections.
        let agreed = group.agree(on: verdict, isConclusion: cause == .died)
        guard culprit == own else { return VerbenaError(agreed, during: operation) }
        return VerbenaError(knownToAll: cause, rank: own, message)
    }
}

extension FailureCause {
    package init(_ cause: FabricError.Cause) {
        self =
            switch cause {
            case .peerDied: .died
            case .peerUnreachable, .timedOut: .unreachable
            case .peerClosed: .left
            case .wrongPeer: .disagreed
            case .outOfBounds: .configuration
            case .queueFull, .deviceFailed, .noDevice, .resource: .resource
            }
    }

    /// Of a failure that this rank saw. A verdict has a cause already.
    package init(_ cause: CollectiveError.Cause) {
        self =
            switch cause {
            case .fabric(let cause): FailureCause(cause)
            case .operationsDiffer, .protocolViolation: .disagreed
            case .stalled: .stalled
            case .verdict: .aborted
            }
    }
}

extension RankGroup {
    package func naming(_ operation: String) -> String { isWholeJob ? operation : "\(operation) in \(self)" }
}

/// An error of a layer below, as the public face says it.
package protocol LayerError: Error {
    var asVerbenaError: VerbenaError { get }
}

extension RendezvousError: LayerError {
    package var asVerbenaError: VerbenaError { VerbenaError(self) }
}

extension FabricError: LayerError {
    package var asVerbenaError: VerbenaError { VerbenaError(self) }
}

extension GradientError: LayerError {
    package var asVerbenaError: VerbenaError { VerbenaError(self) }
}

/// Runs calls of a layer below and wraps what they throw.
package func wrapping<R: ~Copyable, E: LayerError>(_ body: () throws(E) -> R) throws(VerbenaError) -> R {
    do throws(E) { return try body() } catch { throw error.asVerbenaError }
}
