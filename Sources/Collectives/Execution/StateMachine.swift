public import Fabric

/// The executor without its fabric: a pure state machine that is given operations, arrivals and completions, and answers with writes.
///
/// *One rule* keeps every peer's writes apart: a rank writes to another only what that one has asked for in the same operation, or what
/// lands in an eager slot (`ReceiveBuffers`). So whatever the peer is doing, it can be ahead by one operation of a lane that concerns both.
///
/// Nothing here is generic, so that it is compiled once, and nothing allocates once an operation's like has been seen.
///
/// What an event passes through is `mutating` even where it changes nothing: the node is then handed on by its address, where a borrowed one
/// is copied (768 bytes).
@usableFromInline
struct StateMachine: ~Copyable {
    @usableFromInline private(set) var settings: ExecutorSettings
    /// Operations submitted and not yet taken as finished, at most.
    static let maxPending = 1024
    /// Writes that the node hands over at once; more wait for the next look.
    static let maxInOutbox = 64

    @usableFromInline private(set) var failure: CollectiveError?
    /// Whether there is one: asked all the time.
    @usableFromInline private(set) var hasFailed = false

    let rank: Int
    let worldSize: Int
    let layout: ReceiveBuffers
    /// Connected ranks; `positions` says where in this list a rank is.
    let peers: [Int]
    let positions: PeerPositions
    /// Writes that a channel may hold before one has completed.
    let writeDepth: UInt64
    /// The source of a write is free as soon as the fabric has it.
    @usableFromInline let writesCompleteAtOnce: Bool
    /// By number; the first holds the receive buffers.
    var buffers: [Buffer]
    let lanes: FixedArray<Lane>
    let links: FixedArray<Link>
    /// By position and channel: the ticket of the last write, which the fabric will give it, and of the last that has completed.
    let posted: FixedArray<UInt64>
    let completed: FixedArray<UInt64>
    /// The same of bulk's windows; empty as long as there was no urgent collective.
    var bulkWindows = FixedArray<BulkWindow>([])
    var bulkWindowBytes = 0
    /// A write that stands for none.
    let nothing: Write
    /// Writes to be posted, in order.
    @usableFromInline var outbox: Batch<Write>
    /// Some lane waits for the outbox to be posted.
    @usableFromInline var isOutboxAwaited = false
    /// What actions have read and written since the fabric was last told; counted for simulations only.
    @usableFromInline var touchedBytes = 0
    /// Of the collectives, one for each stream.
    let orders = StreamOrder.all()
    /// Submitted collectives, of all streams, that are not on a lane; and transfers.
    var waiting = 0
    var pendingTransfers: [Waiting] = []
    var unfinished = 0
    /// How many of those have a record. While there are any, the executor says before each event what time it is.
    @usableFromInline private(set) var recorded = 0
    @usableFromInline var now: UInt64 = 0
    /// How long events and submissions took so far while there were any, in nanoseconds: mostly adding and copying.
    @usableFromInline var worked: UInt64 = 0
    var lookedForStallAt = FabricInstant(nanoseconds: 0)
    @usableFromInline var finished = Queue<Ending>()
    /// Of those of them that have one, in the same order.
    var finishedRecords = Queue<OperationRecord>()
    /// By lane, of those whose operation has one.
    let records: FixedArray<OperationRecord>
    /// The first peer that has taken leave, and the positions of all that have.
    var closedPeer: Int?
    var closedPositions: Set<Int> = []
    var choices = ChoiceCache()
    let scratch: FoldScratch
    /// For messages.
    var lastFinished: (operation: Operation, sequence: UInt64)?

    // SAFETY: each mapping is the fabric's, until `remove`; only actions follow it.
    @safe
    struct Buffer {
        var region: Region
        /// By position.
        var remotes: [RemoteRegion?]
        /// Where this process sees the peers' memory, by position.
        var mapped: [UnsafeMutableRawPointer?]

