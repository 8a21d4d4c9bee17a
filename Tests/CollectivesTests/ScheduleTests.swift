import Foundation
import Reduction
import Testing

@testable import Collectives

/// Every schedule as a value: all collectives, roots, algorithms, and worlds up to nine ranks, on awkward sizes. See `Rehearsal`.
@Suite struct ScheduleTests {
    /// With `COLLECTIVES_TESTS=all`, as in CI, every size with every cutting (minutes, in release); else a sample of them.
    static let isExhaustive = ProcessInfo.processInfo.environment["COLLECTIVES_TESTS"] == "all"

    static func counts(_ worldSize: Int) -> [Int] {
        Set([0, 1, 2, 3, worldSize - 1, worldSize, worldSize + 1, 17, 64, 100, 257]).sorted()
    }

    /// Elements of a chunk, of the least one worth a message, and how many travel together.
    struct Cutting {
        var chunk: Int
        var least: Int
        var chunks: Int
        /// Channels that chunks take in turn.
        var channels: Int { chunks % 3 == 0 ? 2 : 1 }
    }

    static let cuttings = [1, 3, 64].flatMap { chunk in
        (1...8).map { Cutting(chunk: chunk, least: chunk == 3 ? 1 : max(1, chunk / 4), chunks: $0) }
    }

    /// - Parameter window: messages that may be unread where their number grows with the buffer; nil for what the settings say.
    static func rehearse(
        _ collective: Collective, _ algorithm: Algorithm, _ topology: Topology, _ count: Int, inPlace: Bool, _ cutting: Cutting,
        messageElements: Int = 50, window: Int? = 4
    ) -> Rehearsal? {
        let settings = ExecutorSettings.small(topology, chunkBytes: cutting.chunk * 4, chunks: cutting.chunks, channels: cutting.channels)
        let operation = Operation(
            collective, input: Place(SharedBuffer(index: 1)), output: Place(SharedBuffer(index: inPlace ? 1 : 2)), count: count,
            type: .float32)
        guard algorithm.supports(collective, byteCount: 4 * count, in: settings) else { return nil }
        let operations = Array(repeating: operation, count: topology.worldSize)
        return rehearse(operations, algorithm, topology, settings, cutting, messageElements: messageElements, window: window)
    }

    /// - Parameter operations: of each rank.
    static func rehearse(
        _ operations: [Collectives.Operation], _ algorithm: Algorithm, _ topology: Topology, _ settings: ExecutorSettings,
        _ cutting: Cutting,
        messageElements: Int = 50, window: Int? = 4
    ) -> Rehearsal {
        let shapes = operations.enumerated().map { rank, operation in
            var shape = settings.shape(of: operation, rank: rank, layout: settings.receiveBuffers)
            shape.minChunkElements = cutting.least
            if isCut(operation.collective, algorithm) { shape.messageElements = messageElements }
            if let window { shape.maxUnread = window }
            return shape
        }
        let rehearsal = Rehearsal(operations[0], algorithm, topology, shapes: shapes)
        rehearsal.run()
        let extents = operations.map { $0.extents(worldSize: topology.worldSize) }
        rehearsal.compare(with: Oracle(operation: operations[0], topology: topology, algorithm: algorithm, ownExtents: extents))
        return rehearsal
    }

    /// Whether messages are as long as the buffer unless they are cut.
    private static func isCut(_ collective: Collective, _ algorithm: Algorithm) -> Bool {
        if case .broadcast = collective, algorithm == .ring { return true }
        return algorithm == .pairwise
    }

