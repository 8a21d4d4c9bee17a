internal import Reduction

// For whoever drives thousands of nodes in turn on one core: what belongs to each has left the caches when its turn comes again, lies apart, and
// would be fetched one line after the other. Asked for one turn ahead, it is there.
extension StateMachine {
    /// Has the caches fetch what the next event of the latest collective will need.
    // SAFETY: an address is all that is used, and nothing is read through it.
    mutating func prefetch() {
        let lane = Int((nextToStart &- 1) % UInt64(ExecutorSettings.lanes))
        let peers = links.count / (ExecutorSettings.lanes * settings.channelsPerPeer + 2)
        let firstLink = lane * peers * settings.channelsPerPeer
        lanes.prefetch(lane..<lane + 1)
        links.prefetch(firstLink..<firstLink + min(peers * settings.channelsPerPeer, Self.maxPrefetched))
        slots.prefetch()
        posted.prefetch(0..<Self.maxPrefetched)
        completed.prefetch(0..<Self.maxPrefetched)
        outbox.prefetch()
        for buffer in buffers.indices.prefix(Self.maxPrefetched) {
            unsafe buffers[buffer].remotes.withUnsafeBytes { unsafe Kernels.prefetch($0.baseAddress, byteCount: 64) }
        }
        lanes[lane].moves.prefetch(0..<1)
    }

    /// Links, tickets and buffers, at most: of more, one event uses few.
    private static var maxPrefetched: Int { 4 }
}
