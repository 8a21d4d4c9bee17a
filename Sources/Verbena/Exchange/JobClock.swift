internal import CPlatform
internal import Engine

/// This rank's clock beside that of rank 0, in nanoseconds.
///
/// Ranks of one machine share a clock. From another machine it is measured by round trips, once: the time in the middle of the fastest of them is taken for that
/// of the answer, so it is wrong by half of that round trip at most. What clocks drift apart later is not followed.
package struct JobClock: Sendable {
    private static let roundTrips = 16

    /// What is added to a time of this rank's to have that of rank 0.
    package private(set) var offset: Int64 = 0
    /// By how much that may be wrong.
    package private(set) var bound: UInt64 = 0

    /// Collective.
    init(_ communicator: Communicator, _ word: Buffer<UInt64>) throws(VerbenaError) {
        try self.init(communicator, word, machines: communicator.group.jobRanks.map { communicator.job.introductions[$0].host.boot })
    }

    /// - Parameters:
    ///   - word: at least one, for messages.
    ///   - machines: by rank, the same text for those that share a clock.
    package init(_ communicator: Communicator, _ word: Buffer<UInt64>, machines: [String]) throws(VerbenaError) {
        let others = machines.indices.filter { machines[$0] != machines[0] }
        if communicator.rank == 0 {
            for rank in others { for _ in 0..<Self.roundTrips { try answer(communicator, word, rank) } }
        } else if others.contains(communicator.rank) {
            try measure(communicator, word)
        }
    }

    private func answer(_ communicator: Communicator, _ word: Buffer<UInt64>, _ rank: Int) throws(VerbenaError) {
        try communicator.receive(word, count: 1, from: rank)
        word.withMutableElements { $0[0] = platform_now() }
        try communicator.send(word, count: 1, to: rank)
    }

    private mutating func measure(_ communicator: Communicator, _ word: Buffer<UInt64>) throws(VerbenaError) {
        bound = .max
        for _ in 0..<Self.roundTrips {
            let start = platform_now()
            try communicator.send(word, count: 1, to: 0)
            try communicator.receive(word, count: 1, from: 0)
            let half = (platform_now() - start) / 2
            guard half < bound else { continue }
            bound = half
            offset = word.withElements { Int64($0[0]) } - Int64(start + half)
        }
    }

    func ofJob(_ own: UInt64) -> UInt64 { UInt64(max(0, Int64(own) + offset)) }

    func own(_ ofJob: UInt64) -> UInt64 { UInt64(max(0, Int64(ofJob) - offset)) }
}
