/// One rank's books of an emulated link: when its writes have left and are acknowledged, and when those of its peers are there.
///
/// - The sender sends one write after the other, whatever the channel, each for as long as its bytes take. The first byte is at the peer after the
///   latency.
/// - The receiver takes one write after the other, in the order in which their first bytes come, each for as long as its bytes take: several
///   senders share it. The arrival is there with the last byte.
/// - The write completes when the sender knows that, as a reliable queue pair's does: when its bytes have left and the latency has passed twice. (A
///   write that waits at a shared receiver completes earlier than on a device: the sender does not know of the others.)
///
/// The sender writes the time of the first byte into the arrival, and the receiver reckons the rest when it looks. So the two share the machine's
/// clock and nothing else, and no thread stands between them. The receiver's order is right: a write that it cannot see yet was posted later than
/// now, so its first byte comes later than those that have come. (Where copying the bytes takes longer than the latency, two writes may change places,
/// and the bandwidth is still kept.)
struct LinkBooks {
    /// A sleeper is given a core so long after its timer. What is due earlier than that is waited for without sleep.
    static let wakeNanoseconds: UInt64 = 15_000
    /// The same where ranks outnumber cores: to look would keep the core from the rank whose message is awaited.
    static let crowdedWakeNanoseconds: UInt64 = 4_000
    /// Of a sleeper that gathers events: from the end of one sleep to that of the next, at least, if nobody waits; and how long before its link is idle it wakes.
    static let moderationNanoseconds: UInt64 = 50_000
    /// How late it takes an event, at most, while its own bytes keep the link busy.
    static let patienceNanoseconds: UInt64 = 500_000

    private let nanosecondsPerByte: Double
    private let latency: UInt64
    /// When the sender has sent all that was posted, and the receiver received all that was taken.
    private var senderFree: UInt64 = 0
    private var receiverFree: UInt64 = 0
    /// Writes under way, a ring: they complete in the order in which they were posted.
    private var underWay: [Posted]
    private var first = 0
    private var count = 0

    private struct Posted {
        var completesAt: UInt64
        var row: Int
    }

    /// - Parameter maxWrites: that may be under way on all channels.
    init(_ link: EmulatedLink?, maxWrites: Int) {
        nanosecondsPerByte = link.map { 8e9 / Double($0.bitsPerSecond) } ?? 0
        latency = link?.latencyNanoseconds ?? 0
        underWay = Array(repeating: Posted(completesAt: 0, row: 0), count: link == nil ? 0 : maxWrites)
    }

    // MARK: sending

    /// When the first byte of a write that is posted now would be at the peer.
    func nextFirstByte(at now: UInt64) -> UInt64 { max(now, senderFree) + latency }

    /// Posts a write; no more than `maxWrites` are under way.
    /// - Returns: when the first byte is at the peer, and how long all bytes take.
    mutating func post(byteCount: Int, row: Int, at now: UInt64) -> (firstByteAt: UInt64, duration: UInt64) {
        let firstByte = nextFirstByte(at: now)
        let duration = UInt64((Double(byteCount) * nanosecondsPerByte).rounded())
        senderFree = max(now, senderFree) + duration
        underWay[(first + count) % underWay.count] = Posted(completesAt: senderFree + 2 * latency, row: row)
        count += 1
        return (firstByte, duration)
    }

    /// When the next write completes; `.max` where none is under way.
    var nextCompletion: UInt64 { count == 0 ? .max : underWay[first].completesAt }

    /// The row of a write that has completed.
    mutating func takeCompletion(at now: UInt64) -> Int? {
        guard nextCompletion <= now else { return nil }
        defer {
            first = (first + 1) % underWay.count
            count -= 1
        }
        return underWay[first].row
    }

    // MARK: sleeping

    /// When a sleeper that gathers events wakes, the first of which is due at `next`. What it would write in answer has to wait until all that it has posted before
    /// has left: so as long as that is under way, an answer is early enough just before the end of it.
    /// - Parameter last: when its last sleep ended; 0 where the next may end at any time.
    func gatheringEnd(next: UInt64, last: UInt64) -> UInt64 {
        guard next < .max else { return next }
        let left = senderFree - min(senderFree, Self.moderationNanoseconds)
        return max(next, min(left, next + Self.patienceNanoseconds), last + Self.moderationNanoseconds)
    }

    // MARK: receiving

    /// When a write is there whose first byte comes before those of all others that were not taken.
    func arrival(firstByteAt: UInt64, duration: UInt64) -> UInt64 { max(firstByteAt, receiverFree) &+ duration }

    mutating func take(arrivedAt: UInt64) { receiverFree = arrivedAt }
}
