import Foundation
import Reduction
import Testing

@testable import Collectives

/// Which algorithm carries an operation out makes no difference to the bits unless the settings say so by size.
@Suite struct AlgorithmTests {
    /// What every rank has at the end, which must be what the oracle says.
    private func outcome(
        _ collective: Collective, _ algorithm: Algorithm, _ settings: ExecutorSettings, count: Int, type: ElementType,
        reduction: ReductionOperation = .sum, isMagnified: Bool = false, isInPlace: Bool = false, seed: Int = 1
    ) throws -> [[UInt8]?] {
        let worldSize = settings.worldSize
        let size = max(64, worldSize * count * type.byteCount)
        let job = try Job(settings, seed: UInt64(seed), bufferBytes: [size, size])
        let operation = Operation(
            collective, input: Place(job.buffers[1]), output: isInPlace ? nil : Place(job.buffers[2]), count: count, type: type,
            reduction: reduction, algorithm: algorithm)
        let inputs = (0..<worldSize).map { rank in
            let values = Sample.input(operation, number: 3, rank: rank, worldSize: worldSize)
            return isMagnified ? Sample.magnified(values, type) : values
        }
        let extents = operation.extents(worldSize: worldSize)
        func place(_ whole: Place, from element: Int) -> Place {
            Place(whole.buffer, byteOffset: whole.byteOffset + element * type.byteCount)
        }
        for rank in 0..<worldSize {
            let input = place(operation.input, from: extents.input(of: rank).lowerBound)
            unsafe job.bytes(rank, input, count: inputs[rank].count).copyBytes(from: inputs[rank])
            try job.ranks[rank].executor.submit(operation)
        }
        job.run()
        let oracle = Oracle(operation: operation, topology: settings.topology, algorithm: algorithm)
        return (0..<worldSize).map { rank in
            guard let wanted = Expectation(oracle: oracle, inputs: inputs).output(of: rank) else { return nil }
            let output = place(operation.output, from: extents.output(of: rank).lowerBound)
            let got = unsafe Array(job.bytes(rank, output, count: wanted.count))
            #expect(job.ranks[rank].finished.count == 1 && got == wanted, "\(algorithm) \(collective) of \(count) \(type), rank \(rank)")
            return got
        }
    }

    @Test(
        arguments: Algorithm.allCases,
        [Topology.apart(worldSize: 3), .oneNode(worldSize: 3), Topology(nodeOfRank: [0, 0, 1, 1]), .apart(worldSize: 6)])
    func everyTypeAndReduction(algorithm: Algorithm, topology: Topology) throws {
        let settings = ExecutorSettings.small(topology, chunkBytes: 64, chunks: 2)
        for collective in [Collective.allReduce, .reduceScatter, .reduce(root: 1)]
        where algorithm.supports(collective, byteCount: 8, in: settings) {
            for type in ElementType.allCases {
                for reduction in ReductionOperation.allCases {
                    let count = algorithm == .tree ? 64 / type.byteCount : 45
                    _ = try outcome(collective, algorithm, settings, count: count, type: type, reduction: reduction)
                }
            }
        }
    }

    /// Tiles go in one pass from 64 chunks on, in any order of events.
    @Test(arguments: [ElementType.float32, .bfloat16], [false, true]) func largeTiledSumsOfTwoRanks(type: ElementType, isInPlace: Bool)
        throws
    {
        let settings = ExecutorSettings.small(.oneNode(worldSize: 2), chunkBytes: 64, chunks: 2)
        let border = 64 * settings.chunkBytes / type.byteCount
        for count in [border - 1, border, border + 5, 2 * border + 1] {
            for seed in 1...10 {
                _ = try outcome(.allReduce, .tiled, settings, count: count, type: type, isInPlace: isInPlace, seed: seed)
            }
        }
    }

    /// A chunk is the most that a root sums alone.
    @Test(arguments: [3, 4], [false, true]) func smallReductionsByTheRoot(ranks: Int, isInPlace: Bool) throws {
        let settings = ExecutorSettings.small(.oneNode(worldSize: ranks), chunkBytes: 64, chunks: 2)
        for root in 0..<ranks {
            for count in [1, 15, 16, 17] {
                for seed in 1...10 {
                    _ = try outcome(.reduce(root: root), .direct, settings, count: count, type: .float32, isInPlace: isInPlace, seed: seed)
                }
            }
        }
    }

