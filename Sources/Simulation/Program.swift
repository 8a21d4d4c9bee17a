internal import Collectives
internal import Gradients
internal import Reduction

/// What the ranks of one communicator do: of the world, or of a group that `split` made of it. Each has executors, memory and operations of its own.
struct Program {
    /// Decides its numbers and pace.
    var seed: UInt64
    /// Nil for the world; what a shortening calls a group.
    var group: Int?
    /// Ranks of the world, in the order of their numbers here.
    var members: [Int]
    var settings: ExecutorSettings
    var operations: [Planned] = []
    var disagreement: Disagreement?
    var training: Training?
    /// Before this nothing is submitted.
    var startNanoseconds = 0
    /// Between two submissions of a rank, at most.
    var paceNanoseconds = 0
    /// Each operation waits for the one before it.
    var isBlocking = false
    var streamWait = StreamWait.none

    /// One operation of the plan.
    struct Planned {
        enum Kind: Equatable {
            case collective(Collective)
            case pointToPoint(from: Int, to: Int)
        }

        /// Its place in the whole plan, whatever is left out of it. No two programs have the same.
        var number: Int
        var kind: Kind
        var type: ElementType
        var reduction: ReductionOperation
        var count: Int
        var isInPlace: Bool
        var algorithm: Algorithm?
        /// Operations of the same place use the same memory, one after the other.
        var place: Int
        var stream = Stream.bulk
        /// Whole numbers, whose reduction does not depend on the order.
        var isExact: Bool
        /// Where blocks differ in size: of an allToAll for each rank what it sends to each; else the size of each rank's block, in the first row.
        var matrix: [[Int]]? { didSet { counts = matrix.map { Self.counts($0, kind) } } }
        /// Elements of a stripe; 0: it has none.
        var stripe = 0
        var wire = WireFormat.plain
        /// Peers take no part of it from the memory itself.
        var isPrivate = false
        /// Of a gatherStripes: the number of the reduceStripes whose result it hands on, in the same place.
        var gathers: Int?
        /// By rank; kept here for the operations.
        private(set) var counts: [BlockCounts]?

        /// - Parameter matrix: as above.
        static func counts(_ matrix: [[Int]], _ kind: Kind) -> [BlockCounts] {
            let common = BlockCounts(matrix[0])
            guard kind == .collective(.allToAll) else { return matrix.map { _ in common } }
            return matrix.indices.map { rank in BlockCounts(sent: matrix[rank], received: matrix.map { $0[rank] }) }
        }

        /// What a rank does; of a transfer its own end.
        func collective(of rank: Int) -> Collective {
            switch kind {
            case .collective(let collective): collective
            case .pointToPoint(let from, let to): from == rank ? .send(to: to) : .receive(from: from)
            }
        }

        func extents(of rank: Int, worldSize: Int) -> Extents {
            Extents(collective(of: rank), worldSize: worldSize, count: count, isInPlace: isInPlace, counts: counts?[rank])
        }
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
        var layout: GradientLayout
        /// Of each step.
        var plans: [BucketPlan]
        /// Of fp32 gradients; other than plain, residuals are kept in a buffer of their own.
        var wire = WireFormat.plain
        var mutation: TrainingMutation?
    }

    var worldSize: Int { members.count }

    /// Messages of all ranks, about; of them a bound of the time is made.
    var messageCount: Int {
        let trained = (training?.plans.count ?? 0) * (training?.layout.byteCount ?? 0)
        let bytes = operations.reduce(trained) { sum, operation in
            let chunks = operation.stripe > 0 ? settings.chunkBytes / (operation.stripe * operation.type.byteCount) : 1
            return sum + max(1, chunks) * operation.count * operation.type.byteCount
        }
        return 4 * bytes / settings.chunkBytes + 8 * worldSize * (operations.count + 20)
    }
}

extension Program: CustomStringConvertible {
    var description: String {
        var lines = [
            "\(settings.chunks) chunks of \(settings.chunkBytes) bytes, \(settings.eagerBytes) bytes eager\(isBlocking ? ", blocking" : "")"
                + "\(streamWait == .none ? "" : ", \(streamWait)")"
        ]
        if let group { lines[0] = "group \(group) of ranks \(members.map(String.init).joined(separator: ", ")): \(lines[0])" }
        for operation in operations {
            let name =
                switch operation.kind {
                case .collective(let collective): "\(collective)" + (collective.root >= 0 ? " root \(collective.root)" : "")
                case .pointToPoint(let from, let to): "transfer \(from) to \(to)"
                }
            lines.append(
                "operation \(operation.number): \(name), \(operation.count) \(operation.type) \(operation.reduction)"
                    + "\(operation.matrix.map { ", counts \($0)" } ?? "")\(operation.isInPlace ? ", in place" : "")\(operation.stripe > 0 ? ", stripes of \(operation.stripe)" : "")\(operation.wire == .plain ? "" : " as \(operation.wire)"), place \(operation.place)"
                    + "\(operation.stream == .urgent ? ", urgent" : "")\(operation.algorithm.map { ", \($0.rawValue)" } ?? "")\(operation.isPrivate ? ", private" : "")\(operation.isExact ? "" : ", any numbers")"
            )
        }
        if let training {
            let plans = training.plans.map { plan in
                let urgent = plan.buckets.count(where: \.isUrgent)
                return "\(plan.schedule.rawValue) of \(plan.buckets.count) buckets\(urgent > 0 ? ", \(urgent) urgent" : "")"
            }
            lines.append(
                "\(plans.count) steps of \(training.layout.parameters.count) parameters\(training.wire == .plain ? "" : " as \(training.wire)"): \(plans.joined(separator: "; "))"
            )
        }
        if let disagreement { lines.append("disagreement: \(disagreement)") }
        return lines.joined(separator: "\n")
    }
}
