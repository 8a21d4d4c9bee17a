import Reduction

@testable import Collectives

/// One operation whose blocks differ in size, as every rank submits it.
struct UnevenOperation {
    static let collectives: [Collective] = [.allGather, .reduceScatter, .allToAll]

    /// By rank. They do not keep their counts, which this value does.
    var operations: [Operation]
    private let counts: [BlockCounts]

    /// - Parameter matrix: for each rank how many elements it has for each other. Of all but an allToAll the first row counts: each rank's block.
    init(
        _ collective: Collective, input: Place, output: Place, matrix: [[Int]], type: ElementType, reduction: ReductionOperation = .sum,
        algorithm: Algorithm? = nil
    ) {
        let ranks = matrix.count
        let common = BlockCounts(matrix[0])
        counts = (0..<ranks).map { rank in
            collective == .allToAll ? BlockCounts(sent: matrix[rank], received: matrix.map { $0[rank] }) : common
        }
        operations = counts.map {
            Operation(collective, input: input, output: output, counts: $0, type: type, reduction: reduction, algorithm: algorithm)
        }
    }

    var extents: [Extents] { operations.map { $0.extents(worldSize: operations.count) } }

    /// Counts of every awkward kind: all zero, one rank's only, ascending, any.
    static func matrix(_ worldSize: Int, kind: Int, largest: Int) -> [[Int]] {
        var random = SplitMix(state: UInt64(worldSize * 31 + kind))
        return (0..<worldSize).map { row in
            (0..<worldSize).map { column in
                switch kind {
                case 0: 0
                case 1: column == worldSize - 1 ? largest : 0
                case 2: (row + column) * largest / (2 * worldSize)
                default: random.oneIn(3) ? 0 : random.below(largest + 1)
                }
            }
        }
    }
}
