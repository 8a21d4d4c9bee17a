internal import Collectives
internal import SimulatedFabric

// Some collectives are urgent: each rank submits its two streams as two threads would, each at a pace of its own.
extension Scenario {
    mutating func drawStreams() {
        program.drawStreams()
        for group in groups.indices { groups[group].drawStreams() }
    }
}

extension Program {
    /// What one stream waits for on each rank, which makes no difference to the executors: never both, or the program would wait for itself.
    enum StreamWait { case none, urgentForBulk, bulkForUrgent }

    /// Half of the programs have urgent collectives. Operations keep what is drawn for them, whatever is left out.
    fileprivate mutating func drawStreams() {
        let seed = seed ^ 0x7572_6765_6e74
        var random = SeededRandom(seed: seed)
        let isDrawn = random.chance(perMille: 500)
        let share = random.pick([200, 500, 800])
        let wait: StreamWait = random.pick([.none, .none, .urgentForBulk, .bulkForUrgent])
        let hasNarrowWindows = random.chance(perMille: 500)
        guard isDrawn else { return }
        for index in operations.indices {
            guard case .collective = operations[index].kind else { continue }
            // Both halves of an allreduce are of one stream.
            var draw = SeededRandom(seed: seed &+ UInt64(operations[index].gathers ?? operations[index].number))
            guard draw.chance(perMille: share) else { continue }
            operations[index].stream = .urgent
            // Memory that both streams use would make one wait for the other.
            operations[index].place += Self.urgentPlaces
        }
        streamWait = wait
        guard hasNarrowWindows else { return }
        // So slow a link that a window of bulk is one write.
        settings.costs.far.perByte = 1_000
        settings.costs.near.perByte = 1_000
    }

    private static let urgentPlaces = 10_000
}
