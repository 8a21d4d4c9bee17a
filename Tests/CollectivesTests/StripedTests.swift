import Reduction
import Testing

@testable import Collectives

/// Striped operations on executors: results to the bit, however a buffer is cut.
@Suite struct StripedTests {
    static let collectives = [Collective.allReduce, .reduceStripes, .gatherStripes]

    /// A buffer of every rank, and operations on ranges of it.
    // SAFETY (whole type): the job holds the memory.
    private struct Buffer {
        let job: Job
        let type: ElementType
        let stripe: Int
        /// By rank: the whole buffer.
        let inputs: [[UInt8]]

        init(_ settings: ExecutorSettings, _ type: ElementType, count: Int, stripe: Int, isMagnified: Bool = false, seed: UInt64) throws {
            job = try Job(settings, seed: seed, bufferBytes: [max(64, count * type.byteCount)])
            self.type = type
            self.stripe = stripe
            let whole = Operation(.allReduce, input: Place(job.buffers[1]), count: count, type: type)
            inputs = (0..<settings.worldSize).map {
                let values = Sample.input(whole, number: 11, rank: $0, worldSize: settings.worldSize)
                return isMagnified ? Sample.magnified(values, type) : values
            }
            for (rank, input) in inputs.enumerated() { unsafe job.bytes(rank, whole.input, count: input.count).copyBytes(from: input) }
        }

        func operation(
            _ collective: Collective, _ range: Range<Int>, _ reduction: ReductionOperation, _ algorithm: Algorithm?
        ) -> Operation {
            Operation(
                collective, input: Place(job.buffers[1], byteOffset: range.lowerBound * type.byteCount), count: range.count, type: type,
                reduction: reduction, algorithm: algorithm, stripe: stripe)
        }

        func bytes(_ rank: Int) -> [UInt8] { unsafe Array(job.bytes(rank, Place(job.buffers[1]), count: inputs[rank].count)) }
    }

