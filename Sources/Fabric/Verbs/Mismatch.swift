/// One thing on which the two ends of a connection do not agree. Key bytes are never shown.
struct Mismatch: Error, Equatable, CustomStringConvertible {
    var field: Greeting.Field
    var ours: String
    var theirs: String

    var description: String { "\(field.name) differs: ours \(ours), theirs \(theirs)" }

    /// Whether the other end has proved to be of this job and this epoch, so that waiting for somebody better is no use. What has not is
    /// a stranger, or a left-over of an earlier epoch: it is refused and the job goes on.
    var isOfThisJob: Bool {
        switch field {
        case .protocolMagic, .protocolVersion, .jobKey, .epoch, .initiatorRank: false
        case .worldSize, .channelsPerPeer, .arrivalDepth, .responderRank, .channelIndex: true
        }
    }
}
