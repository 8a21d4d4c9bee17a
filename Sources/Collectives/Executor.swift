public import Fabric
internal import Reduction

/// Carries out schedules on a fabric: a state machine that is given arrivals, completions and the time, and answers with writes.
///
/// Life: `init` with a connected fabric; every rank adds the same buffers in the same order, swaps the descriptors (that of `SharedBuffer.landing`, which `init` allocates, too)
/// and attaches the peers'; then `submit` and `progress`. Collectives are matched across ranks by order of submission, transfers between two ranks
/// by their own order between these two.
///
/// *One rule* keeps every peer's writes apart: a rank writes to another only what that one has asked for in the same operation, or what
/// lands in an eager slot (`Landing`). So whatever the peer is doing, it can be ahead by one operation of a lane that concerns both.
///
/// Threads: one at a time. Blocking: never. Errors: the first one ends everything, see `CollectiveError`.
/// Ownership: the input and output of a submitted operation belong to the executor until it is reported finished.
public struct Executor<F: Fabric & ~Copyable>: ~Copyable {
    public internal(set) var fabric: F
    public private(set) var settings: ExecutorSettings
    public internal(set) var failure: CollectiveError?

    /// Operations that wait for their lane, at most; `submit` traps beyond it.
    public static var mostPending: Int { 1024 }

    let rank: Int
    let worldSize: Int
    let layout: Landing
    /// Connected ranks; the place in this list is the peer's slot. -1 in `slots` for the others.
    let peers: [Int]
    let slots: [Int32]
    /// By number; the first is the landing memory.
    var buffers: [Buffer]
    var lanes: [Lane]
    var links: [Link]
    /// Completed tickets, by slot and channel.
    var completed: [UInt64]
    /// Submitted collectives, and transfers, that are not on a lane.
    var pending = Queue()
    var pendingTransfers: [(operation: Operation, ticket: UInt64)] = []
    /// What the next `submit` will answer.
    public internal(set) var nextTicket: UInt64 = 0
    /// Place of the next collective that starts.
    var nextToStart: UInt64 = 0
    var unfinished = 0
    var finished: [Finished] = []
    var closedPeer: Int?
    var choices: ChoiceCache
    let scratch: FoldScratch
    /// For messages.
    var lastFinished: (operation: Operation, sequence: UInt64)?

    // Each mapping is the fabric's, which lives in this executor; only actions follow it.
    @safe
    struct Buffer {
        var region: Region
        /// By slot.
        var remotes: [RemoteRegion?]
        /// Where this process sees the peers' memory, by slot.
        var mapped: [UnsafeMutableRawPointer?]

        init(_ region: Region, peers: Int) {
            self.region = region
            remotes = Array(repeating: nil, count: peers)
            unsafe mapped = Array(repeating: nil, count: peers)
        }
    }

    /// First in, first out; keeps its capacity.
    struct Queue {
        private var entries: [(operation: Operation, ticket: UInt64)] = []
        private var head = 0