    @Test(
        arguments: Algorithm.allCases,
        [
            Topology.apart(worldSize: 1), .apart(worldSize: 2), .apart(worldSize: 3), .oneNode(worldSize: 3),
            Topology(nodeOfRank: [0, 0, 1, 1]), Topology(nodeOfRank: [0, 1, 1, 0, 0]), .apart(worldSize: 6),
        ])
    func everyTypeAndReduction(algorithm: Algorithm, topology: Topology) throws {
        let settings = ExecutorSettings.small(topology, chunkBytes: 64, chunks: 2)
        for collective in Self.collectives where algorithm.supports(collective, byteCount: 8, isStriped: true, in: settings) {
            for type in ElementType.allCases {
                for reduction in ReductionOperation.allCases {
                    for isMagnified in [false, true] where !isMagnified || (reduction == .average && !type.isInteger) {
                        let (start, count) = (13, 45)
                        let buffer = try Buffer(
                            settings, type, count: start + count + 5, stripe: 3, isMagnified: isMagnified, seed: 1)
                        let operation = buffer.operation(collective, start..<start + count, reduction, algorithm)
                        for rank in buffer.job.ranks { try rank.executor.submit(operation) }
                        buffer.job.run()
                        let bytes = start * type.byteCount..<(start + count) * type.byteCount
                        let expectation = Expectation(
                            oracle: Oracle(operation: operation, topology: topology, algorithm: algorithm),
                            inputs: buffer.inputs.map { Array($0[bytes]) })
                        for rank in 0..<topology.worldSize {
                            let got = buffer.bytes(rank)
                            let wanted = try #require(expectation.output(of: rank))
                            #expect(
                                buffer.job.ranks[rank].finished.count == 1
                                    && expectation.accepts(Array(got[bytes]), wanted: wanted, rank: rank),
                                "\(algorithm) \(collective), \(reduction) of \(type), rank \(rank)")
                            let isOutsideKept =
                                got[..<bytes.lowerBound] == buffer.inputs[rank][..<bytes.lowerBound]
                                && got[bytes.upperBound...] == buffer.inputs[rank][bytes.upperBound...]
                            #expect(isOutsideKept, "\(algorithm) \(collective) of \(type) writes beside its range")
                        }
                    }
                }
            }
        }
    }

    /// What a rank submits, in this order: a gather when the reduction of its range has ended there.
    private struct Piece {
        var operation: Operation
        /// Its number, of a gather that of the first half.
        var awaits: Int?
    }

    /// A range cut at random, each part by a random candidate and either schedule.
    private static func pieces(
        of buffer: Buffer, count: Int, _ reduction: ReductionOperation, _ settings: ExecutorSettings, _ random: inout SplitMix
    ) -> [Piece] {
        var pieces: [Piece] = []
        var gathers: [Piece] = []
        func algorithm(_ collective: Collective, _ length: Int) -> Algorithm? {
            let type = buffer.type
            return Algorithm.candidates(
                for: collective, byteCount: length * type.byteCount, isStriped: true, type: type, in: settings
            ).randomElement(using: &random)
        }
        var start = 0
        while start < count {
            let length = min(count - start, random.oneIn(3) ? 1 + random.below(count) : 1 + random.below(3 * buffer.stripe))
            let range = start..<start + length
            if random.oneIn(2) {
                pieces.append(Piece(operation: buffer.operation(.allReduce, range, reduction, algorithm(.allReduce, length))))
            } else {
                pieces.append(Piece(operation: buffer.operation(.reduceStripes, range, reduction, algorithm(.reduceStripes, length))))
                gathers.append(
                    Piece(
                        operation: buffer.operation(.gatherStripes, range, reduction, algorithm(.gatherStripes, length)),
                        awaits: pieces.count - 1))
            }
            start += length
        }
        return pieces + gathers.shuffled(using: &random)
    }

    private static func run(_ pieces: [Piece], _ buffer: Buffer, _ random: inout SplitMix) throws -> [[UInt8]] {
        let job = buffer.job
        var next = Array(repeating: 0, count: job.ranks.count)
        while next.contains(where: { $0 < pieces.count }) {
            let rank = random.below(next.count)
            for _ in 0..<random.below(9) where next[rank] < pieces.count {
                let piece = pieces[next[rank]]
                if let awaited = piece.awaits, !job.ranks[rank].finished.contains(where: { $0.number == awaited }) { break }
                try job.ranks[rank].executor.submit(piece.operation, number: next[rank])
                next[rank] += 1
            }
            for _ in 0..<random.below(40) { _ = job.step() }
        }
        job.run()
        for rank in job.ranks {
            let failure = rank.executor.failure
            #expect(failure == nil && rank.finished.count == pieces.count)
        }
        return job.ranks.indices.map(buffer.bytes)
    }

    /// Any cut, candidate and schedule gives the bits of the whole as one operation.
    @Test(arguments: ScheduleTests.topologies)
    func anyCutGivesTheSameBits(topology: Topology) throws {
        var random = SplitMix(state: UInt64(topology.worldSize * 31 + topology.nodeCount))
        for type in [ElementType.float32, .float64, .bfloat16, .float16] {
            for trial in 0..<(topology.worldSize > 5 ? 2 : 4) {
                let settings = ExecutorSettings.small(
                    topology, chunkBytes: 64 << random.below(2), chunks: 2 + random.below(3), channels: 1 + random.below(3))
                let stripe = 1 + random.below(settings.stripeBytes / type.byteCount)
                let count = 1 + random.below(9 * stripe)
                let reduction: ReductionOperation = trial % 2 == 0 ? .sum : .average
                func outcome(_ pieces: (Buffer) -> [Piece]) throws -> [[UInt8]] {
                    let buffer = try Buffer(
                        settings, type, count: count, stripe: stripe, isMagnified: trial % 3 == 1 && reduction == .average,
                        seed: random.next())
                    return try Self.run(pieces(buffer), buffer, &random)
                }
                let whole = try outcome { [Piece(operation: $0.operation(.allReduce, 0..<count, reduction, nil))] }
                #expect(whole.allSatisfy { $0 == whole[0] })
                for _ in 0..<2 {
                    var draw = SplitMix(state: random.next())
                    let cut = try outcome { Self.pieces(of: $0, count: count, reduction, settings, &draw) }
                    #expect(cut == whole, "\(count) \(type), stripes of \(stripe)")
                }
            }
        }
    }
}
