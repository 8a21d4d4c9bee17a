import Fabric
import SimulatedFabric
import Testing

/// The simulated fabric under the same promises as the others, with threads for ranks; in its plain form and with all its freedoms taken.
@Suite struct SimulatedConformance {
    static func network(worldSize: Int, channels: Int, isUnruly: Bool, key: UInt64 = 1) -> SimulatedNetwork {
        var options = SimulationOptions(seed: 7, worldSize: worldSize)
        options.channelsPerPeer = channels
        options.arrivalDepth = 4096
        options.writeDepth = 64
        options.jobKey = key
        // The suite writes over what nobody has read, which fabrics must allow.
        options.isStrict = false
        if isUnruly {
            options.holdsWrites = true
            options.wire.jitterNanoseconds = 50_000
            options.arrivalDelayNanoseconds = 20_000
            options.completionDelayNanoseconds = 100_000
            options.receiverNotReadyPerMille = 100
            options.ranksPerNode = 2
            options.memory.jitterNanoseconds = 20_000
        }
        return SimulatedNetwork(options, driving: .threaded)
    }

    /// Channels, and whether it takes all its freedoms.
    static let kinds = [(1, false), (3, false), (1, true), (3, true)]

    @Test(arguments: Promise.allCases, kinds)
    func keeps(promise: Promise, kind: (channels: Int, isUnruly: Bool)) throws {
        let (channels, isUnruly) = kind
        let network = Self.network(worldSize: promise.check.worldSize, channels: channels, isUnruly: isUnruly)
        try promise.isKept { rank, _ in try SimulatedFabric(network, rank: rank) }
        #expect(network.violation == nil, "\(network.violation?.trace.suffix(20).joined(separator: "\n") ?? "")")
    }

    @Test func refusesAnotherJob() {
        let networks = (0..<2).map { Self.network(worldSize: 2, channels: 1, isUnruly: false, key: UInt64($0)) }
        #expect {
            try World.run(size: 2, make: { try SimulatedFabric(networks[$0], rank: $0) }, check: WaitCheck())
        } throws: {
            ($0 as? FabricError)?.cause == .wrongPeer
        }
    }
}
