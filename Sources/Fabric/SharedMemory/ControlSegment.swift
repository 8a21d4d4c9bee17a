internal import CPlatform
import Fabric
internal import Synchronization

/// The memory in which the peers of one rank leave word for it: a bell, and for each peer and channel a ring of arrivals.
///
///     0      magic
///     128    bell, and when its owner wakes by itself
///     256    one ring a (peer, channel)
///
/// A ring has one writer (the peer) and one reader (the owner). Room for every rank is set aside, memory is taken by `take`, for peers that
/// are really connected.
// SAFETY (whole file): every pointer lies in `mapping`, which this object holds; offsets are computed from the layout that
// both sides checked.
@safe
struct ControlSegment: Sendable {
    struct Layout: Equatable, Sendable {
        var worldSize: Int
        var channelsPerPeer: Int
        var ring: ArrivalRingSize

        static let header = 256
        var byteCount: Int { Self.header + worldSize * channelsPerPeer * ring.byteCount }
    }

    let mapping: SharedMapping
    let layout: Layout
    /// What the owner sleeps on, where it is not the bell's own word.
    let pipe: WakePipe?
    private static let magic: UInt64 = 0x5645_5242_454e_4132  // VERBENA2

    init(allocating layout: Layout, pipe: WakePipe?) throws(FabricError) {
        mapping = try SharedMapping.allocateSparse(byteCount: layout.byteCount)
        self.layout = layout
        self.pipe = pipe
        try mapping.take(0..<Layout.header, during: .open, peer: nil)
        unsafe mapping.base.storeBytes(of: Self.magic, as: UInt64.self)
    }

    /// A peer's segment, whose endpoint has said that it is of this layout; nil where it cannot be.
    init?(opened mapping: SharedMapping, layout: Layout, pipe: WakePipe?) {
        guard mapping.byteCount >= layout.byteCount, unsafe mapping.base.load(as: UInt64.self) == Self.magic else { return nil }
        self.mapping = mapping
        self.layout = layout
        self.pipe = pipe
    }

    var bell: Bell { unsafe Bell(at: mapping.base + 128, pipe: pipe?.descriptor ?? -1) }

    /// Takes the memory of all rings that `rank` writes, and fills this process's page tables for them.
    func take(ringsOf rank: Int, peer: Int) throws(FabricError) {
        let first = Layout.header + rank * layout.channelsPerPeer * layout.ring.byteCount
        try mapping.take(first..<first + layout.channelsPerPeer * layout.ring.byteCount, during: .connect, peer: peer)
    }

    func writer(rank: Int, channel: Int) -> ArrivalWriter { unsafe ArrivalWriter(at: ring(rank, channel), size: layout.ring) }

    func reader(rank: Int, channel: Int) -> ArrivalReader { unsafe ArrivalReader(at: ring(rank, channel), size: layout.ring) }

    /// New memory is zero, and so is what a ring begins with.
    private func ring(_ rank: Int, _ channel: Int) -> UnsafeMutableRawPointer {
        unsafe mapping.base + Layout.header + (rank * layout.channelsPerPeer + channel) * layout.ring.byteCount
    }
}
