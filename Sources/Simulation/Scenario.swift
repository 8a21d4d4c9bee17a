internal import SimulatedFabric

/// Everything that a seed decides: a world, what its ranks do, and what goes wrong.
struct Scenario {
    var seed: UInt64
    var world: SimulationOptions
    /// What all ranks do together.
    var program: Program
    /// What groups of them do at the same time; in the order of `world.groups`.
    var groups: [Program] = []
    var faults: [Fault] = []

    var worldSize: Int { world.worldSize }
    var programs: [Program] { [program] + groups }
    var hasDisagreement: Bool { programs.contains { $0.disagreement != nil } }
    /// Whether something happens that nobody survives unharmed.
    var isFatal: Bool { hasDisagreement || faults.contains { isFatal($0) } }

    func isFatal(_ fault: Fault) -> Bool {
        switch fault.kind {
        case .crash, .nodeDeath: true
        case .cableCut: fault.forNanoseconds >= world.retryNanoseconds / 2
        case .pause, .slowness, .slowCable, .flippedBit: false
        }
    }

    /// When everything has ended at the latest, in virtual nanoseconds: every message in a row, each as late as may be.
    var boundNanoseconds: UInt64 {
        var delay = 20_000 + world.wire.jitterNanoseconds + world.memory.jitterNanoseconds + world.arrivalDelayNanoseconds
        delay += world.completionDelayNanoseconds + 2 * world.wakeJitterNanoseconds
        if world.receiverNotReadyPerMille > 0 { delay += world.receiverNotReadyNanoseconds }
        var bound: UInt64 = 100_000_000
        for program in programs {
            bound += UInt64(program.messageCount) * delay
            bound += UInt64(program.startNanoseconds + program.operations.count * program.paceNanoseconds)
        }
        for fault in faults { bound += fault.atNanoseconds + 20 * min(fault.forNanoseconds, 1_000_000_000) }
        if isFatal { bound += 20_000_000_000 }
        return bound
    }
}

extension Scenario: CustomStringConvertible {
    var description: String {
        var lines = [
            "\(worldSize) ranks, \(world.ranksPerNode) a node, \(world.channelsPerPeer) channels; payload \(world.payload), jitter "
                + "\(world.wire.jitterNanoseconds), arrivals \(world.arrivalDelayNanoseconds), completions "
                + "\(world.completionDelayNanoseconds), wake \(world.wakeJitterNanoseconds) ns, receiver not ready "
                + "\(world.receiverNotReadyPerMille) of 1000\(world.holdsWrites ? ", writes held" : "")\(world.writesCompleteAtOnce ? ", complete at once" : "")"
        ]
        lines += programs.map { "\($0)" }
        lines += faults.map { "fault: \($0)" }
        return lines.joined(separator: "\n")
    }
}
