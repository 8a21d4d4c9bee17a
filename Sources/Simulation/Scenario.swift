internal import Collectives
internal import Gradients
internal import Reduction
internal import SimulatedFabric

/// Everything that a seed decides: a world, what its ranks do, and what goes wrong.
struct Scenario {
    var seed: UInt64
    var world: SimulationOptions
    var settings: ExecutorSettings
    var operations: [Planned] = []
    var faults: [Fault] = []
    var disagreement: Disagreement?
    var training: Training?
    /// Between two submissions of a rank, at most.
    var paceNanoseconds: Int = 0
    /// Each operation waits for the one before it.
    var isBlocking = false

    /// One operation of the plan.
    struct Planned {
        enum Kind: Equatable {
            case collective(Collective)
            case transfer(from: Int, to: Int)
        }

        /// Its place in the whole plan, whatever is left out of it.
        var number: Int
        var kind: Kind
        var type: ElementType
        var reduction: ReductionOperation
        var count: Int
        var isInPlace: Bool
        var algorithm: Algorithm?
        /// Operations of the same place use the same memory, one after the other.
        var place: Int
        /// Whole numbers, whose reduction does not depend on the order.
        var isExact: Bool
    }

    /// A rank that does not do what the others do.
    enum Disagreement: Equatable {
        /// It takes one element more in the operation of this number.
        case operation(rank: Int, number: Int)
        /// It comes from another life of the group.
        case epoch(rank: Int)
    }

    /// Steps of a trainer, at the end.
    struct Training {
        var plan: BucketPlan
        var steps: Int
    }

    var worldSize: Int { world.worldSize }
    /// Whether something happens that nobody survives unharmed.
    var isFatal: Bool { disagreement != nil || faults.contains { isFatal($0) } }

    func isFatal(_ fault: Fault) -> Bool {
        switch fault.kind {
        case .crash, .machineDeath: true
        case .cableCut: fault.forNanoseconds >= world.retryNanoseconds / 2
        case .pause, .slowness, .slowCable, .flippedBit: false
        }
    }

    /// When everything has ended at the latest, in virtual nanoseconds: every message in a row, each as late as may be.
    var boundNanoseconds: UInt64 {
        var delay = 20_000 + world.wire.jitterNanoseconds + world.memory.jitterNanoseconds + world.arrivalDelayNanoseconds
        delay += world.completionDelayNanoseconds + 2 * world.wakeJitterNanoseconds
        if world.receiverNotReadyPerMille > 0 { delay += world.receiverNotReadyNanoseconds }
        let trained = (training?.steps ?? 0) * (training.map { $0.plan.elementCount * 4 } ?? 0)
        let bytes = operations.reduce(trained) { $0 + $1.count * $1.type.byteCount }
        let messages = 4 * bytes / settings.pieceBytes + 8 * worldSize * (operations.count + 20)
        var bound = 100_000_000 + UInt64(messages) * delay + UInt64(operations.count) * UInt64(paceNanoseconds)
        for fault in faults { bound += fault.atNanoseconds + 20 * min(fault.forNanoseconds, 1_000_000_000) }
        if isFatal { bound += 20_000_000_000 }
        return bound
    }
}

extension Scenario: CustomStringConvertible {
    var description: String {
        var lines = [
            "\(worldSize) ranks, \(world.ranksPerMachine) a machine, \(world.channelsPerPeer) channels, \(settings.pieces) pieces of "
                + "\(settings.pieceBytes) bytes, \(settings.eagerBytes) bytes eager; payload \(world.payload), jitter "
                + "\(world.wire.jitterNanoseconds), arrivals \(world.arrivalDelayNanoseconds), completions "
                + "\(world.completionDelayNanoseconds), wake \(world.wakeJitterNanoseconds) ns, receiver not ready "
                + "\(world.receiverNotReadyPerMille) of 1000\(world.holdsWrites ? ", writes held" : "")\(world.writesCompleteAtOnce ? ", complete at once" : "")\(isBlocking ? ", blocking" : "")"
        ]
        for operation in operations {
            let name =
                switch operation.kind {
                case .collective(let collective): "\(collective)" + (collective.root >= 0 ? " root \(collective.root)" : "")
                case .transfer(let from, let to): "transfer \(from) to \(to)"
                }
            lines.append(
                "operation \(operation.number): \(name), \(operation.count) \(operation.type) \(operation.reduction)"
                    + "\(operation.isInPlace ? ", in place" : ""), place \(operation.place)"
                    + "\(operation.algorithm.map { ", \($0.rawValue)" } ?? "")\(operation.isExact ? "" : ", any numbers")")
        }
        if let training {
            lines.append(
                "\(training.steps) steps of \(training.plan.parameters.count) parameters in \(training.plan.buckets.count) buckets")
        }
        lines += faults.map { "fault: \($0)" }
        if let disagreement { lines.append("disagreement: \(disagreement)") }
        return lines.joined(separator: "\n")
    }
}
