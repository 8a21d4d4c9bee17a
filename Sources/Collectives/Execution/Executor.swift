public import Fabric

/// Carries out schedules on a fabric: hands the fabric's events to the state machine, and the machine's writes to the fabric.
///
/// Life: `init` with a connected fabric; every rank adds the same buffers in the same order, swaps the descriptors (that of `SharedBuffer.receiveBuffers`,
/// which `init` allocates, too) and attaches the peers'; then `submit` and `progress`. Collectives are matched across ranks by order of
/// submission, transfers between two ranks by their own order between these two.
///
/// Threads: one at a time. Blocking: `wait` and `close` only. Errors: the first one ends everything, see `CollectiveError`.
/// Ownership: the input and output of a submitted operation belong to the executor until it is reported finished.
public struct Executor<F: Fabric & ~Copyable>: ~Copyable {
    @usableFromInline var device: F
    @usableFromInline var node: StateMachine

    /// Operations submitted and not yet taken as finished, at most; `submit` traps beyond it.
    public static var maxPending: Int { StateMachine.maxPending }

    /// - Parameters:
    ///   - fabric: connected to `peers`, with `arrivalDepth` and `writeDepth` of at least what the settings say.
    ///   - peers: nil for all other ranks; fewer where it is known that no algorithm will need more.
    public init(fabric: consuming F, settings: ExecutorSettings, peers: [Int]? = nil) throws(FabricError) {
        let (rank, worldSize) = (fabric.rank, fabric.worldSize)
        invariant(settings.worldSize == worldSize, "the settings are those of this world")
        guard worldSize == 1 || min(fabric.arrivalDepth, fabric.writeDepth) >= settings.arrivalDepth else {
            throw FabricError(
                .resource, during: .open,
                detail: "queues of \(fabric.arrivalDepth) arrivals and \(fabric.writeDepth) writes, \(settings.arrivalDepth) needed",
                remedy: "use a device with deeper queues, or fewer ranks")
        }
        let (least, most) = (settings.minMessageBytes, fabric.writeByteLimit)
        guard worldSize == 1 || (least <= settings.messageBytes && settings.messageBytes <= most) else {
            throw FabricError(
                .resource, during: .open,
                detail:
                    "messages of at most \(min(settings.messageBytes, most)) bytes, \(least) needed",
                remedy: "use a device whose port takes longer ones (max_msg_sz of ibv_devinfo -v)")
        }
        var fabric = fabric
        let receiveBuffers = try fabric.allocate(byteCount: settings.receiveBuffers.byteCount)
        node = StateMachine(
            settings, rank: rank, peers: peers ?? (0..<worldSize).filter { $0 != rank }, receiveBuffers: receiveBuffers,
            writeDepth: fabric.writeDepth,
            writesCompleteAtOnce: fabric.writesCompleteAtOnce)
        device = fabric
    }

    public var settings: ExecutorSettings { node.settings }
    /// What has ended the executor.
    public var failure: CollectiveError? { node.failure }
    /// Whether there is a `failure`.
    @inlinable
    public var hasFailed: Bool { node.hasFailed }
    public var fabricName: String { device.name }
    public var deviceName: String { device.deviceName }

    /// Ends another thread's `wait`.
    public func waker() -> Waker { device.waker() }

    // MARK: buffers

    /// Allocates a buffer that peers may write into. Every rank adds the same buffers in the same order.
    /// - Returns: its number, and its memory, good as long as the executor lives.
    public mutating func addBuffer(byteCount: Int) throws(FabricError) -> (SharedBuffer, Region) {
        let region = try device.allocate(byteCount: byteCount)
        return (node.add(region), region)
    }

    /// Makes memory a region that can become a buffer, when the ranks have swapped descriptors; see `Fabric.register`.
    public mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? { try device.register(memory) }

    public func descriptor(of region: Region) -> [UInt8] { device.descriptor(of: region) }

    /// Takes back a region that has not become a buffer.
    public mutating func release(_ region: Region) { device.release(region) }

    /// Makes a region a buffer. Every rank adds its part in the same order, as with `addBuffer`.
    /// - Parameter descriptors: every rank's, by rank.
    public mutating func addBuffer(_ region: Region, descriptors: [[UInt8]]) throws(FabricError) -> SharedBuffer {
        let buffer = node.add(region)
        try attach(buffer, descriptors: descriptors)
        return buffer
    }

