public import Collectives
public import Engine
internal import Membership
public import Reduction

// What all ranks do together. Every call is made by every rank of the communicator, in the same order and with the same arguments, transfers between two
// ranks excepted; one thread at a time. Buffers are the engine's from the call to its end.
extension Communicator {
    /// Carries out a collective and returns when this rank's part of the result is final and its buffers may be changed.
    ///
    /// This thread does the work, unless operations that were started before are still under way: then it waits for the progress thread.
    /// Counts and places are those of `Collective` and `Operation`.
    /// - Parameters:
    ///   - output: nil for in place.
    ///   - count: in elements; see `Collective`. Nil for what the buffers hold: all of the smaller side, or the larger side's part for one rank.
    ///   - algorithm: nil for the one that should be fastest (`explain`).
    ///   - timeout: how long the operation may take, on the monotonic clock. After that it has failed as one that stands still for the stall limit
    ///     (`Configuration.stallTimeoutSeconds`), which bounds it in any case: every rank gets the same verdict, which names the rank that was waited
    ///     for. Peers may write into the buffers until they have learnt of it: leave their memory alone until the communicator is closed.
    /// - Throws: `.configuration` where the arguments do not fit, before anything moves; the verdict, when a rank is lost or runs another operation;
    ///   `.closed` after `close`, and where a buffer was released.
    @inlinable
    public func perform<B: Exchangeable>(
        _ collective: Collective, _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum,
        algorithm: Algorithm? = nil, timeout: Duration? = nil
    ) throws(VerbenaError) {
        try run(collective, input.raw, output?.raw, count, reduction, algorithm, timeout)
    }

    /// - Parameter counts: where blocks differ in size; the operation does not keep them.
    @usableFromInline
    func run(
        _ collective: Collective, _ input: RawBuffer, _ output: RawBuffer?, _ count: Int?, _ reduction: ReductionOperation,
        _ algorithm: Algorithm?, _ timeout: Duration? = nil, counts: BlockCounts? = nil
    ) throws(VerbenaError) {
        defer { extendLifetime(counts) }
        let (operation, stagesIn, stagesOut) = try operation(collective, input, output, count, reduction, algorithm, counts)
        if stagesIn { try input.stageIn(operation.readRange(rank: rank, worldSize: worldSize)) }
        try runner.run(operation, milliseconds: timeout?.wholeMilliseconds ?? .max)
        guard stagesOut else { return }
        try (output ?? input).stageOut(operation.writtenRange(rank: rank, worldSize: worldSize))
    }

    /// Begins a collective and returns at once; the progress thread carries it out. At most 512 may be under way, those included whose `wait`
    /// has not returned. The first use of a buffer that this communicator does not know is waited for: see `attach`.
    public func start<B: Exchangeable>(
        _ collective: Collective, _ input: B, into output: B? = nil, count: Int? = nil, _ reduction: ReductionOperation = .sum,
        algorithm: Algorithm? = nil
    ) throws(VerbenaError) -> Request {
        try begin(try operation(collective, input.raw, output?.raw, count, reduction, algorithm), input.raw, output?.raw ?? input.raw)
    }

    /// Sends `count` elements from `offset` to a rank, which receives as many of the same type. Returns when they may be changed.
    ///
    /// Transfers between two ranks are matched by their order between these two, independent of collectives.
    public func send<B: Exchangeable>(_ buffer: B, offset: Int = 0, count: Int, to rank: Int, timeout: Duration? = nil) throws(VerbenaError)
    {
        let buffer = try part(of: buffer, offset, .send(to: rank))
        try run(.send(to: rank), buffer, nil, count, .sum, nil, timeout)
    }

    /// Receives what `rank` sends into the elements from `offset`.
    public func receive<B: Exchangeable>(_ buffer: B, offset: Int = 0, count: Int, from rank: Int, timeout: Duration? = nil)
        throws(VerbenaError)
    {
        let buffer = try part(of: buffer, offset, .receive(from: rank))
        try run(.receive(from: rank), buffer, nil, count, .sum, nil, timeout)
    }

