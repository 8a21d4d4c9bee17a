internal import CPlatform
import Fabric
import Synchronization

/// The memory in which the peers of one rank leave word for it: a doorbell, and for each peer and channel a ring of arrivals.
///
///     0      magic
///     64     doorbell, asleep
///     128    one lane a (peer, channel):  head | tail | state | arrivals[depth]
///
/// A lane has one writer (the peer) and one reader (the owner), so a release store of `tail` publishes an arrival and
/// everything written before it. The doorbell counts arrivals of all lanes and is the futex that the owner sleeps on.
// SAFETY (whole file): every pointer lies in `mapping`, which this object holds; offsets are computed from the layout that
// both sides checked, and shared words are touched as atomics only. Ring entries are ordered by `tail` and `head`.
@safe
struct ControlSegment: Sendable {
    struct Layout: Equatable, Sendable {
        var worldSize: Int
        var channelsPerPeer: Int
        /// Entries of a lane's ring, a power of two.
        var depth: Int

        static let header = 128
        static let laneHeader = 192
        var laneByteCount: Int { Self.laneHeader + depth * MemoryLayout<UInt32>.stride + 64 }
        var byteCount: Int { Self.header + worldSize * channelsPerPeer * laneByteCount }
    }

    /// How a lane's writer is doing; kept in the lane, so that a peer that leaves says so to each of its readers.
    enum PeerState: UInt32 {
        case open = 0
        case closed = 1
        case abandoned = 2
    }

    let mapping: SharedMapping
    let layout: Layout
    private static let magic: UInt64 = 0x5645_5242_454e_4131  // VERBENA1

    init(allocating layout: Layout) throws(FabricError) {
        mapping = try SharedMapping(allocating: layout.byteCount)
        self.layout = layout
        unsafe mapping.base.storeBytes(of: Self.magic, as: UInt64.self)
        for lane in 0..<layout.worldSize * layout.channelsPerPeer {
            let base = unsafe laneBase(lane)
            for word in [0, 64, 128] {
                unsafe (base + word).assumingMemoryBound(to: Atomic<UInt32>.self).initialize(to: Atomic(0))
            }
        }
        unsafe (mapping.base + 64).assumingMemoryBound(to: Atomic<UInt32>.self).initialize(to: Atomic(0))
        unsafe (mapping.base + 68).assumingMemoryBound(to: Atomic<UInt32>.self).initialize(to: Atomic(0))
    }

    /// A peer's segment, whose endpoint has said that it is of this layout; nil where it cannot be.
    init?(opened mapping: SharedMapping, layout: Layout) {
        guard mapping.byteCount >= layout.byteCount, unsafe mapping.base.load(as: UInt64.self) == Self.magic else { return nil }
        self.mapping = mapping
        self.layout = layout
    }

    // MARK: the owner's bell

    var doorbell: UInt32 { unsafe word(64).pointee.load(ordering: .acquiring) }

    /// Counts one more reason to look, and wakes the owner if it sleeps.
    func ring() {
        unsafe word(64).pointee.add(1, ordering: .sequentiallyConsistent)
        if unsafe word(68).pointee.load(ordering: .sequentiallyConsistent) != 0 {
            unsafe platform_futex_wake(UnsafePointer<UInt32>(OpaquePointer(word(64))))
        }
    }

    /// Sleeps while the doorbell still shows `seen`, at most `nanoseconds`.
    func sleep(seen: UInt32, nanoseconds: UInt64) {
        unsafe word(68).pointee.store(1, ordering: .sequentiallyConsistent)
        if unsafe word(64).pointee.load(ordering: .sequentiallyConsistent) == seen {
            _ = unsafe platform_futex_wait(UnsafePointer<UInt32>(OpaquePointer(word(64))), seen, nanoseconds)
        }
        unsafe word(68).pointee.store(0, ordering: .relaxed)
    }

    // MARK: lanes

    func lane(peer: Int, channel: Int) -> Int { peer * layout.channelsPerPeer + channel }

    /// Writer's side: appends an arrival; false where the ring is full. The caller rings the bell.
    func push(_ immediate: UInt32, lane: Int) -> Bool {
        let base = unsafe laneBase(lane)
        let tail = unsafe atomic(base + 64).pointee.load(ordering: .relaxed)
        guard unsafe tail &- atomic(base).pointee.load(ordering: .acquiring) < UInt32(layout.depth) else { return false }
        unsafe entry(base, tail).pointee = immediate
        unsafe atomic(base + 64).pointee.store(tail &+ 1, ordering: .releasing)
        return true
    }

    /// Whether `push` would find room.
    func hasRoom(lane: Int) -> Bool {
        let base = unsafe laneBase(lane)
        let tail = unsafe atomic(base + 64).pointee.load(ordering: .relaxed)
        return unsafe tail &- atomic(base).pointee.load(ordering: .acquiring) < UInt32(layout.depth)
    }

    /// Reader's side: the next arrival, or nil.
    func pop(lane: Int) -> UInt32? {
        let base = unsafe laneBase(lane)
        let head = unsafe atomic(base).pointee.load(ordering: .relaxed)
        guard unsafe head != atomic(base + 64).pointee.load(ordering: .acquiring) else { return nil }
        let immediate = unsafe entry(base, head).pointee
        unsafe atomic(base).pointee.store(head &+ 1, ordering: .releasing)
        return immediate
    }

    func state(lane: Int) -> PeerState {
        PeerState(rawValue: unsafe atomic(laneBase(lane) + 128).pointee.load(ordering: .acquiring)) ?? .abandoned
    }

    func setState(_ state: PeerState, lane: Int) {
        unsafe atomic(laneBase(lane) + 128).pointee.store(state.rawValue, ordering: .releasing)
    }

    // MARK: addresses

    private func laneBase(_ lane: Int) -> UnsafeMutableRawPointer {
        unsafe mapping.base + Layout.header + lane * layout.laneByteCount
    }

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> { unsafe atomic(mapping.base + offset) }

    private func atomic(_ address: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Atomic<UInt32>> {
        unsafe address.assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    private func entry(_ base: UnsafeMutableRawPointer, _ index: UInt32) -> UnsafeMutablePointer<UInt32> {
        unsafe (base + Layout.laneHeader + Int(index & UInt32(layout.depth - 1)) * 4).assumingMemoryBound(to: UInt32.self)
    }
}