    /// Buffers of many times what a message takes: however many messages that are, no more than a window is unread.
    @Test(arguments: [2, 3, 5])
    func longBuffersGoInWindows(worldSize: Int) {
        let topology = Topology.apart(worldSize: worldSize)
        let cutting = Cutting(chunk: 1, least: 1, chunks: 4)
        for (collective, algorithm) in [
            (Collective.broadcast(root: 1), Algorithm.ring), (.allToAll, .pairwise), (.gather(root: 0), .pairwise),
            (.scatter(root: 1), .pairwise),
        ] {
            for count in [2, 8, 9, 16, 17, 100] {
                for message in [1, 3] {
                    guard
                        let rehearsal = Self.rehearse(
                            collective, algorithm, topology, count, inPlace: false, cutting, messageElements: message)
                    else { return #expect(Bool(false), "\(algorithm) \(collective) is possible") }
                    #expect(rehearsal.faults.isEmpty, "\(algorithm) \(collective) of \(count) in messages of \(message)")
                    #expect(rehearsal.maxUnread <= 4 + 2, "\(algorithm) \(collective) of \(count) in messages of \(message)")
                }
            }
        }
    }

    @Test func nothingIsWrittenAtOnceThatIsLongerThanAMessage() {
        var settings = ExecutorSettings(topology: .apart(worldSize: 4))
        settings.messageBytes = 1 << 20
        let longest = 16 << 20
        for collective in Collective.all(worldSize: 4) where collective.root <= 0 {
            for algorithm in settings.algorithms(for: collective, byteCount: longest) {
                let operation = Operation(
                    collective, input: Place(SharedBuffer(index: 1)), output: Place(SharedBuffer(index: 2)), count: longest / 4,
                    type: .float32)
                for rank in 0..<4 {
                    let schedule = Schedule(algorithm, settings.shape(of: operation, rank: rank, layout: settings.receiveBuffers))
                    let sends = (0..<schedule.count).compactMap { schedule[$0].send?.count }
                    #expect(sends.allSatisfy { 4 * $0 <= settings.messageBytes }, "\(algorithm) \(collective)")
                }
            }
        }
    }

    /// One of a world's groupings at a time, so that they are shared among the cores.
    static let topologies = (1...9).flatMap { Topology.all(worldSize: $0) }

    @Test(arguments: topologies)
    func everyOrderOfEventsGivesTheResult(topology: Topology) {
        let worldSize = topology.worldSize
        var turn = worldSize
        for collective in Collective.all(worldSize: worldSize) {
            for algorithm in Algorithm.allCases {
                for isInPlace in [false, true] {
                    for count in Self.counts(worldSize) {
                        let cuttings = Self.isExhaustive ? Self.cuttings[...] : Self.some(&turn, collective, count, worldSize)
                        for cutting in cuttings {
                            guard
                                let rehearsal = Self.rehearse(
                                    collective, algorithm, topology, count, inPlace: isInPlace, cutting)
                            else { continue }
                            let what = "\(algorithm) \(collective) root \(collective.root) of \(count), in place: \(isInPlace), \(cutting)"
                            #expect(rehearsal.faults.isEmpty, "\(what)")
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: topologies)
    func unevenBlocksInEveryOrder(topology: Topology) {
        let worldSize = topology.worldSize
        for collective in UnevenOperation.collectives {
            for algorithm in Algorithm.allCases {
                for isInPlace in [false, true] where !(isInPlace && collective == .allToAll) {
                    for (kind, largest) in [(0, 0), (1, 17), (2, 64), (3, 3), (4, 257)] {
                        let cutting = Self.cuttings[(worldSize * 5 + kind * 7) % Self.cuttings.count]
                        if largest * worldSize > 700 * cutting.chunk { continue }
                        let settings = ExecutorSettings.small(
                            topology, chunkBytes: cutting.chunk * 4, chunks: cutting.chunks, channels: cutting.channels)
                        guard algorithm.supports(collective, byteCount: 4 * largest, isUneven: true, in: settings) else { continue }
                        let matrix = UnevenOperation.matrix(worldSize, kind: kind, largest: largest)
                        let uneven = UnevenOperation(
                            collective, input: Place(SharedBuffer(index: 1)), output: Place(SharedBuffer(index: isInPlace ? 1 : 2)),
                            matrix: matrix, type: .float32)
                        let rehearsal = withExtendedLifetime(uneven) {
                            Self.rehearse(uneven.operations, algorithm, topology, settings, cutting)
                        }
                        #expect(rehearsal.faults.isEmpty, "\(algorithm) \(collective) of \(matrix), in place: \(isInPlace), \(cutting)")
                    }
                }
            }
        }
    }

    /// Elements of a stripe, and the operation's first, counted from the beginning of its buffer.
    private static let beginnings = [1, 2, 3, 8, 64].flatMap { stripe in
        [0, 1, 2, 7, stripe, 3 * stripe + 1, 5 * stripe - 1, 1000].map { (stripe: stripe, start: $0) }
    }

    @Test(arguments: topologies)
    func stripesInEveryOrder(topology: Topology) {
        var turn = topology.worldSize
        for collective in [Collective.allReduce, .reduceStripes, .gatherStripes] {
            for algorithm in Algorithm.allCases {
                for count in Self.counts(topology.worldSize) {
                    for (stripe, start) in Self.beginnings {
                        // Two relatively prime strides through cuttings and beginnings.
                        turn += 7
                        guard Self.isExhaustive || turn / 7 % 11 == 0 else { continue }
                        var cutting = Self.cuttings[turn % Self.cuttings.count]
                        cutting.chunk = max(cutting.chunk, stripe)
                        if count * topology.worldSize > 700 * stripe { continue }
                        let settings = ExecutorSettings.small(
                            topology, chunkBytes: cutting.chunk * 4, chunks: cutting.chunks, channels: cutting.channels)
                        guard algorithm.supports(collective, byteCount: 4 * count, isStriped: true, in: settings) else { continue }
                        let operation = Operation(
                            collective, input: Place(SharedBuffer(index: 1), byteOffset: 4 * start), count: count, type: .float32,
                            stripe: stripe)
                        let rehearsal = Self.rehearse(
                            Array(repeating: operation, count: topology.worldSize), algorithm, topology, settings, cutting)
                        #expect(
                            rehearsal.faults.isEmpty,
                            "\(algorithm) \(collective) of \(count) from \(start) in stripes of \(stripe), \(cutting)")
                    }
                }
            }
        }
    }

    /// Worlds of eight stations and more, where everything striped is summed in pairs; windows, leaves and pieces of every kind.
    @Test(arguments: [
        Topology.apart(worldSize: 8), .apart(worldSize: 16), Topology(nodeOfRank: (0..<16).map { $0 / 2 }),
        Topology(nodeOfRank: (0..<20).map { $0 % 8 }),
    ])
    func inPairs(topology: Topology) {
        let settings = ExecutorSettings(topology: topology)
        #expect(settings.algorithms(for: .reduceStripes, byteCount: 4096, isStriped: true) == [.halvingDoubling])
        var windows: Set<Int> = []
        for collective in [Collective.allReduce, .reduceStripes, .gatherStripes] {
            for (chunk, chunks, channels) in [(3, 2, 1), (8, 4, 2), (64, 9, 1)] {
                for count in topology.worldSize == 8 ? [0, 1, 37, 403, 2000] : [1, 37, 403] {
                    for stripe in collective == .allReduce ? [0] : [2, chunk] where stripe == 0 || count / stripe < 700 {
                        let settings = ExecutorSettings.small(topology, chunkBytes: 4 * chunk, chunks: chunks, channels: channels)
                        let operation = Operation(
                            collective, input: Place(SharedBuffer(index: 1), byteOffset: 4 * 7), count: count, type: .float32,
                            stripe: stripe)
                        let cutting = Cutting(chunk: chunk, least: max(1, chunk / 3), chunks: chunks)
                        let rehearsal = Self.rehearse(
                            Array(repeating: operation, count: topology.worldSize), .halvingDoubling, topology, settings, cutting)
                        #expect(rehearsal.faults.isEmpty, "\(collective) of \(count), stripe \(stripe), \(cutting)")
                        #expect(rehearsal.maxUnread <= HalvingDoubling.maxUnread, "\(collective) of \(count), stripe \(stripe), \(cutting)")
                        windows.insert(HalvingDoubling(rehearsal.shapes[0]).windows)
                    }
                }
            }
        }
        #expect(windows.contains(1) && windows.count > 1)
    }

    private static func some(_ turn: inout Int, _ collective: Collective, _ count: Int, _ worldSize: Int) -> ArraySlice<Cutting> {
        turn += 7  // Relatively prime to the number of cuttings.
        let index = turn % cuttings.count
        let isRootInside = collective.root > 0 && collective.root < worldSize - 1
        let isLong = count * worldSize > 700 * cuttings[index].chunk
        let isLeftOut = isRootInside ? count > 3 && count != worldSize : isLong || turn / 7 % max(1, worldSize - 3) > 0
        return isLeftOut ? [] : cuttings[index...index]
    }
}