    /// The same, begun only: so a rank can send and receive at once.
    public func startSend<B: Exchangeable>(_ buffer: B, offset: Int = 0, count: Int, to rank: Int) throws(VerbenaError) -> Request {
        try start(.send(to: rank), try part(of: buffer, offset, .send(to: rank)), count: count)
    }

    public func startReceive<B: Exchangeable>(_ buffer: B, offset: Int = 0, count: Int, from rank: Int) throws(VerbenaError) -> Request {
        try start(.receive(from: rank), try part(of: buffer, offset, .receive(from: rank)), count: count)
    }

    /// What would be done for a collective of this size, and why. The same on every rank.
    /// - Parameter byteCount: of one rank's part: `count` elements.
    public func explain(_ collective: Collective, byteCount: Int, type: ElementType) -> Explanation {
        let settings = engine.settings
        return Explanation(settings.choice(for: collective, byteCount: byteCount, type: type), settings, link: job.configuration.link)
    }

    /// Those that can carry out a collective of this size when asked to: `explain` compares only those that give the same bits.
    /// - Parameter byteCount: as in `explain`.
    public func algorithms(for collective: Collective, byteCount: Int) -> [Algorithm] {
        engine.settings.algorithms(for: collective, byteCount: byteCount)
    }

    /// What algorithms are chosen by: measured when the ranks joined, or loaded (`Configuration.costsFile`). The same on every rank.
    public var costs: Costs { engine.settings.costs }

    /// What the engine holds beyond the caller's buffers.
    public var memory: MemoryReport {
        let settings = engine.settings
        return MemoryReport(receiveBufferByteCount: settings.receiveBufferByteCount, limitByteCount: settings.receiveBufferByteLimit)
    }

    // MARK: arguments

    /// More than any memory holds, and few enough that bytes of all ranks can be counted.
    static let maxElements = 1 << 38

    static var barrierOperation: Operation { Operation(.barrier, input: Place(.receiveBuffers), count: 0, type: .uint8) }

    /// - Parameter counts: the operation's, which does not keep them.
    func begin(
        _ prepared: (operation: Operation, stagesIn: Bool, stagesOut: Bool), _ input: RawBuffer, _ output: RawBuffer,
        keeping counts: BlockCounts? = nil
    ) throws(VerbenaError) -> Request {
        let operation = prepared.operation
        if prepared.stagesIn { try input.stageIn(operation.readRange(rank: rank, worldSize: worldSize)) }
        let ticket = try engine.submit(operation)
        return Request(
            ticket, of: self, copiesTo: prepared.stagesOut ? output : nil, operation.writtenRange(rank: rank, worldSize: worldSize),
            keeping: counts)
    }

    @inline(__always)
    func operation(
        _ collective: Collective, _ input: RawBuffer, _ output: RawBuffer?, _ count: Int?, _ reduction: ReductionOperation,
        _ algorithm: Algorithm?, _ counts: BlockCounts? = nil
    ) throws(VerbenaError) -> (operation: Operation, stagesIn: Bool, stagesOut: Bool) {
        let count = if let count { count } else { try wholeCount(collective, input.count, output?.count) }
        let read = try attachment(of: input, for: collective)
        let written = if let output { try attachment(of: output, for: collective) } else { read }
        var operation = Operation(
            collective, input: Place(read.buffer, byteOffset: input.byteOffset),
            output: Place(written.buffer, byteOffset: output?.byteOffset ?? input.byteOffset), count: count, counts: counts,
            type: input.type,
            reduction: reduction, algorithm: algorithm)
        guard output?.type ?? input.type == input.type else {
            throw VerbenaError(.configuration, "\(collective): the input is of another element type than the output; give both the same")
        }
        try check(operation, input.count, output?.count ?? input.count, hasCounts: counts != nil)
        guard read.isStaged || written.isStaged else { return (operation, false, false) }
        // On the memory itself, where nothing need stand in for it.
        guard let own = read.own, let other = written.own, operation.canBePrivate else {
            if input.memory.isWhole || output?.memory.isWhole ?? false {
                throw VerbenaError(.configuration, "\(collective): not on memory that was not registered; allocate or register a buffer")
            }
            return (operation, read.isStaged, written.isStaged)
        }
        (operation.input.buffer, operation.output.buffer) = (own, other)
        operation.isPrivate = true
        return (operation, false, false)
    }