        init(_ region: Region, peers: Int) {
            self.region = region
            remotes = Array(repeating: nil, count: peers)
            unsafe mapped = Array(repeating: nil, count: peers)
        }
    }

    init(_ settings: ExecutorSettings, rank: Int, peers: [Int], receiveBuffers: Region, writeDepth: Int, writesCompleteAtOnce: Bool) {
        self.settings = settings
        self.rank = rank
        self.writeDepth = UInt64(writeDepth)
        self.writesCompleteAtOnce = writesCompleteAtOnce
        worldSize = settings.worldSize
        layout = settings.receiveBuffers
        self.peers = peers
        positions = PeerPositions(peers, worldSize: settings.worldSize)
        buffers = [Buffer(receiveBuffers, peers: peers.count)]
        posted = FixedArray(Array(repeating: 0, count: peers.count * settings.channelsPerPeer))
        completed = FixedArray(Array(repeating: 0, count: peers.count * settings.channelsPerPeer))
        nothing = Write(
            channel: Channel(peer: rank), source: receiveBuffers, sourceOffset: 0,
            destination: RemoteRegion(peer: rank, identifier: 0, byteCount: 0), destinationOffset: 0, byteCount: 0, immediate: 0)
        lanes = FixedArray(Self.lanes(settings, rank: rank, peers: peers.count, filler: Move(write: nothing)))
        links = FixedArray(
            Array(repeating: Link(), count: (ExecutorSettings.collectiveLanes * settings.channelsPerPeer + 2) * peers.count))
        records = FixedArray(Array(repeating: OperationRecord(submitted: 0), count: lanes.count))
        outbox = Batch(capacity: Self.maxInOutbox, filler: nothing)
        scratch = FoldScratch(capacity: settings.worldSize + 1)
    }

    /// Those of collectives first, stream by stream; then for each peer that of transfers to it, and that of transfers from it.
    private static func lanes(_ settings: ExecutorSettings, rank: Int, peers: Int, filler: Move) -> [Lane] {
        let shape = settings.shape(
            of: Operation(.barrier, input: Place(.receiveBuffers), count: 0, type: .float32), rank: rank, layout: settings.receiveBuffers)
        let idle = Schedule.alone(Alone(shape))
        let count = ExecutorSettings.collectiveLanes
        let collectives = Stream.allCases.flatMap { stream in
            (0..<stream.lanes).map { lane in
                Lane(
                    sequence: UInt64(lane), stride: UInt64(stream.lanes), channel: lane % settings.channelsPerPeer,
                    channels: settings.channelsPerPeer, firstLink: (stream.firstLane + lane) * peers * settings.channelsPerPeer,
                    onlyPeer: -1, kind: stream == .urgent ? .urgent : .collective, idle: idle, filler: filler)
            }
        }
        let transfers = (0..<2 * peers).map {
            Lane(
                sequence: 0, stride: 1, channel: 0, channels: 1, firstLink: count * peers * settings.channelsPerPeer + $0,
                onlyPeer: $0 / 2,
                kind: $0 % 2 == 0 ? .toSender : .toReceiver,
                idle: idle, filler: filler)
        }
        return collectives + transfers
    }

    mutating func add(_ region: Region) -> SharedBuffer {
        buffers.append(Buffer(region, peers: peers.count))
        return SharedBuffer(index: buffers.count - 1)
    }

    /// See `Executor.isInUse`.
    func isInUse(_ buffer: SharedBuffer) -> Bool {
        lanes.indices.contains { lanes[$0].phase.isActive && lanes[$0].operation.touches(buffer) }
            || pendingTransfers.contains { $0.operation.touches(buffer) }
            || orders.indices.contains { orders[$0].pending.contains { $0.operation.touches(buffer) } }
    }

