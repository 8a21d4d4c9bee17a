/// The sizes that follow from the configuration. Each is a sum that says what it makes room for.
struct QueueSizes: Equatable {
    /// Most writes of a chain: what is worth a call of its own.
    static let longestChain = 16

    /// Arrivals read by the owner whose receives are posted again together: a quarter of the depth, 1 at least and 64 at most.
    let replenishBatch: Int
    /// Receives posted on one channel: every arrival that may be on its way or unread, those read and not yet posted again,
    /// and the peer's goodbye. So a peer that keeps to `arrivalDepth` never finds the receiver not ready.
    let receives: Int
    /// Sends on one channel: every write in flight, and our goodbye.
    let sends: Int
    /// Writes that go to the device together, of which the last is signalled. No more than a quarter of the depth: room comes back in
    /// quarters at the latest, and a queue that is shallower than the interval of its signals can never be waited for.
    let chain: Int

    init(arrivalDepth: Int, writeDepth: Int) {
        replenishBatch = min(max(arrivalDepth / 4, 1), 64)
        receives = arrivalDepth + replenishBatch + 1
        sends = writeDepth + 1
        chain = min(max(writeDepth / 4, 1), Self.longestChain)
    }

    /// Completions of one channel that may be unread at once. Every request may end in one: those that succeed unsignalled do not, but
    /// each write may be the last of its chain, and when the connection ends all that is posted is flushed, signalled or not.
    var completions: Int { receives + sends }

    /// How channels are spread over completion queues of the device, which each take `limit` completions.
    /// - Returns: channels on each queue and the number of queues, nil where not even one channel fits.
    func spread(channels: Int, limit: Int) -> (perQueue: Int, queues: Int)? {
        let most = limit / completions
        guard most > 0, channels > 0 else { return nil }
        let queues = (channels + most - 1) / most
        return ((channels + queues - 1) / queues, queues)
    }
}
