/// An order of collectives: the ranks' collectives are matched by their order inside a stream, and a stream never waits for another.
///
/// So ranks may submit the collectives of one stream before or after those of another, each rank as it likes, but those of one stream alike.
/// Transfers between two ranks have an order of their own, whatever their stream.
public enum Stream: UInt8, Sendable, CaseIterable {
    /// What there is no hurry about.
    case bulk
    /// Overtakes bulk.
    case urgent
}

extension Stream: CustomStringConvertible {
    public var description: String {
        switch self {
        case .bulk: "bulk"
        case .urgent: "urgent"
        }
    }
}
