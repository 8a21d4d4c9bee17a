import Fabric
import Reduction
import Testing

@testable import Collectives

/// Ranks of one process on a `ScrambledFabric`; noncopyable executors live in boxes.
// SAFETY (whole file): regions belong to the network, which the job holds; all on one thread.
final class Job {
    final class Rank {
        var executor: Executor<ScrambledFabric>
        var regions: [Region] = []
        /// The landing memory first.
        var buffers = [Executor<ScrambledFabric>.landing]
        var finished: [Finished] = []

        init(_ executor: consuming Executor<ScrambledFabric>) { self.executor = executor }
    }

    let network: Network
    let ranks: [Rank]

    init(worldSize: Int, seed: UInt64, settings: ExecutorSettings, bufferBytes: [Int]) throws {
        let network = Network(worldSize: worldSize, seed: seed)
        self.network = network
        ranks = try (0..<worldSize).map {
            let fabric = ScrambledFabric(
                network: network, rank: $0, worldSize: worldSize, channelsPerPeer: settings.channelsPerPeer, depth: settings.arrivalDepth)
            return Rank(try Executor(fabric: fabric, settings: settings))
        }
        try attach(Executor<ScrambledFabric>.landing)
        for rank in ranks { rank.regions.append(rank.executor.buffers[0].region) }
        for byteCount in bufferBytes {
            for rank in ranks {
                let (buffer, region) = try rank.executor.addBuffer(byteCount: byteCount)
                rank.regions.append(region)
                rank.buffers.append(buffer)
            }
            try attach(ranks[0].buffers.last!)
        }
    }

    private func attach(_ buffer: SharedBuffer) throws {
        let descriptors = ranks.map { $0.executor.descriptor(of: buffer) }
        for rank in ranks { try rank.executor.attach(buffer, descriptors: descriptors) }
    }

    /// Runs until nothing moves any more, in an order that the seed decides.
    func run() {
        while true {
            var moved = network.step()
            for rank in ranks where network.random.next() % 3 > 0 || !moved {
                moved = rank.executor.progress() || moved
                rank.executor.takeFinished { rank.finished.append($0) }
            }
            if !moved, !network.step() { return }
        }
    }

    func floats(_ rank: Int, buffer: Int) -> UnsafeMutableBufferPointer<Float> {
        let region = ranks[rank].regions[buffer]
        return unsafe UnsafeMutableBufferPointer(
            start: region.base.assumingMemoryBound(to: Float.self), count: region.byteCount / 4)
    }
}

@Suite struct ExecutorTests {
    /// Small pieces, so that small buffers already need several rounds.
    static func settings(_ worldSize: Int, channels: Int = 1) -> ExecutorSettings {
        var settings = ExecutorSettings(worldSize: worldSize, channelsPerPeer: channels)
        settings.pieces = 3
        settings.pieceBytes = 64
        return settings
    }

    static func input(_ rank: Int, _ index: Int) -> Float { Float(rank * 31 + 7) * 0.1 + Float(index) * 1.3 - 20 }

    /// Segment j is summed in the order j, j+1, ... around the ring: the oracle has the same bits.
    static func expected(_ index: Int, count: Int, worldSize: Int, average: Bool) -> Float {
        let ring = RingAllreduce(
            rank: 0, worldSize: worldSize, elementCount: count, maximumPieceElements: 1, minimumPieceElements: 1, maximumPieces: 1)
        let first = (0..<worldSize).first { ring.segment($0).contains(index) }!
        let sum = (1..<worldSize).reduce(input(first, index)) { $0 + input((first + $1) % worldSize, index) }
        return average ? sum / Float(worldSize) : sum
    }

