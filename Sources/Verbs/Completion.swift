/// The end of one work request.
public struct Completion: Sendable {
    /// What it was, for those that ended well.
    public enum Kind: Sendable { case sent, receivedWrite, receivedMessage, other }

    /// The identifier that was posted with the work request.
    public var identifier: UInt64
    public var status: CompletionStatus
    public var kind: Kind
    /// In host order; 0 unless something was received.
    public var immediate: UInt32
}
