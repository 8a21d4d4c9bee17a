import Verbena

/// Input and answer of the check: small whole numbers, so that any order of summation gives exactly the same.
struct Pattern {
    /// Values of one rank are -7...9: over any number of ranks, no answer is 0 everywhere.
    static let span = 17

    static func value(rank: Int, index: Int) -> Int { (rank &* 5 &+ index &* 3) % span - 7 }

    static func fill<E: Element & BinaryFloatingPoint>(_ elements: UnsafeMutableBufferPointer<E>, rank: Int) {
        // SAFETY: the caller lends the elements for the call. Values repeat every `span` elements.
        let values = (0..<span).map { E(value(rank: rank, index: $0)) }
        for index in elements.indices { unsafe elements[index] = values[index % span] }
    }

    /// How many elements are not exactly what the operation over all ranks gives.
    static func wrongCount<E: Element & BinaryFloatingPoint>(
        _ elements: UnsafeBufferPointer<E>, worldSize: Int, operation: ReductionOperation
    ) -> Int {
        let answers = (0..<span).map { index -> E in
            let sum = E((0..<worldSize).reduce(0) { $0 + value(rank: $1, index: index) })
            return operation == .average ? sum / E(worldSize) : sum
        }
        var wrong = 0
        // SAFETY: the caller lends the elements for the call.
        for index in elements.indices where unsafe elements[index] != answers[index % span] { wrong += 1 }
        return wrong
    }
}
