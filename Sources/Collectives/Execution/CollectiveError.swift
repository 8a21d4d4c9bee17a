public import Fabric

/// Why a collective did not give its result. After the first error the executor starts nothing more: every operation in flight or
/// submitted later ends with the same one.
public struct CollectiveError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Cause: Sendable, Equatable {
        /// The fabric lost the peer, or refused an access.
        case fabric(FabricError.Cause)
        /// The peer runs another operation at the same place of the order.
        case operationsDiffer
        /// A chunk came that the schedule does not have there: a defect or a stale writer.
        case protocolViolation
        /// Nothing moved for as long as the stall limit says.
        case stalled
        /// Somebody else's verdict ended the group.
        case verdict
    }

    public var cause: Cause
    /// The rank at fault, as far as this rank can tell.
    public var peer: Int?
    /// What was going on: `allreduce #12 (sum of 1024 float)`.
    public var operation: String
    public var detail: String
    public var remedy: String

    public init(_ cause: Cause, peer: Int?, operation: String, detail: String, remedy: String = "") {
        self.cause = cause
        self.peer = peer
        self.operation = operation
        self.detail = detail
        self.remedy = remedy
    }

    /// One line: who, during what, why, and what to do.
    public var description: String {
        let who = peer.map { "rank \($0): " } ?? ""
        return "\(who)\(operation): \(detail)\(remedy.isEmpty ? "" : "; \(remedy)")"
    }
}