    @Test(arguments: 1...9, [1, 2])
    func sumsToTheBit(worldSize: Int, channels: Int) throws {
        for (seed, count) in [0, 1, 2, 5, worldSize, 47, 48, 49, 500, 1031].enumerated() {
            for operation in ReductionOperation.allCases {
                let job = try Job(
                    worldSize: worldSize, seed: UInt64(seed), settings: Self.settings(worldSize, channels: channels),
                    bufferBytes: [max(4, count * 4)])
                for rank in 0..<worldSize {
                    for index in 0..<count { unsafe job.floats(rank, buffer: 1)[index] = Self.input(rank, index) }
                    let request = Allreduce(buffer: job.ranks[rank].buffers[1], count: count, type: .float32, operation: operation)
                    #expect(try job.ranks[rank].executor.submit(request) == 0)
                }
                job.run()
                for rank in 0..<worldSize {
                    #expect(job.ranks[rank].finished.count == 1 && job.ranks[rank].finished.first?.error == nil)
                    for index in 0..<count {
                        let value = unsafe job.floats(rank, buffer: 1)[index]
                        let wanted = Self.expected(index, count: count, worldSize: worldSize, average: operation == .average)
                        #expect(value.bitPattern == wanted.bitPattern, "rank \(rank) element \(index) of \(count)")
                    }
                }
            }
        }
    }

    /// Many operations in flight, each rank submitting at its own time: nobody may overwrite what another still needs.
    @Test(arguments: [2, 3, 5], 0..<20)
    func manyInFlight(worldSize: Int, seed: Int) throws {
        let (most, operations) = (97, 23)
        // Some are empty: they too keep ranks in step.
        func count(_ operation: Int) -> Int { (operation + seed) % 3 == 0 ? 0 : most - operation }
        let job = try Job(
            worldSize: worldSize, seed: UInt64(seed), settings: Self.settings(worldSize),
            bufferBytes: Array(repeating: most * 4, count: operations))
        var random = SplitMix(state: UInt64(seed) &+ 99)
        var submitted = Array(repeating: 0, count: worldSize)
        while submitted.min()! < operations {
            let rank = Int(random.next() % UInt64(worldSize))
            let burst = min(operations - submitted[rank], Int(random.next() % 7))
            for operation in submitted[rank]..<submitted[rank] + burst {
                for index in 0..<most { unsafe job.floats(rank, buffer: operation + 1)[index] = Self.input(rank + operation, index) }
                let request = Allreduce(
                    buffer: job.ranks[rank].buffers[operation + 1], count: count(operation), type: .float32, operation: .sum)
                #expect(try job.ranks[rank].executor.submit(request) == UInt64(operation))
            }
            submitted[rank] += burst
            job.run()
        }
        for rank in 0..<worldSize {
            #expect(job.ranks[rank].finished.map(\.sequence).sorted() == (0..<UInt64(operations)).map { $0 })
            #expect(job.ranks[rank].finished.allSatisfy { $0.error == nil } && !job.ranks[rank].executor.hasWork)
            for operation in 0..<operations where count(operation) > 50 {
                let sum = (0..<worldSize).reduce(Float(0)) { $0 + Self.input($1 + operation, 50) }
                #expect(abs(unsafe job.floats(rank, buffer: operation + 1)[50] - sum) < 1e-3)
            }
        }
        #expect(job.network.deepest <= Self.settings(worldSize).arrivalDepth)
    }

