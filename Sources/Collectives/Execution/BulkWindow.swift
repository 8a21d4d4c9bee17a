/// What may be on its way of bulk, on one channel to one peer, so that an urgent message never waits behind much of it.
///
/// From a rank's first urgent collective on, its bulk writes go in *windows* of so many bytes (`ExecutorSettings.bulkWindowBytes`), or of one write
/// that is longer. A window opens when every write has completed that was posted before the one before it opened. So at most two are under way, and
/// an urgent message has at most two windows of bulk before it on its channel. The length of a window follows from the link's costs: two keep
/// the wire busy for about a millisecond, which is how late a rank may look at a completion without the wire's standing still. Without windows a ring
/// has all of its chunks under way on each of four lanes: 16 MiB, which at 10 Gbit/s is 13 ms for each message of an urgent operation.
///
/// Nobody waits for ever:
/// 1. A window is closed only by writes that were posted on the same channel and have not completed.
/// 2. Such a write completes by the fabrics alone: there is room for its arrival (`ExecutorSettings.arrivalDepth`), and no rank need begin, read or
///    end anything for it. Or its peer has failed, which ends everything.
/// 3. A completion makes every lane try again that may have a write for that channel (`handleCompletion`).
/// 4. Whether an urgent operation is under way, here or anywhere, makes no difference to 1 to 3: so bulk never waits for an urgent operation.
/// 5. An urgent write waits for no window. Where the queue is full, it waits for completions, of which 2 holds. So an urgent operation never waits for bulk.
struct BulkWindow {
    /// The last ticket before this window.
    private var lastBefore: UInt64
    /// In this window.
    private var byteCount = 0

    /// The first one: all that was posted so far comes before it.
    init(lastPosted: UInt64) { lastBefore = lastPosted }

    /// Counts a write that is about to be posted, into the present window or the next.
    /// - Parameters:
    ///   - posted: the channel's last ticket.
    ///   - completed: the last ticket that has completed.
    /// - Returns: whether it may be posted; nothing is counted where it may not.
    mutating func admits(_ bytes: Int, limit: Int, posted: UInt64, completed: UInt64) -> Bool {
        if byteCount == 0 || bytes == 0 || byteCount + bytes <= limit {
            byteCount += bytes
            return true
        }
        guard completed >= lastBefore else { return false }
        lastBefore = posted
        byteCount = bytes
        return true
    }
}