    /// See `Executor.removeBuffer`. No operation may name the buffer any more: one that does traps, as one out of bounds.
    mutating func remove(_ buffer: SharedBuffer) -> (region: Region, remotes: [RemoteRegion?]) {
        let removed = buffers[buffer.index]
        // SAFETY: nobody follows the address of no bytes.
        unsafe buffers[buffer.index] = Buffer(Region(identifier: .max, base: removed.region.base, byteCount: -1), peers: peers.count)
        for lane in lanes.indices where lanes[lane].operation.touches(buffer) { lanes[lane].isPrepared = false }
        return (removed.region, removed.remotes)
    }

    mutating func adopt(_ costs: Costs) {
        settings.costs = costs
        bulkWindowBytes = settings.bulkWindowBytes
        choices = ChoiceCache()
        for lane in lanes.indices { lanes[lane].isPrepared = false }
    }

    // MARK: operations

    /// See `Executor.submit`.
    @usableFromInline
    mutating func submit(_ operation: Operation, number: Int, recordedFrom submitted: UInt64?) throws(CollectiveError) {
        if hasFailed, let failure { throw failure }
        invariant(unfinished < Self.maxPending, "operations not yet taken as finished are bounded by the caller")
        if let closedPeer {
            throw CollectiveError(
                .fabric(.peerClosed), peer: closedPeer, operation: operation.name(sequence: begun(operation.stream)),
                detail: "it has left the job", remedy: "all ranks must run the same number of collectives")
        }
        unfinished += 1
        if submitted != nil { recorded += 1 }
        if operation.collective.peer != nil {
            check(operation)
            pendingTransfers.append(Waiting(operation: operation, number: number, submitted: submitted))
            startTransfers()
        } else {
            // SAFETY: the orders are made once.
            let order = unsafe orders.address(of: isMutated(.oneOrder) ? 0 : Int(operation.stream.rawValue))
            let lane = unsafe order.pointee.firstLane + Int(order.pointee.nextToStart & order.pointee.laneMask)
            if unsafe order.pointee.pending.count == 0, !lanes[lane].phase.isActive, !isMutated(.urgentBehindBulk) || waiting == 0 {
                unsafe order.pointee.nextToStart += 1
                start(operation, number: number, submitted, on: lane)
            } else {
                check(operation)
                unsafe order.pointee.pending.append(Waiting(operation: operation, number: number, submitted: submitted))
                waiting += 1
            }
        }
    }

    /// Inlined, for a call from another module would copy the whole machine to lend it.
    @inlinable
    var hasFinished: Bool { finished.count > 0 }

    /// Whether writes have not completed, but for those to peers that have taken leave: these are read by nobody, and may never complete.
    var hasWritesUnderWay: Bool {
        guard !writesCompleteAtOnce else { return false }
        let channels = settings.channelsPerPeer
        return peers.indices.contains { position in
            !closedPositions.contains(position)
                && (position * channels..<(position + 1) * channels).contains { posted[$0] > completed[$0] }
        }
    }

    /// See `Executor.takeFinished`.
    @usableFromInline
    mutating func takeEnding() -> Ending? {
        guard let next = finished.first else { return nil }
        finished.removeFirst()
        unfinished -= 1
        return next
    }

    /// The record of the ending that was taken last, which has one.
    @usableFromInline
    mutating func takeRecord(endedAt time: UInt64) -> OperationRecord? {
        var record = finishedRecords.first
        finishedRecords.removeFirst()
        recorded -= 1
        record?.end(at: time, worked: worked)
        return record
    }

    /// The operation on the lane has ended; the lane may turn to the next.
    @inline(__always)
    mutating func end(_ lane: Int, isFailed: Bool) {
        // SAFETY: as `StateMachine+Steps.swift` says of lanes.
        let (number, isRecorded) = unsafe (lanes.address(of: lane).pointee.number, lanes.address(of: lane).pointee.isRecorded)
        if isRecorded { finishedRecords.append(records[lane]) }
        finished.append(Ending(number: number, isFailed: isFailed, isRecorded: isRecorded))
    }