    @Test func nobodyFinishesBeforeItsWritesComplete() throws {
        let job = try Job(worldSize: 2, seed: 1, settings: Self.settings(2), bufferBytes: [400])
        for rank in job.ranks {
            _ = try rank.executor.submit(Allreduce(buffer: rank.buffers[1], count: 100, type: .float32, operation: .sum))
        }
        while job.network.step() {
            for (index, rank) in job.ranks.enumerated() {
                _ = rank.executor.progress()
                rank.executor.takeFinished { rank.finished.append($0) }
                if !rank.finished.isEmpty { #expect(job.network.inFlight[index].values.allSatisfy { $0.isEmpty }) }
            }
        }
        #expect(job.ranks.allSatisfy { $0.finished.count == 1 })
    }

    /// Counts that a shorter hash took for the same.
    @Test func similarOperationsAreToldApart() throws {
        let job = try Job(worldSize: 2, seed: 8, settings: Self.settings(2), bufferBytes: [8000])
        for rank in 0..<2 {
            _ = try? job.ranks[rank].executor.submit(
                Allreduce(buffer: job.ranks[rank].buffers[1], count: rank == 0 ? 1000 : 1035, type: .float32, operation: .sum))
        }
        job.run()
        #expect(job.ranks.contains { $0.executor.failure?.cause == .operationsDiffer })
    }

    @Test func differentOperationsAreToldApart() throws {
        for lateRank in [0, 1] {
            let job = try Job(worldSize: 2, seed: 3, settings: Self.settings(2), bufferBytes: [400])
            for rank in [1 - lateRank, lateRank] {
                let request = Allreduce(
                    buffer: job.ranks[rank].buffers[1], count: rank == 0 ? 100 : 99, type: .float32, operation: .sum)
                _ = try? job.ranks[rank].executor.submit(request)
                job.run()
            }
            #expect(job.ranks[lateRank].executor.failure?.cause == .operationsDiffer)
            #expect(job.ranks[lateRank].executor.failure?.peer == 1 - lateRank)
        }
    }

    @Test func lostPeerEndsEverything() throws {
        let job = try Job(worldSize: 3, seed: 4, settings: Self.settings(3), bufferBytes: [400])
        let rank = job.ranks[0]
        for _ in 0..<6 {
            _ = try rank.executor.submit(Allreduce(buffer: rank.buffers[1], count: 100, type: .float32, operation: .sum))
        }
        job.network.events[0].append(.failure(FabricError(.peerDied, during: .write, peer: 2, detail: "gone")))
        job.run()
        #expect(rank.finished.count == 6)
        #expect(rank.finished.allSatisfy { $0.error?.cause == .fabric(.peerDied) && $0.error?.peer == 2 })
        #expect(throws: CollectiveError.self) {
            try rank.executor.submit(Allreduce(buffer: rank.buffers[1], count: 1, type: .float32, operation: .sum))
        }
    }

    @Test func standstillIsBounded() throws {
        let job = try Job(worldSize: 3, seed: 5, settings: Self.settings(3), bufferBytes: [400])
        let rank = job.ranks[1]
        _ = try rank.executor.submit(Allreduce(buffer: rank.buffers[1], count: 100, type: .float32, operation: .sum))
        job.run()
        #expect(rank.finished.isEmpty)
        job.network.clock = (ExecutorSettings(worldSize: 3).stallMilliseconds + 1) * 1_000_000
        job.run()
        #expect(rank.finished.first?.error?.cause == .stalled && rank.finished.first?.error?.peer == 0)
    }

    @Test func unacknowledgedWritesNameTheRightNeighbour() throws {
        let job = try Job(worldSize: 3, seed: 5, settings: Self.settings(3), bufferBytes: [400])
        for rank in job.ranks {
            _ = try rank.executor.submit(Allreduce(buffer: rank.buffers[1], count: 100, type: .float32, operation: .sum))
        }
        // Everything is delivered, and nothing is said to be complete.
        var moved = true
        while moved {
            moved = job.network.step()
            for (index, rank) in job.ranks.enumerated() {
                job.network.events[index].removeAll { if case .completion = $0 { true } else { false } }
                moved = rank.executor.progress() || moved
            }
        }
        job.network.clock = (ExecutorSettings(worldSize: 3).stallMilliseconds + 1) * 1_000_000
        _ = job.ranks[1].executor.progress()
        #expect(job.ranks[1].executor.failure?.cause == .stalled && job.ranks[1].executor.failure?.peer == 2)
        #expect(job.ranks[1].executor.failure?.detail.contains("acknowledged") == true)
    }

    @Test func strangePiecesAreRefused() throws {
        let settings = Self.settings(2)
        let good = Immediate(epoch: settings.epoch, operation: 0, signature: 9, transfer: 0)
        for field in 0..<3 {
            var bad = good
            switch field {
            case 0: bad.epoch += 1
            case 1: bad.operation += 9
            default: bad.transfer += 1
            }
            let job = try Job(worldSize: 2, seed: 6, settings: settings, bufferBytes: [400])
            job.network.events[0].append(.arrival(Channel(peer: 1), immediate: bad.rawValue))
            job.run()
            #expect(job.ranks[0].executor.failure?.cause == .protocolViolation)
        }
    }
}
