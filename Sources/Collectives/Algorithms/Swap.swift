/// An all-to-all in place, between ranks that do not see each other's memory: every two ranks swap their blocks through receive buffers.
///
/// It goes in rounds. In a round each rank invites all others, writes the next chunks of each block into the slots that their receiver has for
/// this rank, and waits until these writes have completed: then nothing reads those chunks any more. So it copies what has come into their
/// places. The invitations of a round say that its slots have been emptied. The slots are as many as the lane has, whatever the size of the buffer.
public struct Swap: Equatable, Sendable {
    let shape: Shape
    private let chunkElements: Int
    /// Chunks of a block, and of a block in a round.
    private let chunks: Int
    private let chunksPerRound: Int

    init(_ shape: Shape) {
        self.shape = shape
        chunkElements = min(shape.chunkElements, shape.messageElements)
        chunks = max(1, (shape.count + chunkElements - 1) / chunkElements)
        chunksPerRound = min(chunks, shape.maxChunks, shape.gatedSlots / (shape.worldSize - 1))
    }

    private var others: Int { shape.worldSize - 1 }
    private func after(_ index: Int) -> Int { (shape.rank + 1 + index) % shape.worldSize }
    private func before(_ index: Int) -> Int { (shape.rank + shape.worldSize - 1 - index) % shape.worldSize }

    /// Steps of a round of so many chunks: invitations; the writes to each rank after its invitation; the wait; what comes in.
    private func steps(_ chunks: Int) -> Int { others * (2 + 2 * chunks) + 1 }

    public var count: Int {
        let (full, rest) = chunks.quotientAndRemainder(dividingBy: chunksPerRound)
        return full * steps(chunksPerRound) + (rest > 0 ? steps(rest) : 0)
    }

    public subscript(index: Int) -> Step {
        let (round, step) = index.quotientAndRemainder(dividingBy: steps(chunksPerRound))
        let first = round * chunksPerRound
        return self.step(step, first: first, chunks: min(chunks - first, chunksPerRound))
    }

    /// - Parameter first: of the round's chunks.
    private func step(_ index: Int, first: Int, chunks: Int) -> Step {
        var index = index
        if index < others { return Step(send: .signal(before(index))) }
        index -= others
        if index < others * (1 + chunks) {
            let (turn, part) = index.quotientAndRemainder(dividingBy: 1 + chunks)
            guard part > 0 else { return Step(receive: after(turn)) }
            let block = chunk(first + part - 1, of: after(turn))
            return Step(
                send: Send(
                    peer: after(turn), from: .input(block.lowerBound), to: .gated(slot: turn * chunksPerRound + part - 1),
                    count: block.count))
        }
        index -= others * (1 + chunks)
        if index == 0 { return Step(drain: true) }
        let (turn, part) = (index - 1).quotientAndRemainder(dividingBy: chunks)
        let block = chunk(first + part, of: before(turn))
        let slot = Location.gated(slot: turn * chunksPerRound + part)
        return Step(
            receive: before(turn),
            action: block.isEmpty ? nil : .copy(from: slot, to: .output(block.lowerBound), count: block.count))
    }

    /// Where a chunk of the block that is swapped with a rank lies.
    private func chunk(_ index: Int, of rank: Int) -> Range<Int> {
        let block = shape.block(rank)
        let start = min(block.upperBound, block.lowerBound + index * chunkElements)
        return start..<min(block.upperBound, start + chunkElements)
    }
}
