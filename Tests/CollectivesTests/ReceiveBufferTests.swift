import Testing

@testable import Collectives

@Suite struct ReceiveBufferTests {
    /// "Give so much or more" is the remedy where a limit is too small: so a world that fits one limit fits every larger one, powers of two too.
    @Test(arguments: [Topology.apart(worldSize:), Topology.oneNode(worldSize:)] as [@Sendable (Int) -> Topology])
    func whatFitsALimitFitsALargerOne(topology: @Sendable (Int) -> Topology) {
        let limits = ((9...27).flatMap { [1 << $0, 3 << ($0 - 1), (1 << $0) + 1_001] }).sorted()
        for ranks in Array(1...40) + [64, 300, 2_048] {
            var hasFitted = false
            for limit in limits {
                let needed = ExecutorSettings(topology: topology(ranks), receiveBufferByteLimit: limit).receiveBufferByteCount
                #expect(needed <= limit || !hasFitted, "\(ranks) ranks take \(needed) bytes of \(limit)")
                hasFitted = hasFitted || needed <= limit
            }
            #expect(hasFitted)
        }
    }
}
