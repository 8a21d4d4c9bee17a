/// Why a fabric could not do what it was asked, or lost a peer.
public struct FabricError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Stable: tests and callers switch on it.
    public enum Cause: String, Sendable {
        /// The peer's process ended without taking leave.
        case peerDied
        /// The peer's machine, or the way to it, no longer answers within the retry bound.
        case peerUnreachable
        /// The peer took leave in order, and something was still asked of it.
        case peerClosed
        /// The peer is not who it should be: other job, rank, version or key.
        case wrongPeer
        /// Offset and length leave the region.
        case outOfBounds
        /// More writes in flight than `writeDepth`.
        case queueFull
        /// A deadline passed.
        case timedOut
        /// The device, driver or port failed.
        case deviceFailed
        /// Nothing on this machine can carry this fabric.
        case noDevice
        /// The operating system refused memory, descriptors or permission.
        case resource
    }

    /// What was being done.
    public enum Operation: String, Sendable {
        case open, connect, allocate, attach, write, receive, close
    }

    /// The rank at fault: nil where it is this rank itself, whose device or resources fail it whoever is at the other end.
    public var rankAtFault: Int? {
        switch cause {
        case .deviceFailed, .noDevice, .resource, .outOfBounds, .queueFull: nil
        case .peerDied, .peerUnreachable, .peerClosed, .wrongPeer, .timedOut: peer
        }
    }

    public var cause: Cause
    public var operation: Operation
    /// The rank on the other side, where there is one.
    public var peer: Int?
    /// The facts: which call, which errno, which completion status, which bound.
    public var detail: String
    /// What the reader can do about it; empty where only the peer's own log can tell.
    public var remedy: String

    public init(_ cause: Cause, during operation: Operation, peer: Int? = nil, detail: String, remedy: String = "") {
        self.cause = cause
        self.operation = operation
        self.peer = peer
        self.detail = detail
        self.remedy = remedy
    }

    /// One line: who, what, why, and what to do.
    public var description: String {
        let who = peer.map { "rank \($0): " } ?? ""
        let advice = remedy.isEmpty ? "" : "; \(remedy)"
        return "\(who)\(operation.rawValue) failed: \(detail)\(advice)"
    }
}
