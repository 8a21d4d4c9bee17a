public import Fabric
internal import Reduction

/// Carries out schedules on a fabric: a state machine that is given arrivals, completions and the time, and answers with writes.
///
/// Life: `init` with a connected fabric; every rank adds the same buffers in the same order, swaps the descriptors (that of `landing` too)
/// and attaches the peers'; then `submit` and `progress`. Operations are matched across ranks by order of submission.
///
/// Threads: one at a time. Blocking: never. Errors: the first one ends everything, see `CollectiveError`.
/// Ownership: the range of a submitted operation belongs to the executor until it is reported finished.
public struct Executor<F: Fabric & ~Copyable>: ~Copyable {
    public internal(set) var fabric: F
    public let settings: ExecutorSettings
    public internal(set) var failure: CollectiveError?

    /// Where peers write pieces that are to be reduced; allocated by `init`, attached like any buffer.
    public static var landing: SharedBuffer { SharedBuffer(index: 0) }
    /// Operations that wait for their lane, at most; `submit` traps beyond it.
    public static var mostPending: Int { 1024 }

    let rank: Int
    let worldSize: Int
    /// Ring neighbours, each once; the place in this list is the link.
    let links: [Int]
    /// By number; the first is the landing memory.
    var buffers: [Buffer]
    var lanes: [Lane]
    /// Completed tickets, by link and channel.
    var completed: [UInt64]
    /// Submitted operations, from the oldest that is not on a lane.
    var pending: [Allreduce] = []
    var pendingHead = 0
    var nextSequence: UInt64 = 0
    /// The operation that `pending[pendingHead]` is.
    var nextToStart: UInt64 = 0
    var finished: [Finished] = []
    var closedPeer: Int?
    /// For messages.
    var lastFinished: (request: Allreduce, sequence: UInt64)?

    struct Buffer {
        var region: Region
        /// By link.
        var remotes: [RemoteRegion?]
    }

    /// - Parameter fabric: connected to the ring neighbours of its rank (`ringPeers`), with `arrivalDepth` and `writeDepth` of at least
    ///   what the settings say.
    public init(fabric: consuming F, settings: ExecutorSettings) throws(FabricError) {
        let (rank, worldSize) = (fabric.rank, fabric.worldSize)
        invariant(settings.worldSize == worldSize, "the settings are those of this world")
        guard worldSize == 1 || min(fabric.arrivalDepth, fabric.writeDepth) >= settings.arrivalDepth else {
            throw FabricError(
                .resource, during: .open,
                detail: "queues of \(fabric.arrivalDepth) arrivals and \(fabric.writeDepth) writes, \(settings.arrivalDepth) needed",
                remedy: "use a device with deeper queues, or fewer ranks")
        }
        let links = Self.ringPeers(rank: rank, worldSize: worldSize)
        var fabric = fabric
        let landing = try fabric.allocate(byteCount: max(64, settings.landingByteCount))
        buffers = [Buffer(region: landing, remotes: Array(repeating: nil, count: links.count))]
        self.fabric = fabric
        self.settings = settings
        self.rank = rank
        self.worldSize = worldSize
        self.links = links
        completed = Array(repeating: 0, count: links.count * settings.channelsPerPeer)
        lanes = (0..<ExecutorSettings.lanes).map {
            Lane(
                sequence: UInt64($0), channel: $0 % settings.channelsPerPeer,
                links: Array(repeating: .init(), count: links.count))
        }
        pending.reserveCapacity(Self.mostPending)
        finished.reserveCapacity(Self.mostPending)
    }

    /// The ranks that the fabric must be connected to: left and right, which may be the same one, or none.
    public static func ringPeers(rank: Int, worldSize: Int) -> [Int] {
        let (left, right) = ((rank + worldSize - 1) % worldSize, (rank + 1) % worldSize)
        return worldSize == 1 ? [] : left == right ? [left] : [left, right]
    }

    // MARK: buffers

    /// Allocates a buffer that peers may write into. Every rank adds the same buffers in the same order.
    /// - Returns: its number, and its memory, good as long as the executor lives.
    public mutating func addBuffer(byteCount: Int) throws(FabricError) -> (SharedBuffer, Region) {
        let region = try fabric.allocate(byteCount: byteCount)
        buffers.append(Buffer(region: region, remotes: Array(repeating: nil, count: links.count)))
        return (SharedBuffer(index: buffers.count - 1), region)
    }

    /// What the other ranks need in order to attach this rank's part of a buffer.
    public func descriptor(of buffer: SharedBuffer) -> [UInt8] { fabric.descriptor(of: buffers[buffer.index].region) }

    /// - Parameter descriptors: every rank's, by rank; only the neighbours' are used.
    public mutating func attach(_ buffer: SharedBuffer, descriptors: [[UInt8]]) throws(FabricError) {
        for (link, peer) in links.enumerated() {
            buffers[buffer.index].remotes[link] = try fabric.attach(descriptors[peer], of: peer)
        }
    }

    // MARK: operations

    /// Puts an operation in the order. It starts at once if its lane is free.
    /// - Returns: its number, from 0 on.
    /// - Throws: what has ended the executor; nothing is submitted then. A range outside the buffer traps.
    public mutating func submit(_ request: Allreduce) throws(CollectiveError) -> UInt64 {
        if let failure { throw failure }
        let size = buffers[request.buffer.index].region.byteCount
        invariant(
            request.count >= 0 && request.byteOffset >= 0 && request.byteOffset % request.type.byteCount == 0
                && request.count <= (size - request.byteOffset) / request.type.byteCount, "the range lies in the buffer")
        invariant(pending.count - pendingHead < Self.mostPending, "pending operations are bounded by the caller")
        if let closedPeer, worldSize > 1 {
            let error = CollectiveError(
                .fabric(.peerClosed), peer: closedPeer, operation: request.name(sequence: nextSequence),
                detail: "it has left the job", remedy: "all ranks must run the same number of collectives")
            throw error
        }
        let sequence = nextSequence
        nextSequence += 1
        pending.append(request)
        startPending()
        return sequence
    }

    /// Operations not yet reported as finished.
    public var hasWork: Bool { nextToStart < nextSequence || lanes.contains { $0.isActive } || !finished.isEmpty }

    /// What to call the present in a message: the oldest operation under way, or the last one.
    public var currentOperation: String {
        if let lane = lanes.filter(\.isActive).min(by: { $0.sequence < $1.sequence }) {
            return lane.request?.name(sequence: lane.sequence) ?? ""
        }
        return lastFinished.map { "after \($0.request.name(sequence: $0.sequence))" } ?? "before the first operation"
    }

    /// Takes what has ended since the last call, in the order in which it ended.
    public mutating func takeFinished(_ body: (Finished) -> Void) {
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
            guard failure == nil else { continue }
            handle(event)
            startPending()
        }
        if failure == nil, !progressed { checkStall() }
        return progressed
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
            finished.append(Finished(sequence: lanes[lane].sequence, error: error))
            lanes[lane].request = nil
        }
        while nextToStart < nextSequence {
            finished.append(Finished(sequence: nextToStart, error: error))
            nextToStart += 1
        }
        pending.removeAll(keepingCapacity: true)
        pendingHead = 0
    }
}

/// A condition that only a programmer's error can break. Traps with its message in every build.
@inline(__always)
func invariant(_ condition: @autoclosure () -> Bool, _ message: StaticString) {
    if !condition() { fatalError("broken invariant: \(message)") }
}
