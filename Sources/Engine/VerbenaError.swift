package import Fabric
package import Gradients
package import Membership

/// Why a rank cannot begin, or cannot go on. One line says who, during what, why, and what to do.
public struct VerbenaError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Stable: callers switch on it.
    public enum Cause: String, Sendable {
        /// The environment, an option or an argument is wrong; nothing has begun.
        case configuration
        /// The ranks could not find each other, or left.
        case rendezvous
        /// The fabric could not be opened or refused a resource.
        case fabric
        /// A rank is lost, or the ranks disagree: the job is over for all, with the same verdict.
        case verdict
        /// The trainer broke the rules of a step.
        case gradients
        /// The communicator was closed before.
        case closed
    }

    public var cause: Cause
    /// The rank at fault, where there is one, by its number in the job.
    public var rank: Int?
    public var message: String
    /// That the rank's process has ended is only concluded from its connections; see `Rendezvous.agree`.
    private var isConclusion = false

    public init(_ cause: Cause, rank: Int? = nil, _ message: String) {
        self.cause = cause
        self.rank = rank
        self.message = message
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
        switch error.cause {
        case .environment, .addressInUse, .cannotListen: self.init(.configuration, error.description)
        case .verdict: self.init(.verdict, rank: error.verdict?.rank, error.description)
        case .closed: self.init(.closed, error.description)
        default: self.init(.rendezvous, rank: error.verdict?.rank, error.description)
        }
    }

    package init(_ error: FabricError) {
        self.init(.fabric, rank: error.rankAtFault, error.description)
        isConclusion = error.cause == .peerDied
    }

    package init(_ error: GradientError) { self.init(.gradients, error.description) }

    /// A verdict as this rank met it: during its own operation.
    package init(_ verdict: Verdict, during operation: String) {
        let advice = verdict.remedy.isEmpty ? "" : "; \(verdict.remedy)"
        self.init(.verdict, rank: verdict.rank, "\(verdict.culprit): \(operation): \(verdict.cause)\(advice)")
    }
}

extension VerbenaError {
    /// What this rank says of its own failure in a collective call, once all ranks have been told of it: its own error where it is at fault
    /// itself, the verdict that all agreed on where a peer is. Errors that all ranks know already stay as they are. Bounded.
    ///
    /// A fabric's error names the peer by its number in `group`; what comes out of here names it by the job's.
    package func agreed(with group: RankGroup, during operation: String) -> VerbenaError {
        guard cause == .fabric || cause == .configuration else { return self }
        let operation = group.naming(operation)
        guard let peer = rank, cause == .fabric else {
            group.abort(reason: message, operation: operation)
            return self
        }
        let own = Verdict(rank: group.jobRanks[peer], cause: message, operation: operation, remedy: "")
        return VerbenaError(group.agree(on: own, isConclusion: isConclusion), during: operation)
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
