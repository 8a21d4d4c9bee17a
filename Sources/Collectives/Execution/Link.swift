/// What has passed between this rank and one peer on one lane.
///
/// The counts belong to operation `sequence`. The peer may have begun a later one that concerns both: it cannot finish that without us, so
/// there is at most one, and its messages are counted apart until the lane comes to it.
struct Link {
    var sequence: UInt64 = .max
    /// Messages that arrived, and how many of them were consumed.
    var arrived: UInt32 = 0
    var consumed: UInt32 = 0
    var sent: UInt32 = 0
    /// What the peer's first message said that it is doing.
    var signature: UInt32 = 0
    var earlyOperation: UInt32 = 0
    var earlyArrived: UInt32 = 0
    var earlySignature: UInt32 = 0
    /// The last write's ticket: above the channel's last completed one as long as its completion is still to come.
    var lastTicket: UInt64 = 0

    /// Brings the counts to the lane's operation; what came early for it is then of the present.
    mutating func turn(to operation: UInt64) {
        sequence = operation
        (arrived, consumed, sent) = (0, 0, 0)
        guard earlyArrived > 0, UInt64(earlyOperation) == operation % Immediate.operations else { return }
        (arrived, signature, earlyArrived) = (earlyArrived, earlySignature, 0)
    }
}
