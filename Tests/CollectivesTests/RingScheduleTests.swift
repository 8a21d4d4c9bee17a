import Testing

@testable import Collectives

/// The ring's schedule as a value: all worlds up to nine ranks, awkward sizes, every number of pieces.
@Suite struct RingScheduleTests {
    static let counts = [0, 1, 2, 3, 5, 8, 9, 16, 17, 31, 64, 100, 257]

    private func schedules(worldSize: Int, count: Int, piece: Int, pieces: Int) -> [RingAllreduce] {
        (0..<worldSize).map {
            RingAllreduce(
                rank: $0, worldSize: worldSize, elementCount: count, maximumPieceElements: piece, minimumPieceElements: 2,
                maximumPieces: pieces)
        }
    }

    @Test(arguments: 1...9, [1, 2, 3, 8])
    func everySendMeetsItsReceive(worldSize: Int, pieces: Int) {
        for count in Self.counts {
            for piece in [1, 3, 64] {
                let ring = schedules(worldSize: worldSize, count: count, piece: piece, pieces: pieces)
                for rank in 0..<worldSize {
                    let right = ring[(rank + 1) % worldSize]
                    let sends = (0..<ring[rank].count).compactMap { ring[rank][$0].send }
                    let receives = (0..<right.count).compactMap { right[$0].receive }
                    #expect(sends.count == receives.count)
                    for (send, receive) in zip(sends, receives) {
                        #expect(send.peer == right.rank && receive.peer == rank)
                        #expect(send.range == receive.range)
                        #expect(send.range.count <= piece)
                        switch (send.target, receive.action) {
                        case (.landing(let slot), .reduce(let other)), (.landing(let slot), .reduceAndFinish(let other)):
                            #expect(slot == other && slot < ring[rank].landingSlots)
                        case (.buffer, .stored): break
                        default: Issue.record("a send into \(send.target) meets \(receive.action)")
                        }
                    }
                }
            }
        }
    }

    /// Carried out on sets of ranks instead of numbers: at the end every element of every rank holds every rank's part exactly once.
    @Test(arguments: 2...9, [1, 2, 5])
    func everyElementGetsEveryPartOnce(worldSize: Int, pieces: Int) {
        for count in Self.counts {
            let ring = schedules(worldSize: worldSize, count: count, piece: 4, pieces: pieces)
            for rank in ring {
                var reduced = Array(repeating: 0, count: count)
                var stored = reduced
                var finished = reduced
                for index in 0..<rank.count {
                    guard let receive = rank[index].receive else { continue }
                    for element in receive.range {
                        switch receive.action {
                        case .reduce: reduced[element] += 1
                        case .reduceAndFinish: finished[element] += 1
                        case .stored: stored[element] += 1
                        }
                    }
                }
                for element in 0..<count {
                    #expect(finished[element] + stored[element] == 1)
                    // The rank where the segment begins reduces nothing; all others add their own part once.
                    let isOwn = rank.segment(rank.rank).contains(element)
                    #expect(reduced[element] + finished[element] == (isOwn ? 0 : 1))
                }
            }
        }
    }

    @Test func segmentsCoverTheBufferAndDifferByAtMostOne() {
        for worldSize in 1...9 {
            for count in Self.counts {
                let ring = schedules(worldSize: worldSize, count: count, piece: 8, pieces: 2)[0]
                let segments = (0..<worldSize).map(ring.segment)
                #expect(segments.first?.lowerBound == 0 && segments.last?.upperBound == count)
                #expect(zip(segments, segments.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
                #expect(segments.map(\.count).max()! - segments.map(\.count).min()! <= 1)
            }
        }
    }

    @Test func immediateKeepsItsFields() {
        let immediate = Immediate(epoch: 5, operation: 64 + 9, signature: 0x540_ABCD, transfer: 16 + 7)
        #expect(Immediate(rawValue: immediate.rawValue) == immediate)
        #expect(immediate.epoch == 5 && immediate.operation == 9 && immediate.signature == 0xABCD && immediate.transfer == 7)
    }

    @Test(arguments: [1, 2, 3, 9, 64, 1000, 4096]) func landingMemoryKeepsItsLimit(worldSize: Int) {
        let settings = ExecutorSettings(worldSize: worldSize)
        #expect(settings.pieces >= 1 && settings.pieceBytes % 64 == 0)
        #expect(settings.landingByteCount <= max(ExecutorSettings.landingByteLimit, 4 * worldSize * 2 * 4096))
        #expect(settings.arrivalDepth >= ExecutorSettings.lanes * (worldSize + 1) * settings.pieces)
    }
}
