internal import Reduction

/// The choices of late, so that choosing costs a comparison and no allocation from an operation's second time on.
struct ChoiceCache {
    private struct Entry {
        var collective = Collective.barrier
        var byteCount = -1
        var type = ElementType.float32
        var stripe = 0
        var isPrivate = false
        var algorithm = Algorithm.ring

        func isFor(_ operation: Operation, _ byteCount: Int) -> Bool {
            self.byteCount == byteCount && type == operation.type && collective == operation.collective && stripe == operation.stripe
                && isPrivate == operation.isPrivate
        }
    }

    private static let placeCount = 64
    /// By place, which follows from the size: the last choice, and the one before it, because operations of one size take turns, such as a bucket's
    /// reduceStripes and gatherStripes.
    private var entries = Array(repeating: Entry(), count: 2 * placeCount)

    mutating func algorithm(for operation: Operation, in settings: ExecutorSettings) -> Algorithm {
        if operation.wire != .plain { return .compressed }
        if let asked = operation.algorithm { return asked }
        let byteCount = operation.count * operation.type.byteCount
        if let counts = operation.uneven.counts {
            let mean = (counts.input[counts.worldSize] + counts.worldSize - 1) / counts.worldSize
            return settings.choice(
                for: operation.collective, byteCount: mean * operation.type.byteCount, largestByteCount: byteCount, type: operation.type,
                isPrivate: operation.isPrivate
            ).algorithm
        }
        let index = 2 * ((byteCount ^ byteCount >> 6 ^ byteCount >> 12) & (Self.placeCount - 1))
        if entries[index].isFor(operation, byteCount) { return entries[index].algorithm }
        if entries[index + 1].isFor(operation, byteCount) { return entries[index + 1].algorithm }
        let choice = settings.choice(
            for: operation.collective, byteCount: byteCount, type: operation.type, stripe: operation.stripe, isPrivate: operation.isPrivate)
        entries[index + 1] = entries[index]
        entries[index] = Entry(
            collective: operation.collective, byteCount: byteCount, type: operation.type, stripe: operation.stripe,
            isPrivate: operation.isPrivate, algorithm: choice.algorithm)
        return choice.algorithm
    }
}
