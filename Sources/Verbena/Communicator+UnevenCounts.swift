internal import Collectives
public import Engine
public import Reduction

// Collectives whose blocks differ in size from rank to rank: MPI's v-variants, and what torch.distributed does with lists of sizes. A count may be 0.
// Blocks lie back to back in the order of ranks. The rules of `perform` and `start` hold.
extension Communicator {
    /// Gives every rank the inputs of all, in the order of ranks.
    /// - Parameters:
    ///   - output: nil for in place, where the rank's own block lies among the others already.
    ///   - counts: elements of each rank's input, the same list on every rank.
    public func allGather<B: Exchangeable>(
        _ input: B, into output: B? = nil, counts: [Int], timeout: Duration? = nil
    ) throws(VerbenaError) {
        try run(.allGather, input.raw, output?.raw, 0, .sum, nil, timeout, counts: try blocks(.allGather, counts))
    }

    public func startAllGather<B: Exchangeable>(
        _ input: B, into output: B? = nil, counts: [Int]
    ) throws(VerbenaError) -> Request {
        try begin(.allGather, input, output, try blocks(.allGather, counts))
    }

    /// Reduces the blocks of all ranks; block `rank` is this rank's result.
    /// - Parameters:
    ///   - output: nil for in place, where the result takes the place of the rank's own block.
    ///   - counts: elements of each rank's result, the same list on every rank.
    public func reduceScatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, counts: [Int], _ reduction: ReductionOperation = .sum, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try run(.reduceScatter, input.raw, output?.raw, 0, reduction, nil, timeout, counts: try blocks(.reduceScatter, counts))
    }

    public func startReduceScatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, counts: [Int], _ reduction: ReductionOperation = .sum
    ) throws(VerbenaError) -> Request {
        try begin(.reduceScatter, input, output, try blocks(.reduceScatter, counts), reduction)
    }

    /// Sends block i of the input to rank i, and receives that rank's block for this one as block i of the output.
    /// - Parameters:
    ///   - output: another place than the input.
    ///   - sendCounts: elements for each rank.
    ///   - receiveCounts: elements from each rank: what that one sends to this. Ranks that disagree get a verdict.
    public func allToAll<B: Exchangeable>(
        _ input: B, into output: B, sendCounts: [Int], receiveCounts: [Int], timeout: Duration? = nil
    ) throws(VerbenaError) {
        try run(.allToAll, input.raw, output.raw, 0, .sum, nil, timeout, counts: try blocks(sendCounts, receiveCounts))
    }

    public func startAllToAll<B: Exchangeable>(
        _ input: B, into output: B, sendCounts: [Int], receiveCounts: [Int]
    ) throws(VerbenaError) -> Request {
        try begin(.allToAll, input, output, try blocks(sendCounts, receiveCounts))
    }

    private func begin<B: Exchangeable>(
        _ collective: Collective, _ input: B, _ output: B?, _ counts: BlockCounts, _ reduction: ReductionOperation = .sum
    ) throws(VerbenaError) -> Request {
        let prepared = try operation(collective, input.raw, output?.raw, 0, reduction, nil, counts)
        return try begin(prepared, input.raw, (output ?? input).raw, keeping: counts)
    }

    // MARK: counts

    private func blocks(_ collective: Collective, _ counts: [Int]) throws(VerbenaError) -> BlockCounts {
        try check(counts, "count", collective)
        return BlockCounts(counts)
    }

    private func blocks(_ sent: [Int], _ received: [Int]) throws(VerbenaError) -> BlockCounts {
        let collective = Collective.allToAll
        try check(sent, "send count", collective)
        try check(received, "receive count", collective)
        guard sent[rank] == received[rank] else {
            throw VerbenaError(
                .configuration, "\(collective): this rank sends \(sent[rank]) elements to itself and receives \(received[rank])")
        }
        return BlockCounts(sent: sent, received: received)
    }

    private func check(_ counts: [Int], _ what: String, _ collective: Collective) throws(VerbenaError) {
        guard counts.count == worldSize else {
            throw VerbenaError(.configuration, "\(collective): \(counts.count) \(what)s; give one for each of \(worldSize) ranks")
        }
        guard let bad = counts.firstIndex(where: { !(0...Self.maxElements ~= $0) }) else { return }
        throw VerbenaError(.configuration, "\(collective): the \(what) for rank \(bad) is \(counts[bad]); give 0 or more elements")
    }
}
