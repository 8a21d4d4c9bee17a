/// A promise that was broken, by the fabric's user or by the fabric: found at the event that broke it.
public struct Violation: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable {
        /// A write's bytes were to go to memory that was given back.
        case regionGivenBack
        /// The source of a write changed before its bytes had reached the peer, or, but for a peer's own write, before its completion.
        case sourceChanged
        /// A write fell on bytes of another write whose arrival nobody had taken yet.
        case unreadOverwritten
        /// A write read or wrote memory that its owner had declared to be the trainer's again.
        case trainersMemory
        /// Bytes beside a region were changed.
        case besideRegion
        /// More arrivals on the way or unread than the channel takes.
        case arrivalDepth
        /// A fabric was closed with writes under way.
        case closedTooEarly
        /// Writes arrived doubled, out of order, or not at all.
        case delivery
    }

    public var kind: Kind
    /// Of the world.
    public var rank: Int
    public var atNanoseconds: UInt64
    public var detail: String
    /// The last events before it, one line each.
    public var trace: [String]

    public var description: String { "rank \(rank) at \(atNanoseconds) ns: \(kind.rawValue): \(detail)" }
}