    /// Makes memory that peers cannot reach a buffer, for operations that are private. Every rank adds its part in the same order, as with `addBuffer`.
    /// - Returns: nil, and nothing is added, where the fabric has no writes from such memory; the same on every rank of a node.
    public mutating func addPrivateBuffer(_ memory: LentMemory) -> SharedBuffer? { device.registerSource(memory).map { node.add($0) } }

    /// Whether an operation that has not ended touches the buffer.
    public func isInUse(_ buffer: SharedBuffer) -> Bool { node.isInUse(buffer) }

    /// Takes a buffer back, of which no operation is under way: this rank's region, and what it knows of the peers'. The peers may do so at another time,
    /// because they write to this rank only what it asks for. The buffer's number does not come again.
    public mutating func removeBuffer(_ buffer: SharedBuffer) {
        let (region, remotes) = node.remove(buffer)
        for remote in remotes { if let remote { device.detach(remote) } }
        device.release(region)
    }

    /// What the other ranks need in order to attach this rank's part of a buffer.
    public func descriptor(of buffer: SharedBuffer) -> [UInt8] { device.descriptor(of: node.buffers[buffer.index].region) }

    /// - Parameter descriptors: every rank's, by rank; only the peers' are used.
    public mutating func attach(_ buffer: SharedBuffer, descriptors: [[UInt8]]) throws(FabricError) {
        for (position, peer) in node.peers.enumerated() {
            let remote = try device.attach(descriptors[peer], of: peer)
            node.buffers[buffer.index].remotes[position] = remote
            // SAFETY: valid until `detach`: `removeBuffer` makes the node forget it first.
            unsafe node.buffers[buffer.index].mapped[position] = device.address(of: remote)
        }
    }

    // MARK: operations

    /// Puts an operation in the order. It starts at once where its lane is free.
    /// - Parameters:
    ///   - number: the caller's name for it, which `Finished` gives back; the executor does not look at it.
    ///   - submitted: when the caller asked for it, in nanoseconds of the fabric's clock: then a record of its times is kept. Nil: none, and no
    ///     clock is read.
    /// - Throws: what has ended the executor; nothing is submitted then. A range outside the buffers, or an algorithm that cannot carry out the
    ///   collective (`canCarryOut`), traps.
    @inlinable
    public mutating func submit(_ operation: Operation, number: Int = 0, recordedFrom submitted: UInt64? = nil) throws(CollectiveError) {
        if submitted != nil { node.now = device.now().nanoseconds }
        try node.submit(operation, number: number, recordedFrom: submitted)
        if submitted != nil { node.worked += device.now().nanoseconds - node.now }
        postWrites()
    }

    /// How many operations were submitted so far, ended ones included.
    public var submitted: Submitted { node.submitted }

    /// Ends, as failed, transfers that no rank will ever join; for ranks that submit nothing any more and have told each other how much they did.
    /// - Parameter submitted: of every rank, by rank.
    public mutating func endUnmatched(_ submitted: [Submitted]) { node.endUnmatched(submitted) }

    /// Whether the algorithm that an operation asks for can carry it out here.
    public func canCarryOut(_ operation: Operation) -> Bool { node.canCarryOut(operation) }

    /// Makes these the costs that algorithms are chosen by. Every rank does so at the same place of the order.
    public mutating func adopt(_ costs: Costs) { node.adopt(costs) }

    /// Operations not yet reported as finished.
    public var hasWork: Bool { node.unfinished > 0 }

    /// What to call the present in a message: the oldest operation under way, or the last one.
    public var currentOperation: String { node.currentOperation }

    /// Whether an operation has ended and was not taken yet.
    @inlinable
    public var hasFinished: Bool { node.hasFinished }

    /// Takes what has ended and was not taken yet, one at a time, in the order in which it ended; nil where there is no more.
    @inlinable
    public mutating func takeFinished() -> Finished? {
        guard let ending = node.takeEnding() else { return nil }
        return Finished(
            number: ending.number, isFailed: ending.isFailed,
            record: ending.isRecorded ? node.takeRecord(endedAt: device.now().nanoseconds) : nil)
    }