    @Test(arguments: [Topology.oneNode(worldSize: 2), .apart(worldSize: 2)], [false, true])
    func rootedMessagesBetweenTwo(topology: Topology, isInPlace: Bool) throws {
        let settings = ExecutorSettings.small(topology, chunkBytes: 64, chunks: 2)
        for root in 0..<2 {
            for collective in [Collective.broadcast(root: root), .reduce(root: root), .gather(root: root), .scatter(root: root)] {
                for seed in 1...10 {
                    #expect(Algorithm.oneShot.supports(collective, byteCount: 52, in: settings))
                    _ = try outcome(collective, .oneShot, settings, count: 13, type: .float32, isInPlace: isInPlace, seed: seed)
                }
            }
        }
    }

    /// Where the sum of the parts overflows, and the average does not: any algorithm gives the average of the numbers as they were, times that
    /// power of two, exactly.
    @Test(
        arguments: Algorithm.allCases,
        [
            Topology.apart(worldSize: 2), .apart(worldSize: 4), .apart(worldSize: 6), .apart(worldSize: 9), .oneNode(worldSize: 3),
            Topology(nodeOfRank: [0, 0, 1, 1]), Topology(nodeOfRank: [0, 1, 1, 1, 2]),
        ])
    func anAverageThatFitsNeverOverflows(algorithm: Algorithm, topology: Topology) throws {
        let settings = ExecutorSettings.small(topology, chunkBytes: 64, chunks: 2)
        for collective in [Collective.allReduce, .reduceScatter, .reduce(root: topology.worldSize - 1)]
        where algorithm.supports(collective, byteCount: 8, in: settings) {
            for type in [ElementType.float32, .float64, .float16, .bfloat16] {
                let count = algorithm == .tree ? 64 / type.byteCount : 45
                let plain = try outcome(collective, algorithm, settings, count: count, type: type, reduction: .average)
                let large = try outcome(
                    collective, algorithm, settings, count: count, type: type, reduction: .average, isMagnified: true)
                for (plain, large) in zip(plain, large) {
                    #expect(large == plain.map { Sample.magnified($0, type) }, "\(algorithm) \(collective) of \(type)")
                }
            }
        }
    }

    /// The cost model may choose any of the candidates, so all of them give the same.
    @Test(arguments: ScheduleTests.topologies)
    func candidatesAgreeToTheBit(topology: Topology) throws {
        let settings = ExecutorSettings.small(topology, chunkBytes: 256, chunks: 3)
        for collective in [Collective.allReduce, .reduceScatter, .reduce(root: topology.worldSize - 1), .allGather, .allToAll] {
            for type in [ElementType.float32, .bfloat16, .float16] {
                for count in [1, 29] {
                    let byteCount = count * type.byteCount
                    let candidates = Algorithm.candidates(for: collective, byteCount: byteCount, type: type, in: settings)
                    for (reduction, isMagnified) in [(ReductionOperation.sum, false), (.average, false), (.average, true)] {
                        let outcomes = try candidates.map {
                            try outcome(
                                collective, $0, settings, count: count, type: type, reduction: reduction, isMagnified: isMagnified)
                        }
                        for index in outcomes.indices {
                            #expect(outcomes[index] == outcomes[0], "\(candidates[index]) and \(candidates[0]) of \(collective), \(type)")
                        }
                    }
                }
            }
        }
    }

    /// Sizes at which ranks do not split evenly, in other orders of events.
    @Test(arguments: 0..<10)
    func theSeedMakesNoDifference(seed: Int) throws {
        let settings = ExecutorSettings.small(.apart(worldSize: 4), chunkBytes: 64, chunks: 2)
        let first = try outcome(.allReduce, .ring, settings, count: 103, type: .bfloat16, seed: 0)
        let other = try outcome(.allReduce, .ring, settings, count: 103, type: .bfloat16, seed: seed + 1)
        #expect(first == other)
    }
}

