public import Collectives
public import Engine
public import Reduction

// Each collective by its name, blocking and started: `perform` and `start` with the usual arguments. All counts are of one rank's part, as `Collective`
// says; nil stands for what the buffers hold. Without an output an operation is in place, as `Operation` says. Inlinable, so that a caller that knows the
// type of its buffers passes no generic one.
extension Communicator {
    /// Reduces the inputs of all ranks; every rank gets the result.
    @inlinable
    public func allReduce<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum,
        timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.allReduce, input, into: output, count: count, reduction, timeout: timeout)
    }

    @inlinable
    public func startAllReduce<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum
    ) throws(VerbenaError) -> Request { try start(.allReduce, input, into: output, count: count, reduction) }

    /// Reduces the inputs of all ranks; each rank gets its own part of the result.
    @inlinable
    public func reduceScatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum,
        timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.reduceScatter, input, into: output, count: count, reduction, timeout: timeout)
    }

    @inlinable
    public func startReduceScatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum
    ) throws(VerbenaError) -> Request { try start(.reduceScatter, input, into: output, count: count, reduction) }

    /// Gives every rank the inputs of all, in the order of ranks.
    @inlinable
    public func allGather<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.allGather, input, into: output, count: count, timeout: timeout)
    }

    @inlinable
    public func startAllGather<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil
    ) throws(VerbenaError) -> Request { try start(.allGather, input, into: output, count: count) }

    /// Gives each rank its part of every rank's input, in the order of ranks.
    @inlinable
    public func allToAll<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.allToAll, input, into: output, count: count, timeout: timeout)
    }

    @inlinable
    public func startAllToAll<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil
    ) throws(VerbenaError) -> Request { try start(.allToAll, input, into: output, count: count) }

    /// Gives every rank what the root has in the buffer.
    @inlinable
    public func broadcast<B: Exchangeable>(
        _ buffer: B, count: Int? = nil, root: Int, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.broadcast(root: root), buffer, count: count, timeout: timeout)
    }

    @inlinable
    public func startBroadcast<B: Exchangeable>(
        _ buffer: B, count: Int? = nil, root: Int
    ) throws(VerbenaError) -> Request { try start(.broadcast(root: root), buffer, count: count) }

    /// Reduces the inputs of all ranks; the root gets the result. All ranks name the same buffers.
    @inlinable
    public func reduce<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum, root: Int,
        timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.reduce(root: root), input, into: output, count: count, reduction, timeout: timeout)
    }

    @inlinable
    public func startReduce<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum, root: Int
    ) throws(VerbenaError) -> Request { try start(.reduce(root: root), input, into: output, count: count, reduction) }

    /// Gives the root the inputs of all ranks, in the order of ranks. All ranks name the same buffers.
    @inlinable
    public func gather<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, root: Int, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.gather(root: root), input, into: output, count: count, timeout: timeout)
    }

    @inlinable
    public func startGather<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, root: Int
    ) throws(VerbenaError) -> Request { try start(.gather(root: root), input, into: output, count: count) }

    /// Gives each rank its part of the root's input. All ranks name the same buffers.
    @inlinable
    public func scatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, root: Int, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try perform(.scatter(root: root), input, into: output, count: count, timeout: timeout)
    }

    @inlinable
    public func startScatter<B: Exchangeable>(
        _ input: B, into output: B? = nil, count: Int? = nil, root: Int
    ) throws(VerbenaError) -> Request { try start(.scatter(root: root), input, into: output, count: count) }

    /// Returns once every rank has called it.
    public func barrier(timeout: Duration? = nil) throws(VerbenaError) {
        try runner.run(Self.barrierOperation, milliseconds: timeout?.wholeMilliseconds ?? .max)
    }

    /// Begun only: the request ends once every rank has begun it.
    public func startBarrier() throws(VerbenaError) -> Request {
        Request(try engine.submit(Self.barrierOperation), of: self, copiesTo: nil, 0..<0, keeping: nil)
    }
}
