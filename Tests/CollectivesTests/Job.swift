import Fabric
import Reduction

@testable import Collectives

/// Ranks of one process on a `Network`; noncopyable executors live in boxes.
// SAFETY (whole file): regions belong to the network, which the job holds; all on one thread.
final class Job {
    final class Rank {
        var executor: Executor<ScrambledFabric>
        var regions: [Region] = []
        var finished: [Finished] = []

        init(_ executor: consuming Executor<ScrambledFabric>) { self.executor = executor }
    }

    let network: Network
    let ranks: [Rank]
    /// By number, the receive buffers first.
    private(set) var buffers: [SharedBuffer] = []
    /// Whether a rank whose operations have all ended lets its fabric alone.
    var restsWhenDone = false
    /// Called for each operation at the moment when its rank reports it.
    var onFinish: (Int, Finished) -> Void = { _, _ in }

    init(_ settings: ExecutorSettings, seed: UInt64 = 1, bufferBytes: [Int], completesAtOnce: Bool = false) throws {
        let topology = settings.topology
        let network = Network(topology: topology, channels: settings.channelsPerPeer, seed: seed, completesAtOnce: completesAtOnce)
        self.network = network
        ranks = try (0..<topology.worldSize).map {
            Rank(try Executor(fabric: ScrambledFabric(network: network, rank: $0, depth: settings.arrivalDepth), settings: settings))
        }
        try attach(.receiveBuffers)
        for rank in ranks { rank.regions.append(rank.executor.node.buffers[0].region) }
        for byteCount in bufferBytes {
            let added = try ranks.map { try $0.executor.addBuffer(byteCount: byteCount) }
            for (rank, buffer) in zip(ranks, added) { rank.regions.append(buffer.1) }
            try attach(added[0].0)
        }
    }

    private func attach(_ buffer: SharedBuffer) throws {
        buffers.append(buffer)
        let descriptors = ranks.map { $0.executor.descriptor(of: buffer) }
        for rank in ranks { try rank.executor.attach(buffer, descriptors: descriptors) }
    }

    /// Lets one thing happen, which the seed decides. False where nothing has.
    func step() -> Bool {
        var moved = network.step()
        for (index, rank) in ranks.enumerated() where !moved || network.random.oneIn(2) {
            if restsWhenDone, !rank.executor.hasWork { continue }
            moved = rank.executor.progress() || moved
            while let finished = rank.executor.takeFinished() {
                rank.finished.append(finished)
                onFinish(index, finished)
            }
        }
        return moved
    }

    /// Until nothing moves any more.
    func run() {
        while step() || network.events.contains(where: { !$0.isEmpty }) || network.step() {}
    }

    /// What a rank has at a place.
    func bytes(_ rank: Int, _ place: Place, count: Int) -> UnsafeMutableRawBufferPointer {
        let region = ranks[rank].regions[place.buffer.index]
        invariant(place.byteOffset + count <= region.byteCount, "the bytes lie in the buffer")
        return unsafe UnsafeMutableRawBufferPointer(start: region.base + place.byteOffset, count: count)
    }

    func floats(_ rank: Int, _ buffer: Int) -> UnsafeMutableBufferPointer<Float> {
        let region = ranks[rank].regions[buffer]
        return unsafe UnsafeMutableBufferPointer(start: region.base.assumingMemoryBound(to: Float.self), count: region.byteCount / 4)
    }
}
