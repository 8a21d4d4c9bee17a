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
    ///   - count: in elements; see `Collective`.
    ///   - algorithm: nil for the one that should be fastest (`explain`).
    /// - Throws: `.configuration` where the arguments do not fit, a buffer of another communicator among them, before anything moves; the verdict,
    ///   when a rank is lost or runs another operation; `.closed` after `close`.
    public func perform<E: Element>(
        _ collective: Collective, _ input: Buffer<E>, into output: Buffer<E>? = nil, count: Int, _ reduction: ReductionOperation = .sum,
        algorithm: Algorithm? = nil
    ) throws(VerbenaError) {
        let operation = try operation(collective, input, output, count, reduction, algorithm)
        if input.isStaged { try input.stageIn(operation.readRange(rank: rank, worldSize: worldSize)) }
        try runner.run(operation)
        // Asked for so that nothing is retained: that would be a tenth of a small operation.
        guard output?.isStaged ?? input.isStaged else { return }
        try (output ?? input).stageOut(operation.writtenRange(rank: rank, worldSize: worldSize))
    }

    /// Begins a collective and returns at once; the progress thread carries it out. At most 512 may be under way, those included whose `wait`
    /// has not returned.
    public func start<E: Element>(
        _ collective: Collective, _ input: Buffer<E>, into output: Buffer<E>? = nil, count: Int, _ reduction: ReductionOperation = .sum,
        algorithm: Algorithm? = nil
    ) throws(VerbenaError) -> Request {
        try begin(try operation(collective, input, output, count, reduction, algorithm), input, output ?? input)
    }

    /// Reduces the first `count` elements over all ranks, in place.
    /// - Parameter count: nil for the whole buffer.
    public func allReduce<E: Element>(
        _ buffer: Buffer<E>, count: Int? = nil, _ reduction: ReductionOperation = .sum
    ) throws(VerbenaError) {
        try perform(.allReduce, buffer, count: count ?? buffer.count, reduction)
    }

    /// Returns once every rank has called it.
    public func barrier() throws(VerbenaError) { try runner.run(Self.barrierOperation) }

    /// Sends `count` elements from `offset` to a rank, which receives as many of the same type. Returns when they may be changed.
    ///
    /// Transfers between two ranks are matched by their order between these two, independent of collectives.
    public func send<E: Element>(_ buffer: Buffer<E>, offset: Int = 0, count: Int, to rank: Int) throws(VerbenaError) {
        let operation = try transfer(.send(to: rank), buffer, offset, count)
        try buffer.stageIn(offset..<offset + count)
        try runner.run(operation)
    }

    /// Receives what `rank` sends into the elements from `offset`.
    public func receive<E: Element>(_ buffer: Buffer<E>, offset: Int = 0, count: Int, from rank: Int) throws(VerbenaError) {
        try runner.run(try transfer(.receive(from: rank), buffer, offset, count))
        try buffer.stageOut(offset..<offset + count)
    }

    /// The same, begun only: so a rank can send and receive at once.
    public func startSend<E: Element>(_ buffer: Buffer<E>, offset: Int = 0, count: Int, to rank: Int) throws(VerbenaError) -> Request {
        try begin(try transfer(.send(to: rank), buffer, offset, count), buffer, buffer)
    }

    public func startReceive<E: Element>(
        _ buffer: Buffer<E>, offset: Int = 0, count: Int, from rank: Int
    ) throws(VerbenaError) -> Request {
        try begin(try transfer(.receive(from: rank), buffer, offset, count), buffer, buffer)
    }

    /// What would be done for a collective of this size, and why. The same on every rank.
    /// - Parameter byteCount: of one rank's part: `count` elements.
    public func explain(_ collective: Collective, byteCount: Int, type: ElementType) -> Explanation {
        let settings = engine.settings
        return Explanation(settings.choice(for: collective, byteCount: byteCount, type: type), settings)
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
    private static let maxElements = 1 << 38

    static var barrierOperation: Operation { Operation(.barrier, input: Place(.receiveBuffers), count: 0, type: .uint8) }

    private func begin<E: Element>(
        _ operation: Operation, _ input: Buffer<E>, _ output: Buffer<E>
    ) throws(VerbenaError) -> Request {
        if input.isStaged { try input.stageIn(operation.readRange(rank: rank, worldSize: worldSize)) }
        let ticket = try engine.submit(operation)
        return Request(
            ticket, of: self, copiesTo: output.isStaged ? output : nil, operation.writtenRange(rank: rank, worldSize: worldSize))
    }

    @inline(__always)
    private func operation<E: Element>(
        _ collective: Collective, _ input: Buffer<E>, _ output: Buffer<E>?, _ count: Int, _ reduction: ReductionOperation,
        _ algorithm: Algorithm?
    ) throws(VerbenaError) -> Operation {
        try checkOwner(of: input, collective)
        if let output { try checkOwner(of: output, collective) }
        let operation = Operation(
            collective, input: Place(input.shared), output: Place(output?.shared ?? input.shared), count: count, type: E.elementType,
            reduction: reduction, algorithm: algorithm)
        try check(operation, input.count, output?.count ?? input.count)
        return operation
    }

    private func transfer<E: Element>(
        _ collective: Collective, _ buffer: Buffer<E>, _ offset: Int, _ count: Int
    ) throws(VerbenaError) -> Operation {
        try checkOwner(of: buffer, collective)
        guard offset >= 0, offset <= buffer.count else {
            throw VerbenaError(.configuration, "\(collective) from element \(offset) of a buffer of \(buffer.count)")
        }
        let operation = Operation(
            collective, input: Place(buffer.shared, byteOffset: offset * MemoryLayout<E>.stride), count: count, type: E.elementType)
        try check(operation, buffer.count - offset, buffer.count - offset)
        return operation
    }

    /// Buffers are known by numbers, which every communicator gives anew: another's would be taken for one of this one's.
    @inline(__always)
    private func checkOwner<E: Element>(of buffer: Buffer<E>, _ collective: Collective) throws(VerbenaError) {
        guard buffer.isOwned(by: self) else { throw foreign(buffer.owner.group, collective) }
    }

    @inline(never)
    private func foreign(_ owner: RankGroup, _ collective: Collective) -> VerbenaError {
        let of =
            owner.isWholeJob && group.isWholeJob ? "another communicator" : "the communicator of \(owner), and this is that of \(group)"
        return VerbenaError(
            .configuration, "\(collective): the buffer belongs to \(of); allocate or register one on the communicator that exchanges it")
    }

    private func check(_ operation: Operation, _ inputCount: Int, _ outputCount: Int) throws(VerbenaError) {
        let collective = operation.collective
        func refuse(_ why: String) -> VerbenaError { VerbenaError(.configuration, "\(collective): \(why)") }
        guard 0...Self.maxElements ~= operation.count else { throw refuse("\(operation.count) elements") }
        let (input, output) = (operation.inputExtent(worldSize: worldSize), operation.outputExtent(worldSize: worldSize))
        guard input <= inputCount else { throw refuse("it reads \(input) elements, and the input has \(inputCount)") }
        guard output <= outputCount else { throw refuse("it writes \(output) elements, and the output has \(outputCount)") }
        switch collective {
        case .broadcast(let root), .reduce(let root), .gather(let root), .scatter(let root):
            guard 0..<worldSize ~= root else { throw refuse("there is no rank \(root) to be the root; ranks are 0 to \(worldSize - 1)") }
        case .send(let peer), .receive(let peer):
            guard 0..<worldSize ~= peer, peer != rank else { throw refuse("rank \(peer) is not another rank of 0 to \(worldSize - 1)") }
        case .allToAll where operation.isInPlace && operation.count > 0:
            throw refuse("it cannot be in place; give it an output")
        default: break
        }
        guard let asked = operation.algorithm else { return }
        let byteCount = operation.count * operation.type.byteCount
        let possible = engine.settings.algorithms(for: collective, byteCount: byteCount)
        guard possible.contains(asked) else {
            let names = possible.map(\.rawValue).joined(separator: ", ")
            throw refuse("'\(asked.rawValue)' cannot carry it out with \(byteCount) bytes a rank here; possible: \(names)")
        }
    }
}