/// The choice as a function.
@Suite struct ChoiceTests {
    static let settings = [1, 2, 3, 4, 8, 9, 64, 1000].flatMap { worldSize in
        [Topology.apart(worldSize: worldSize), .oneNode(worldSize: worldSize), Topology(nodeOfRank: (0..<worldSize).map { $0 / 2 })]
            .flatMap { topology in
                [1 << 16, 1 << 20, ExecutorSettings.receiveBufferByteLimit].map {
                    ExecutorSettings(topology: topology, receiveBufferByteLimit: $0)
                }
            }
    }
    static let sizes = [0, 1, 4, 64, 1000, 4096, 4097, 8192, 8193, 65536, 65537, 1 << 20, 1 << 28, 1 << 31, 1 << 34]

    @Test func whatIsChosenCanBeCarriedOut() {
        for settings in Self.settings {
            for collective in Collective.all(worldSize: settings.worldSize) where collective.root <= 1 {
                for size in Self.sizes {
                    for type in [ElementType.float32, .bfloat16] {
                        let choice = settings.choice(for: collective, byteCount: size, type: type)
                        for prediction in choice.predictions {
                            #expect(
                                prediction.algorithm.supports(collective, byteCount: size, in: settings),
                                "\(prediction.algorithm) \(collective) of \(size) bytes, \(settings.worldSize) ranks")
                        }
                        let isWhole = [.tree, .oneShot, .bruck, .recursiveDoubling].contains(choice.algorithm)
                        #expect(
                            !isWhole || collective == .barrier || size <= settings.messageBytes,
                            "\(choice.algorithm) writes \(size) bytes at once")
                        #expect(choice.algorithm == choice.predictions[0].algorithm)
                        #expect(choice.predictions.allSatisfy { $0.microseconds >= choice.predictions[0].microseconds })
                    }
                }
            }
        }
    }

    @Test func moreBytesCostMore() {
        for settings in Self.settings {
            for collective in Collective.all(worldSize: settings.worldSize) where collective.root <= 0 {
                for algorithm in Algorithm.allCases {
                    let costs = Self.sizes.map {
                        Costs.typical.microseconds(algorithm, collective, byteCount: $0, in: settings.topology)
                    }
                    #expect(costs.allSatisfy { $0.isFinite && $0 >= 0 } && costs == costs.sorted())
                }
            }
        }
    }

    /// Small ones by what has few messages, large ones by what moves few bytes.
    @Test func sizeDecides() {
        for (ranks, large) in [(4, Algorithm.ring), (7, .ring), (8, .halvingDoubling), (12, .ring), (1024, .halvingDoubling)] {
            let apart = ExecutorSettings(topology: .apart(worldSize: ranks))
            #expect(apart.choice(for: .allReduce, byteCount: 8, type: .float32).algorithm != large)
            #expect(apart.choice(for: .allReduce, byteCount: 1 << 24, type: .float32).algorithm == large)
            #expect(apart.choice(for: .reduceScatter, byteCount: 1 << 24, type: .float32).algorithm == .ring)
            guard ranks > 7 else { continue }
            #expect(apart.choice(for: .allReduce, byteCount: 4096, type: .float32).algorithm == .recursiveDoubling)
        }
        let many = ExecutorSettings(topology: .apart(worldSize: 512))
        #expect(many.choice(for: .allReduce, byteCount: 1 << 14, type: .float32).algorithm == .recursiveDoubling)
        #expect(many.choice(for: .barrier, byteCount: 0, type: .float32).algorithm == .bruck)
        let node = ExecutorSettings(topology: .oneNode(worldSize: 8))
        #expect(node.choice(for: .allReduce, byteCount: 1 << 24, type: .float32).algorithm == .direct)
        for (nodes, algorithm) in [
            ([0, 0, 0, 0, 1, 1, 1, 1], .hierarchical), ([0, 0, 0, 0, 1, 1, 1], .hierarchical), ([0, 0, 0, 0, 1, 1], .hierarchical),
            ([0, 0, 0, 0, 0, 1, 1], .ring), ([0, 0, 1, 1, 2], .ring), ([0, 1, 2], .ring),
            ((0..<16).map { $0 / 2 }, .halvingDoubling), ((0..<14).map { $0 / 2 }, .hierarchical),
        ] as [([Int], Algorithm)] {
            let settings = ExecutorSettings(topology: Topology(nodeOfRank: nodes))
            #expect(settings.choice(for: .allReduce, byteCount: 1 << 24, type: .float32).algorithm == algorithm, "\(nodes)")
        }
    }

    /// What a byte of a peer's costs where it lies is a figure of its own: it decides from which size on nothing is sent.
    @Test func messagesOrMappedMemory() throws {
        var settings = ExecutorSettings(topology: .oneNode(worldSize: 2))
        settings.costs = Costs(
            near: .init(latency: 0.2, perByte: 1 / 6_000), far: Costs.typical.far, mappedPerByte: 1 / 50_000, reducePerByte: 1 / 50_000)
        func chosen(_ bytes: Int) -> Algorithm { settings.choice(for: .allReduce, byteCount: bytes, type: .float32).algorithm }
        #expect(chosen(64) == .oneShot && chosen(64 << 10) == .direct)
        settings.costs.mappedPerByte = 1 / 1_000
        #expect(chosen(64 << 10) == .oneShot)
        // A table without the figure has the one that stood for it.
        var table = try #require(try JSONSerialization.jsonObject(with: JSONEncoder().encode(settings.costs)) as? [String: Any])
        #expect(table.removeValue(forKey: "mappedPerByte") != nil)
        let older = try JSONDecoder().decode(Costs.self, from: JSONSerialization.data(withJSONObject: table))
        #expect(older.mappedPerByte == settings.costs.near.perByte && older.near == settings.costs.near)
    }

    /// Between two or three ranks both send as many messages in a row; `bruck` copies once more.
    @Test(arguments: [2, 3]) func aSmallAllgatherOfFewRanksTakesOneMessage(ranks: Int) {
        let settings = ExecutorSettings(topology: .oneNode(worldSize: ranks))
        for bytes in [8, 64, 1024] {
            #expect(settings.choice(for: .allGather, byteCount: bytes, type: .float32).algorithm == .oneShot)
        }
    }

    /// Where algorithms round differently, measurement has no say.
    @Test func costsDoNotDecideAboutRounding() {
        var random = SplitMix(state: 3)
        for settings in Self.settings where !settings.topology.isOneNode {
            for size in Self.sizes {
                var chosen: Set<[Int]> = []
                for _ in 0..<5 {
                    var other = settings
                    func number() -> Double { Double(random.below(1000)) }
                    other.costs = Costs(
                        near: .init(latency: number(), perByte: number()), far: .init(latency: number(), perByte: number()),
                        reducePerByte: number())
                    func order(_ type: ElementType) -> Int {
                        switch other.choice(for: .allReduce, byteCount: size, type: type).algorithm {
                        case .recursiveDoubling: 2
                        case .oneShot, .bruck: type.byteCount == 2 ? 1 : 0
                        default: 0
                        }
                    }
                    chosen.insert([order(.bfloat16), order(.float32)])
                }
                #expect(chosen.count == 1)
            }
        }
    }

    /// Nothing overlaps, and memory keeps to the limit where that leaves a world room.
    @Test func receiveBuffersAreBounded() {
        for settings in Self.settings where settings.worldSize > 1 && settings.worldSize <= 64 {
            let layout = settings.receiveBuffers
            if settings.receiveBufferByteLimit >= 64 << 20 {
                #expect(layout.byteCount <= settings.receiveBufferByteLimit + 4096 * settings.worldSize)
            }
            var end = 0
            for lane in 0..<ExecutorSettings.collectiveLanes {
                for slot in 0..<layout.gatedSlots {
                    #expect(layout.gated(lane: lane, slot: slot) == end)
                    end += settings.chunkBytes
                }
                for set in 0..<2 {
                    #expect(layout.eager(lane: lane, set: set) == end)
                    end += settings.worldSize * settings.eagerBytes
                }
            }
            for rank in 0..<settings.worldSize {
                #expect(ReceiveBuffers.invitation(from: rank, in: layout.boxes) == end)
                #expect(ReceiveBuffers.invitation(to: rank, in: layout.boxes) == end + ReceiveBuffers.boxBytes)
                end += 2 * ReceiveBuffers.boxBytes
            }
            #expect(layout.byteCount == end)
        }
    }
}
