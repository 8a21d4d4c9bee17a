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
    }

    private var entries = Array(repeating: Entry(), count: 64)

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
        let index = (byteCount ^ byteCount >> 6 ^ byteCount >> 12) & (entries.count - 1)
        let entry = entries[index]
        if entry.byteCount == byteCount, entry.type == operation.type, entry.collective == operation.collective,
            entry.stripe == operation.stripe, entry.isPrivate == operation.isPrivate
        {
            return entry.algorithm
        }
        let choice = settings.choice(
            for: operation.collective, byteCount: byteCount, type: operation.type, stripe: operation.stripe, isPrivate: operation.isPrivate)
        entries[index] = Entry(
            collective: operation.collective, byteCount: byteCount, type: operation.type, stripe: operation.stripe,
            isPrivate: operation.isPrivate, algorithm: choice.algorithm)
        return choice.algorithm
    }
}