        var count: Int { entries.count - head }
        var first: (operation: Operation, ticket: UInt64)? { head < entries.count ? entries[head] : nil }
        mutating func reserve(_ capacity: Int) { entries.reserveCapacity(capacity) }
        mutating func append(_ operation: Operation, _ ticket: UInt64) { entries.append((operation, ticket)) }
        mutating func removeFirst() {
            head += 1
            guard head == entries.count else { return }
            entries.removeAll(keepingCapacity: true)
            head = 0
        }
    }

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
        let peers = peers ?? (0..<worldSize).filter { $0 != rank }
        var slots = Array(repeating: Int32(-1), count: worldSize)
        for (slot, peer) in peers.enumerated() { slots[peer] = Int32(slot) }
        var fabric = fabric
        let layout = settings.landing
        let landing = try fabric.allocate(byteCount: layout.byteCount)
        buffers = [Buffer(landing, peers: peers.count)]
        self.fabric = fabric
        self.settings = settings
        self.rank = rank
        self.worldSize = worldSize
        self.layout = layout
        self.peers = peers
        self.slots = slots
        completed = Array(repeating: 0, count: peers.count * settings.channelsPerPeer)
        lanes = Self.lanes(settings, rank: rank, peers: peers.count)
        links = Array(repeating: Link(), count: (ExecutorSettings.lanes + 2) * peers.count)
        choices = ChoiceCache()
        scratch = FoldScratch(capacity: worldSize + 1)
        pending.reserve(Self.mostPending)
        finished.reserveCapacity(Self.mostPending)
    }

    /// Those of collectives first; then for each peer that of transfers to it, and that of transfers from it.
    private static func lanes(_ settings: ExecutorSettings, rank: Int, peers: Int) -> [Lane] {
        let shape = settings.shape(
            of: Operation(.barrier, input: Place(.landing), count: 0, type: .float32), rank: rank, layout: settings.landing)
        let idle = Schedule.alone(Alone(shape))
        let count = ExecutorSettings.lanes
        let collectives = (0..<count).map {
            Lane(
                sequence: UInt64($0), stride: UInt64(count), channel: $0 % settings.channelsPerPeer, firstLink: $0 * peers, onlySlot: -1,
                kind: .collective, idle: idle)
        }
        let transfers = (0..<2 * peers).map {
            Lane(
                sequence: 0, stride: 1, channel: 0, firstLink: count * peers + $0, onlySlot: $0 / 2,
                kind: $0 % 2 == 0 ? .toSender : .toReceiver,
                idle: idle)
        }
        return collectives + transfers
    }

    /// The ranks that a flat ring needs: left and right, which may be the same one, or none.
    public static func ringPeers(rank: Int, worldSize: Int) -> [Int] {
        let (left, right) = ((rank + worldSize - 1) % worldSize, (rank + 1) % worldSize)
        return worldSize == 1 ? [] : left == right ? [left] : [left, right]
    }

    // MARK: buffers

    /// Allocates a buffer that peers may write into. Every rank adds the same buffers in the same order.
    /// - Returns: its number, and its memory, good as long as the executor lives.
    public mutating func addBuffer(byteCount: Int) throws(FabricError) -> (SharedBuffer, Region) {
        let region = try fabric.allocate(byteCount: byteCount)
        return (add(region), region)
    }

    /// Registers memory of the caller's own as a buffer; see `Fabric.register`.
    /// - Returns: nil where peers cannot reach such memory.
    public mutating func addBuffer(_ memory: UnsafeMutableRawPointer, byteCount: Int) throws(FabricError) -> SharedBuffer? {
        // SAFETY: the caller keeps the memory, as `register` asks.
        try unsafe fabric.register(memory, byteCount: byteCount).map { add($0) }
    }

    private mutating func add(_ region: Region) -> SharedBuffer {
        buffers.append(Buffer(region, peers: peers.count))
        return SharedBuffer(index: buffers.count - 1)
    }

    /// What the other ranks need in order to attach this rank's part of a buffer.
    public func descriptor(of buffer: SharedBuffer) -> [UInt8] { fabric.descriptor(of: buffers[buffer.index].region) }

    /// - Parameter descriptors: every rank's, by rank; only the peers' are used.
    public mutating func attach(_ buffer: SharedBuffer, descriptors: [[UInt8]]) throws(FabricError) {
        for (slot, peer) in peers.enumerated() {
            let remote = try fabric.attach(descriptors[peer], of: peer)
            buffers[buffer.index].remotes[slot] = remote
            // SAFETY: valid until `detach`, which nobody calls before the executor's end.
            unsafe buffers[buffer.index].mapped[slot] = fabric.address(of: remote)
        }
    }

    // MARK: operations

    /// Puts an operation in the order. It starts at once if its lane is free.
    /// - Returns: its ticket, from 0 on.
    /// - Throws: what has ended the executor; nothing is submitted then. A range outside the buffers, or an algorithm that cannot carry out the
    ///   collective (`canCarryOut`), traps.
    public mutating func submit(_ operation: Operation) throws(CollectiveError) -> UInt64 {
        if let failure { throw failure }
        check(operation)
        if let closedPeer {
            throw CollectiveError(
                .fabric(.peerClosed), peer: closedPeer, operation: operation.name(sequence: nextToStart + UInt64(pending.count)),
                detail: "it has left the job", remedy: "all ranks must run the same number of collectives")
        }
        let ticket = nextTicket
        nextTicket += 1
        unfinished += 1
        if operation.collective.peer != nil {
            pendingTransfers.append((operation, ticket))
            startTransfers()
        } else {
            pending.append(operation, ticket)
            startPending()
        }
        return ticket
    }

    /// Whether the algorithm that an operation asks for can carry it out here.
    public func canCarryOut(_ operation: Operation) -> Bool {
        guard let algorithm = operation.algorithm else { return true }
        return algorithm.supports(operation.collective, byteCount: operation.count * operation.type.byteCount, in: settings)
    }

    private func check(_ operation: Operation) {
        let size = operation.type.byteCount
        func holds(_ place: Place, _ extent: Int) -> Bool {
            place.byteOffset >= 0 && place.byteOffset % size == 0
                && extent <= (buffers[place.buffer.index].region.byteCount - place.byteOffset) / size
        }
        invariant(
            operation.count >= 0 && holds(operation.input, operation.inputExtent(worldSize: worldSize))
                && holds(operation.output, operation.outputExtent(worldSize: worldSize)), "the operation's ranges lie in its buffers")
        invariant(
            operation.collective != .allToAll || !operation.isInPlace || operation.count == 0, "an all-to-all has two places")
        invariant(pending.count + pendingTransfers.count < Self.mostPending, "pending operations are bounded by the caller")
        invariant(canCarryOut(operation), "the algorithm can carry out the collective")
    }

    /// Operations not yet reported as finished.
    public var hasWork: Bool { unfinished > 0 }

    /// What to call the present in a message: the oldest operation under way, or the last one.
    public var currentOperation: String {
        if let lane = lanes.filter(\.isActive).min(by: { $0.ticket < $1.ticket }) { return lane.operation.name(sequence: lane.sequence) }
        return lastFinished.map { "after \($0.operation.name(sequence: $0.sequence))" } ?? "before the first operation"
    }

    /// Whether `takeFinished` has anything.
    public var hasFinished: Bool { !finished.isEmpty }

    /// Makes these the costs that algorithms are chosen by. Every rank does so at the same place of the order.
    public mutating func adopt(_ costs: Costs) {
        settings.costs = costs
        choices = ChoiceCache()
    }

    /// Takes what has ended since the last call, in the order in which it ended.
    public mutating func takeFinished(_ body: (Finished) -> Void) {
        guard !finished.isEmpty else { return }
        unfinished -= finished.count
        for index in finished.indices { body(finished[index]) }
        finished.removeAll(keepingCapacity: true)
    }

    /// Handles every event that the fabric has. Call again when `fabric.wait` returns.
    /// - Returns: whether there was any event.
    public mutating func progress() -> Bool {
        var progressed = false
        while let event = fabric.poll() {
            progressed = true
            // After a failure events are only taken out, so that `wait` has something to wait for.
            if failure == nil { handle(event) }
        }
        return progressed
    }

    /// Ends everything if some operation has not moved for longer than the stall limit. Call it now and then, when nothing happens.
    public mutating func checkStall() {
        if failure == nil { findStall() }
    }

    /// Sleeps until the fabric may have an event, its waker was used, or the time is over.
    public mutating func wait(milliseconds: UInt64) { fabric.wait(until: fabric.now().advanced(milliseconds: milliseconds)) }

    /// Takes leave of the peers, for at most so long. Nothing may be in flight.
    public mutating func close(milliseconds: UInt64) { fabric.close(deadline: fabric.now().advanced(milliseconds: milliseconds)) }

    /// Ends everything in flight with `error`, for instance a verdict that was agreed elsewhere.
    public mutating func fail(_ error: CollectiveError) {
        guard failure == nil else { return }
        failure = error
        for lane in lanes.indices where lanes[lane].isActive {
            finished.append(Finished(ticket: lanes[lane].ticket, error: error))
            lanes[lane].isActive = false
        }
        while let first = pending.first {
            finished.append(Finished(ticket: first.ticket, error: error))
            pending.removeFirst()
        }
        for transfer in pendingTransfers { finished.append(Finished(ticket: transfer.ticket, error: error)) }
        pendingTransfers.removeAll(keepingCapacity: true)
    }
}

/// A condition that only a programmer's error can break. Traps with its message in every build.
@inline(__always)
func invariant(_ condition: @autoclosure () -> Bool, _ message: StaticString) {
    if !condition() { invariantFailure(message) }
}

func invariantFailure(_ message: StaticString) -> Never { fatalError("broken invariant: \(message)") }
