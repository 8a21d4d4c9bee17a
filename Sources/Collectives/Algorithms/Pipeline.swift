/// A chain of ranks for large broadcasts and reductions: it begins or ends at the root, and chunks follow each other without a gap, so that every
/// link carries the buffer once.
///
/// *Broadcast.* The root is first; each rank writes a chunk into its right neighbour's output as soon as it has it. A buffer of more chunks
/// than may be unread goes in a window of two halves: the reader says when it has taken one, and the one after the next may come.
///
/// *Reduce.* The root is last; a chunk is written into the right neighbour's slot, which adds its own part there and passes it on. The slots
/// are the window: a half may be written again when its reader says so, which it does when its own sends from
/// that half have completed. While it waits for that, the other half is filled.
public struct Pipeline: Equatable, Sendable {
    let shape: Shape
    /// This rank's place, 0 for the first.
    let place: Int
    let isReduce: Bool
    let chunkElements: Int
    let chunks: Int
    /// Chunks of half a window.
    let half: Int

    init(_ shape: Shape) {
        self.shape = shape
        if case .reduce = shape.collective { isReduce = true } else { isReduce = false }
        let first = shape.collective.root + (isReduce ? 1 : 0)
        place = (shape.rank - first + 2 * shape.worldSize) % shape.worldSize
        let least = (shape.count + shape.maxUnread - 1) / shape.maxUnread
        chunkElements = max(1, min(shape.messageElements, isReduce ? shape.chunkElements : max(shape.chunkElements, least)))
        chunks = max(1, (shape.count + chunkElements - 1) / chunkElements)
        half = isReduce ? max(1, min(shape.maxChunks, shape.gatedSlots) / 2) : min(shape.maxUnread / 2, (chunks + 1) / 2)
    }

    private var isFirst: Bool { place == 0 }
    private var isLast: Bool { place == shape.worldSize - 1 }
    private var left: Int { (shape.rank + shape.worldSize - 1) % shape.worldSize }
    private var right: Int { (shape.rank + 1) % shape.worldSize }
    /// Window halves; the last may be short.
    private var halves: Int { (chunks + half - 1) / half }

    /// Two steps to begin; then for each half of a window one to hear that it may be written, two for each of its chunks, two to free it.
    public var count: Int { 2 + halves * (3 + 2 * half) }

    public subscript(index: Int) -> Step {
        switch index {
        case 0: return Step(action: beginning, send: isFirst ? nil : .signal(left))
        case 1: return Step(receive: isLast ? nil : right)
        default: break
        }
        let (number, turn) = (index - 2).quotientAndRemainder(dividingBy: 3 + 2 * half)
        let frees = !isFirst && number + 2 < halves
        switch turn {
        case 0: return Step(receive: !isLast && number >= 2 ? right : nil)
        case 1 + 2 * half: return Step(drain: isReduce && frees && !isLast)
        case 2 + 2 * half: return Step(send: frees ? .signal(left) : nil)
        default:
            let (inHalf, part) = (turn - 1).quotientAndRemainder(dividingBy: 2)
            let chunk = number * half + inHalf
            guard chunk < chunks else { return Step() }
            return part == 0 ? take(chunk) : Step(send: isLast ? nil : send(chunk))
        }
    }

    /// The root of a broadcast keeps its own part.
    private var beginning: Action? { isFirst && !isReduce ? shape.copyOwn(from: 0, to: 0) : nil }

    private func range(_ chunk: Int) -> Range<Int> {
        min(shape.count, chunk * chunkElements)..<min(shape.count, (chunk + 1) * chunkElements)
    }

    private func slot(_ chunk: Int) -> Int { chunk % (2 * half) }

    private func take(_ chunk: Int) -> Step {
        guard !isFirst else { return Step() }
        guard isReduce else { return Step(receive: left) }
        let (range, slot) = (range(chunk), Location.gated(slot: slot(chunk)))
        return Step(
            receive: left,
            action: .fold(
                Fold(
                    .pair(slot, .input(range.lowerBound)), into: .location(isLast ? .output(range.lowerBound) : slot), count: range.count,
                    isFinal: isLast, partials: place == 1 ? 0 : 1)))
    }

    private func send(_ chunk: Int) -> Send {
        let range = range(chunk)
        let start = range.lowerBound
        if isReduce {
            let slot = slot(chunk)
            return Send(peer: right, from: isFirst ? .input(start) : .gated(slot: slot), to: .gated(slot: slot), count: range.count)
        }
        return Send(peer: right, from: isFirst ? .input(start) : .output(start), to: .output(start), count: range.count)
    }
}
