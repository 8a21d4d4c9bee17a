/// The collectives of one stream on this rank, in their order: how many have begun, and which wait for a lane.
struct StreamOrder {
    /// The stream's lanes follow from here, and are taken in turn; one less than they are, which is a power of two.
    let firstLane: Int
    let laneMask: UInt64
    /// Place of the next collective that starts.
    var nextToStart: UInt64 = 0
    /// Submitted, and not on a lane.
    var pending = Queue<Waiting>()

    init(_ stream: Stream) {
        firstLane = stream.firstLane
        laneMask = UInt64(stream.lanes - 1)
    }
}

extension StreamOrder {
    /// One for each stream, at the stream's number.
    static func all() -> FixedArray<StreamOrder> { FixedArray(Stream.allCases.map { StreamOrder($0) }) }
}

extension Stream {
    /// Collectives of the stream that run at once: a power of two, and no more than `Immediate.operations`.
    var lanes: Int {
        switch self {
        case .bulk: ExecutorSettings.lanes
        case .urgent: ExecutorSettings.urgentLanes
        }
    }

    /// The stream's lanes among all.
    var firstLane: Int {
        switch self {
        case .bulk: 0
        case .urgent: ExecutorSettings.lanes
        }
    }
}
