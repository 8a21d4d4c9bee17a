extension StateMachine {
    var submitted: Submitted {
        var submitted = Submitted()
        for stream in Stream.allCases { submitted[stream] = begun(stream) }
        for (position, peer) in peers.enumerated() {
            let lane = ExecutorSettings.collectiveLanes + 2 * position
            let count = Submitted.Transfers(sent: submittedTransfers(lane), received: submittedTransfers(lane + 1))
            if count.sent + count.received > 0 { submitted.transfers[peer] = count }
        }
        return submitted
    }

    /// How many collectives of the stream were submitted.
    func begun(_ stream: Stream) -> UInt64 {
        let order = Int(stream.rawValue)
        return orders[order].nextToStart + UInt64(orders[order].pending.count)
    }

    private func submittedTransfers(_ lane: Int) -> UInt64 {
        let waiting = pendingTransfers.count { transferLane(of: $0.operation) == lane }
        return lanes[lane].sequence + (lanes[lane].phase.isActive ? 1 : 0) + UInt64(waiting)
    }

    /// Ends, as failed, the transfers whose other end no rank has begun, and none will. Nothing of theirs has moved.
    /// - Parameter submitted: of every rank, by rank.
    mutating func endUnmatched(_ submitted: [Submitted]) {
        for (position, peer) in peers.enumerated() {
            let theirs = submitted[peer].transfers[rank]
            let lane = ExecutorSettings.collectiveLanes + 2 * position
            endTransfers(lane, from: theirs?.received ?? 0)
            endTransfers(lane + 1, from: theirs?.sent ?? 0)
        }
    }

    private mutating func endTransfers(_ lane: Int, from first: UInt64) {
        var number = lanes[lane].sequence
        if lanes[lane].phase.isActive {
            if number >= first {
                end(lane, isFailed: true)
                lanes[lane].phase = .idle
            }
            number += 1
        }
        var index = 0
        while index < pendingTransfers.count {
            guard transferLane(of: pendingTransfers[index].operation) == lane else {
                index += 1
                continue
            }
            if number >= first {
                failUnbegun(pendingTransfers.remove(at: index))
            } else {
                index += 1
            }
            number += 1
        }
    }
}