    /// See `Executor.canCarryOut`.
    func canCarryOut(_ operation: Operation) -> Bool {
        if operation.wire != .plain { return Compressed.canCarryOut(operation, in: settings) }
        guard let algorithm = operation.algorithm else { return true }
        return algorithm.supports(
            operation.collective, byteCount: operation.count * operation.type.byteCount, isUneven: !operation.uneven.isNone,
            isStriped: operation.stripe > 0, isPrivate: operation.isPrivate, in: settings)
    }

    /// Once for an operation that comes again on its lane.
    mutating func check(_ operation: Operation) {
        let size = operation.type.byteCount
        func holds(_ place: Place, _ count: Int) -> Bool {
            place.byteOffset >= 0 && place.byteOffset % size == 0
                && count <= (buffers[place.buffer.index].region.byteCount - place.byteOffset) / size
        }
        let extents = operation.extents(worldSize: worldSize)
        if let counts = operation.uneven.counts {
            invariant(counts.worldSize == worldSize, "every rank has a count")
            invariant(operation.collective != .allToAll || !operation.isInPlace, "an all-to-all of uneven counts has two places")
        }
        let needs = extents.needs(of: rank)
        invariant(
            operation.count >= 0 && holds(operation.input, needs.input) && holds(operation.output, needs.output),
            "the operation's ranges lie in its buffers")
        if operation.stripe != 0 || operation.collective.isHalf {
            invariant(operation.collective.canBeStriped, "a striped operation is an allReduce, a reduceStripes or a gatherStripes")
            invariant(operation.isInPlace, "a striped operation is in place")
            invariant(
                operation.stripe > 0 && operation.stripe * size <= settings.stripeBytes, "a stripe has elements, and no more than a chunk's"
            )
        }
        if let residual = operation.residual {
            invariant(
                operation.wire != .plain && holds(Place(residual, byteOffset: operation.input.byteOffset), operation.count),
                "what a wire format loses has room in the residual's buffer")
            invariant(operation.reduction == .sum || operation.reduction == .average, "only sums and averages have a residual")
        }
        invariant(canCarryOut(operation), "the algorithm can carry out the collective")
    }

    /// See `Executor.currentOperation`.
    var currentOperation: String {
        // Streams have no common order, nor have transfers: what is urgent comes first, and transfers last.
        func place(_ lane: Int) -> (Int, UInt64) {
            (lanes[lane].kind == .urgent ? 0 : 1, lanes[lane].onlyPeer < 0 ? lanes[lane].sequence : .max)
        }
        if let lane = lanes.indices.filter({ lanes[$0].phase.isActive }).min(by: { place($0) < place($1) }) { return name(of: lane) }
        return lastFinished.map { "after \($0.operation.name(sequence: $0.sequence))" } ?? "before the first operation"
    }

    /// Ends everything in flight with `error`; the first one counts.
    mutating func fail(_ error: CollectiveError) {
        guard !hasFailed else { return }
        failure = error
        hasFailed = true
        for lane in lanes.indices where lanes[lane].phase.isActive {
            end(lane, isFailed: true)
            lanes[lane].phase = .idle
        }
        for order in orders.indices {
            while let first = orders[order].pending.first {
                failUnbegun(first)
                orders[order].pending.removeFirst()
            }
        }
        waiting = 0
        for transfer in pendingTransfers { failUnbegun(transfer) }
        pendingTransfers.removeAll(keepingCapacity: true)
        outbox.removeAll()
    }

    /// Ends an operation that had no lane.
    mutating func failUnbegun(_ waiting: Waiting) {
        if let submitted = waiting.submitted {
            finishedRecords.append(OperationRecord(submitted: submitted, startedAt: submitted, worked: worked))
        }
        finished.append(Ending(number: waiting.number, isFailed: true, isRecorded: waiting.submitted != nil))
    }
}

/// A condition that only a programmer's error can break. Traps with its message in every build.
@inline(__always)
func invariant(_ condition: @autoclosure () -> Bool, _ message: StaticString) {
    if !condition() { invariantFailure(message) }
}

func invariantFailure(_ message: StaticString) -> Never { fatalError("broken invariant: \(message)") }