    /// One rank's part, where the buffers are used whole.
    private func wholeCount(_ collective: Collective, _ inputCount: Int, _ outputCount: Int?) throws(VerbenaError) -> Int {
        switch collective {
        case .allReduce, .reduce, .broadcast, .reduceStripes, .gatherStripes, .send, .receive: return inputCount
        case .barrier: return 0
        case .allGather where outputCount != nil, .gather where outputCount != nil: return inputCount
        case .reduceScatter, .scatter: if let outputCount { return outputCount }
        case .allGather, .gather, .allToAll: break
        }
        guard inputCount % worldSize == 0 else {
            throw VerbenaError(.configuration, "\(collective): \(inputCount) elements are not \(worldSize) equal parts; give a count")
        }
        return inputCount / worldSize
    }

    private func part<B: Exchangeable>(of buffer: B, _ offset: Int, _ transfer: Collective) throws(VerbenaError) -> RawBuffer {
        let raw = buffer.raw
        guard 0...raw.count ~= offset else {
            throw VerbenaError(.configuration, "\(transfer) from element \(offset) of a buffer of \(raw.count)")
        }
        return raw[offset...]
    }

    /// Most operations are allreduces of what fits: they pass here, and the rest is not looked at.
    @inline(__always)
    private func check(_ operation: Operation, _ inputCount: Int, _ outputCount: Int, hasCounts: Bool) throws(VerbenaError) {
        if case .allReduce = operation.collective, operation.algorithm == nil, operation.count >= 0,
            operation.count <= min(inputCount, outputCount, Self.maxElements)
        {
            return
        }
        try checkAll(operation, inputCount, outputCount, hasCounts: hasCounts)
    }

    @inline(never)
    private func checkAll(_ operation: Operation, _ inputCount: Int, _ outputCount: Int, hasCounts: Bool) throws(VerbenaError) {
        let collective = operation.collective
        func refuse(_ why: String) -> VerbenaError { VerbenaError(.configuration, "\(collective): \(why)") }
        guard 0...Self.maxElements ~= operation.count else { throw refuse("\(operation.count) elements") }
        switch collective {
        case .broadcast(let root), .reduce(let root), .gather(let root), .scatter(let root):
            guard 0..<worldSize ~= root else { throw refuse("there is no rank \(root) to be the root; ranks are 0 to \(worldSize - 1)") }
        case .send(let peer), .receive(let peer):
            guard 0..<worldSize ~= peer, peer != rank else { throw refuse("rank \(peer) is not another rank of 0 to \(worldSize - 1)") }
        case .allToAll where operation.isInPlace && hasCounts:
            throw refuse("with counts of its own it cannot be in place; give it another output")
        case .reduceStripes where operation.stripe == 0, .gatherStripes where operation.stripe == 0:
            throw refuse("it is half of an allreduce with stripes, and this call gives none; use allReduce, or reduceScatter and allGather")
        default: break
        }
        let needs = operation.extents(worldSize: worldSize).needs(of: rank)
        guard needs.input <= inputCount else { throw refuse("it reads \(needs.input) elements, and the input has \(inputCount)") }
        guard needs.output <= outputCount else { throw refuse("it writes \(needs.output) elements, and the output has \(outputCount)") }
        guard let asked = operation.algorithm else { return }
        let byteCount = operation.count * operation.type.byteCount
        let possible = engine.settings.algorithms(for: collective, byteCount: byteCount)
        guard possible.contains(asked) else {
            let names = possible.map(\.rawValue).joined(separator: ", ")
            throw refuse("'\(asked.rawValue)' cannot carry it out with \(byteCount) bytes a rank here; possible: \(names)")
        }
    }
}
