import Reduction

@testable import Collectives

extension Topology {
    /// Every grouping that schedules are tried on, for one number of ranks.
    static func all(worldSize: Int) -> [Topology] {
        let nested: [[Int]] =
            switch worldSize {
            case 3: [[0, 0, 1]]
            case 4: [[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]]
            case 5: [[0, 1, 1, 0, 0]]
            case 6: [[0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]]
            case 7: [[0, 0, 1, 1, 2, 2, 3], [0, 0, 0, 0, 1, 1, 1], [0, 1, 2, 2, 1, 0, 0]]
            case 8: [[0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1, 2, 2]]
            case 9: [[0, 0, 0, 1, 1, 1, 2, 2, 2], [0, 1, 2, 2, 1, 0, 0, 1, 2], [0, 1, 0, 0, 1, 0, 1, 2, 2]]
            default: []
            }
        let simple = worldSize == 1 ? [Topology.apart(worldSize: 1)] : [.apart(worldSize: worldSize), .oneNode(worldSize: worldSize)]
        return simple + nested.map { Topology(nodeOfRank: $0) }
    }
}

extension Collective {
    /// All but transfers, with every root.
    static func all(worldSize: Int) -> [Collective] {
        [.allReduce, .reduceScatter, .allGather, .allToAll, .barrier]
            + (0..<worldSize).flatMap { [.broadcast(root: $0), .reduce(root: $0), .gather(root: $0), .scatter(root: $0)] }
    }
}

extension ExecutorSettings {
    /// Small chunks, so that small buffers already need several rounds.
    static func small(_ topology: Topology, chunkBytes: Int, chunks: Int, eagerBytes: Int = 4096, channels: Int = 1) -> ExecutorSettings {
        var settings = ExecutorSettings(topology: topology, channelsPerPeer: channels)
        settings.chunkBytes = chunkBytes
        settings.chunks = chunks
        settings.eagerBytes = eagerBytes
        return settings
    }
}

/// How an element index, a seed or a case's number becomes something that looks random.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func oneIn(_ chance: Int) -> Bool { below(chance) == 0 }
}