    /// Events that one call of `progress` handles, at most: its caller has mail and verdicts to read, however fast events come.
    @usableFromInline static var maxEvents: Int { 256 }

    /// Handles the fabric's events: all that there are, up to a bound, or until an operation has ended. Call again when `wait` returns.
    /// - Returns: whether there was any event: call again at once, then.
    @inlinable
    public mutating func progress() -> Bool {
        var events = 0
        while let event = device.poll() {
            events += 1
            if node.recorded > 0 {
                node.now = device.now().nanoseconds
                node.handle(event)
                node.worked += device.now().nanoseconds - node.now
            } else {
                node.handle(event)
            }
            let isQuiet = node.writesCompleteAtOnce || node.outbox.isEmpty
            postWrites()
            // A caller that waits for an operation must not wait for a look at what comes after it. Where writes leave at the next look only, it must.
            if node.hasFinished, node.writesCompleteAtOnce { break }
            // Not while a write has yet to leave: if its operation has ended, nobody need look again.
            if events >= Self.maxEvents, isQuiet { break }
        }
        return events > 0
    }

    /// Gives the fabric what the node wants written. A refusal ends everything: the node keeps to the queues' depths.
    @inlinable
    mutating func postWrites() {
        tellTouched()
        while !node.outbox.isEmpty {
            for index in 0..<node.outbox.count {
                do throws(FabricError) {
                    _ = try device.write(node.outbox[index])
                } catch {
                    return node.refuse(error)
                }
            }
            // A lane may have waited for this, and want more, or do something long first.
            if node.isOutboxAwaited, !node.writesCompleteAtOnce { device.flush() }
            if node.recorded > 0, node.isOutboxAwaited {
                let start = device.now().nanoseconds
                node.outboxPosted()
                node.worked += device.now().nanoseconds - start
            } else {
                node.outboxPosted()
            }
            tellTouched()
        }
    }

    @inlinable
    mutating func tellTouched() {
        guard node.touchedBytes > 0 else { return }
        device.didTouch(byteCount: node.touchedBytes)
        node.touchedBytes = 0
    }

    /// The first collective in the order that has waited so long for a peer, as far as `checkStall` has looked; nil where none has, and where neither
    /// its end nor that of one after it is awaited, as `isAwaited` says of a number.
    public func longWait(milliseconds: UInt64, isAwaited: (Int) -> Bool) -> AwaitedPeer? {
        node.longWait(at: device.now(), milliseconds: milliseconds, isAwaited: isAwaited)
    }

    /// Ends everything if some operation has not moved for longer than the stall limit. Call it now and then, when nothing happens.
    /// - Parameter longestGapMilliseconds: between two calls; time beyond it is time in which this process was stopped, its peers maybe with it.
    public mutating func checkStall(longestGapMilliseconds: UInt64 = .max) {
        node.findStall(at: device.now(), longestGapMilliseconds: longestGapMilliseconds)
    }

    /// Ends everything because an operation has not ended within the time that its caller gave it. Does nothing where it has.
    public mutating func timeOut(number: Int, milliseconds: UInt64) { node.timeOut(number: number, milliseconds: milliseconds) }

    /// Sleeps until the fabric may have an event, its waker was used, or the time is over.
    /// - Parameter isPatient: whether nobody waits for what comes; see `Fabric.waitPatiently`.
    public mutating func wait(milliseconds: UInt64, isPatient: Bool = false) {
        let deadline = device.now().advanced(milliseconds: milliseconds)
        if isPatient { device.waitPatiently(until: deadline) } else { device.wait(until: deadline) }
    }

    /// See `Fabric.gathersEvents`.
    public var gathersEvents: Bool { device.gathersEvents }

    /// Waits for the completion of all writes to peers that have not closed yet, and closes the fabric in order, for at most so long. No operation may be
    /// under way.
    public mutating func close(milliseconds: UInt64) {
        let deadline = device.now().advanced(milliseconds: milliseconds)
        while node.hasWritesUnderWay, !hasFailed, device.now() < deadline {
            if !progress() { device.wait(until: deadline) }
        }
        device.close(deadline: deadline)
    }

    /// Ends everything in flight with `error`, for instance a verdict that was agreed elsewhere.
    public mutating func fail(_ error: CollectiveError) { node.fail(error) }
}
