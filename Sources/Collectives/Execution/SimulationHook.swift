internal import Fabric
internal import Reduction

/// What a simulation wants of the executor that nobody else does. All of it is in this file; elsewhere stand only the questions `isMutated` and
/// `isCarriedOut`. With a hook the fabric is told what actions read and write, because a simulation makes time of it. Without a hook the second costs one comparison for each action; the first costs release builds nothing.
public struct SimulationHook: Sendable, Equatable {
    /// Whether actions are carried out: not where a simulation keeps time alone and buffers hold nothing. Transfers between two ranks need it.
    public var touchesMemory = true
    #if DEBUG
        /// What is to go wrong; see `Mutation`.
        package var mutation: Mutation?
    #endif

    public init() {}
}

// MARK: deliberate faults

extension StateMachine {
    @inline(__always)
    func isMutated(_ mutation: Mutation) -> Bool {
        #if DEBUG
            settings.simulation?.mutation == mutation
        #else
            false
        #endif
    }

    /// Where a gated slot of a lane begins in the receive buffers.
    /// - Parameter isTarget: of a write to a peer, not of this rank's own reading.
    @inline(__always)
    func gatedOffset(_ lane: Int, _ slot: Int, isTarget: Bool = false) -> Int {
        var slot = slot
        if isMutated(.slotTooFew), slot > 0 { slot = min(slot, layout.gatedSlots - 2) }
        if isMutated(.roundsShareSlots), case .ring(let ring) = lanes[lane].schedule { slot %= ring.slotsOfAnAllReduce }
        if isMutated(.swappedChunk), isTarget, slot ^ 1 < layout.gatedSlots { slot ^= 1 }
        return layout.gated(lane: receiveLane(lane), slot: slot)
    }

    /// The lane whose receive buffers an operation has.
    @inline(__always)
    func receiveLane(_ lane: Int) -> Int { isMutated(.sharedSlots) ? lane % ExecutorSettings.lanes : lane }

    /// Whether bulk is held up by an urgent collective, which must never be.
    @inline(__always)
    func isHeld(_ kind: Immediate.Kind) -> Bool {
        isMutated(.heldBulk) && kind != .urgent
            && (ExecutorSettings.lanes..<ExecutorSettings.collectiveLanes).contains { lanes[$0].phase.isActive }
    }

    /// What was held up goes on.
    @inline(__always)
    mutating func goOnHeld() {
        guard isMutated(.heldBulk) else { return }
        for lane in lanes.indices where lanes[lane].phase == .running { advance(lane) }
    }

    // MARK: memory that is touched

    /// Counts what an action touches, for a simulation.
    /// - Returns: whether the action is carried out.
    @inline(__always)
    mutating func isCarriedOut(_ action: Action, _ elementBytes: Int) -> Bool {
        guard let simulation = settings.simulation else { return true }
        touchedBytes += arrays(touchedBy: action) * action.count * elementBytes
        return simulation.touchesMemory
    }

    /// How many arrays an action reads and writes.
    private mutating func arrays(touchedBy action: Action) -> Int {
        let node = settings.topology.size(ofNode: settings.topology.node(of: rank))
        switch action {
        case .fold(let fold): return arrays(touchedBy: fold, node)
        case .spread: return node
        case .copy, .encode, .decode: return 2
        case .addUp(let sum): return sum.parts + 2
        }
    }

    private func arrays(touchedBy fold: Fold, _ node: Int) -> Int {
        let targets = if case .node = fold.target { node } else { 1 }
        switch fold.sources {
        case .pair: return targets + 2
        case .node(let partial, _, _): return targets + node + (partial == nil ? 0 : 1)
        case .eager, .eagerNodes: return targets + worldSize
        case .inputAndSlots(_, let slots), .slotsAndInput(let slots, _): return targets + 1 + slots.count
        }
    }

    // MARK: memory ahead of time

    // A driver of thousands of nodes takes turns with them on one core: what belongs to each has left the caches when its turn comes again, lies apart,
    // and would be fetched one line after the other. Asked for one turn ahead, it is there.

    /// Has the caches fetch what the next event of the latest bulk collective will need.
    // SAFETY: an address is all that is used, and nothing is read through it.
    mutating func prefetch() {
        let lane = Int((orders[0].nextToStart &- 1) % UInt64(ExecutorSettings.lanes))
        let peers = links.count / (ExecutorSettings.collectiveLanes * settings.channelsPerPeer + 2)
        let firstLink = lane * peers * settings.channelsPerPeer
        lanes.prefetch(lane..<lane + 1)
        links.prefetch(firstLink..<firstLink + min(peers * settings.channelsPerPeer, Self.maxPrefetched))
        if !positions.isTable { positions.table.prefetch(positions.table.indices) }
        posted.prefetch(0..<Self.maxPrefetched)
        completed.prefetch(0..<Self.maxPrefetched)
        outbox.elements.prefetch(0..<1)
        for buffer in buffers.indices.prefix(Self.maxPrefetched) {
            unsafe buffers[buffer].remotes.withUnsafeBytes { unsafe Kernels.prefetch($0.baseAddress, byteCount: 64) }
        }
        lanes[lane].moves.prefetch(0..<1)
    }

    /// Links, tickets and buffers, at most: of more, one event uses few.
    private static var maxPrefetched: Int { 4 }
}

extension Executor where F: ~Copyable {
    /// Has the caches fetch what the next event will need; worth it only where thousands of executors take turns on a core.
    public mutating func prefetch() { node.prefetch() }
}

extension FixedArray {
    /// Has the caches fetch these elements, as far as there are such.
    fileprivate func prefetch(_ range: Range<Int>) {
        let range = range.clamped(to: indices)
        // SAFETY: nothing is read through the address.
        unsafe Kernels.prefetch(base + range.lowerBound, byteCount: range.count * MemoryLayout<Element>.stride)
    }
}

extension Stripes {
    /// As if the buffer began with the operation.
    var fromOperation: Stripes { Stripes(elements: elements, owners: owners, start: 0, count: count) }
}

extension Ring {
    /// Slots that a reduceStripes would take if they were free as early as an allreduce's.
    fileprivate var slotsOfAnAllReduce: Int { shape.collective == .reduceStripes ? (stations - 1) * chunksPerRound : .max }
}

extension Schedule {
    /// As if the claims of `Compressed` asked for one place fewer.
    mutating func takeAWindowsSlots() {
        switch self {
        case .compressed(var compressed):
            compressed.places = max(1, compressed.places - 1)
            self = .compressed(compressed)
        case .tiled(var tiled):
            tiled.places = 1
            self = .tiled(tiled)
        default: break
        }
    }
}
