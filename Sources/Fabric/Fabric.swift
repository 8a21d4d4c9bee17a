/// The contract between the engine and whatever moves its bytes.
///
/// A fabric joins this rank to its peers by *channels*. Memory is made known in *regions*; a *write* puts bytes of one of
/// our regions into a peer's region and carries 32 bits of immediate data, by which the peer learns of it as an *arrival*.
/// Nobody ever polls memory. The contract, which the conformance suite says again in tests:
///
/// - Writes on one channel arrive in the order in which they were posted, each exactly once.
/// - When an arrival is reported, its bytes are in the region.
/// - The source of a write belongs to the fabric until a completion covers its ticket: it may be read, not changed.
/// - A posted write may stay with the fabric until its owner next calls `poll`, `wait` or `close`, so that several leave together.
/// - A write outside a region of either side is refused before a byte moves.
/// - After a failure is reported for a peer, nothing of that peer is reported any more and writes to it are refused.
/// - A peer that closes in order is reported as closed, after everything that it wrote; a peer that dies, as failed.
/// - Writes that such a peer took before it closed complete all the same, maybe after its close is reported; others may never complete.
///
/// Threads: one thread at a time owns a fabric and calls it; only a `Waker` may be used by others.
/// Blocking: only `connect`, `wait` and `close` block, each no longer than the deadline it is given.
/// Source: ibv_post_send(3), ibv_poll_cq(3), rdma_cm(7) for the semantics that the strictest fulfilment, verbs, imposes.
public protocol Fabric: ~Copyable, SendableMetatype {
    /// What users call it: `verbs`, `shm`, `simulated`.
    var name: String { get }
    /// The device that carries the data, as its users know it: `mlx5_0`, `rxe1`, `memory`.
    var deviceName: String { get }
    var rank: Int { get }
    var worldSize: Int { get }
    /// Independent ordered channels to each peer, at least one. Order holds inside a channel only.
    var channelsPerPeer: Int { get }
    /// How many writes may be posted on one channel and not yet be completed; one more is refused with `.queueFull`.
    var writeDepth: Int { get }
    /// How many arrivals on one channel may be on their way or unread. Whoever writes must keep to it; a fabric may fail the channel.
    var arrivalDepth: Int { get }

    /// No write is longer, in bytes; one that is, is refused with `.outOfBounds`. Peers may take less: a job keeps to the least of all.
    var writeByteLimit: Int { get }

    /// Whether a write's source is free as soon as `write` has returned. Its completion may then never be reported.
    var writesCompleteAtOnce: Bool { get }

    /// What a peer needs in order to reach this rank; swapped by the rendezvous, opaque to it.
    var endpoint: [UInt8] { get }

    /// Opens every channel to each of `peers`, whose ranks do likewise at the same time.
    /// - Parameter peers: the endpoints by rank, without this rank's own; only these peers can be written to.
    /// - Throws: what failed with which peer, at the latest when `deadline` has passed.
    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError)

    /// Allocates page-aligned, zeroed memory that peers may write into. The fabric owns it until `release` or its own end.
    mutating func allocate(byteCount: Int) throws(FabricError) -> Region

    /// Makes memory that the fabric did not allocate a region that writes may start from and peers may write into. Several fabrics may have regions of
    /// the same memory. It stays mapped until `release`: the region holds its keeper.
    /// - Returns: nil where peers cannot reach such memory: shared memory needs a file behind it.
    mutating func register(_ memory: LentMemory) throws(FabricError) -> Region?

    /// Makes memory of this process a region that writes may start from, and that nobody may write into. It stays mapped until `release`: the region holds
    /// its keeper; no page of it need be there as long as no write starts from it.
    /// - Returns: nil where the fabric reads only memory that peers can reach.
    mutating func registerSource(_ memory: LentMemory) -> Region?

    /// Takes a region back. No write from or into it may be under way, here or at any peer.
    mutating func release(_ region: Region)

    /// What a peer needs in order to write into `region`; opaque.
    func descriptor(of region: Region) -> [UInt8]

    /// Makes a peer's region known here by the peer's descriptor of it.
    mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion

    /// Where this process sees the peer's memory: loads and stores through it reach the peer's own bytes. Who may touch them when is the
    /// protocol's affair; an arrival orders what its sender did before the write. Valid until `detach`, the peer's end included.
    /// - Returns: nil where only writes reach the peer.
    @unsafe
    func address(of region: RemoteRegion) -> UnsafeMutableRawPointer?

    /// Forgets a peer's region. No write into it may be under way.
    mutating func detach(_ region: RemoteRegion)

    /// Posts a write; see `Write`. No lock, allocation or system call but what the device itself needs.
    /// - Returns: the write's ticket on its channel: 1 for the first, then one more each.
    /// - Throws: `.outOfBounds`, `.queueFull`, or the failure of the peer; nothing is posted then.
    mutating func write(_ write: Write) throws(FabricError) -> UInt64

    /// Lets what was written leave now, and wakes who sleeps over it: a fabric may put both off until it is polled, waits or is closed.
    mutating func flush()

    /// The next event, or nil where there is none at present. Never blocks.
    mutating func poll() -> FabricEvent?

    /// Sleeps until there may be an event, a waker was used, or `deadline` has passed. Waking for nothing is allowed.
    mutating func wait(until deadline: FabricInstant)

    /// The same where nobody waits for what comes: a fabric may gather events, and be late by some of a millisecond, if that leaves the core to a thread
    /// that computes.
    mutating func waitPatiently(until deadline: FabricInstant)

    /// Whether `waitPatiently` does so: then who begins to wait has the waker used.
    var gathersEvents: Bool { get }

    /// The fabric's clock, monotonic: real for devices, virtual in simulation. The core has no other.
    func now() -> FabricInstant

    /// Says that the owner's thread has read and written so many bytes of memory by itself: time that only a simulation has to be told of.
    func didTouch(byteCount: Int)

    /// Ends another thread's `wait`; valid for as long as somebody holds it, harmless once the fabric is closed.
    func waker() -> Waker

    /// Takes leave of every peer in order: they see `.closed`. All writes must have completed. Peers that do not answer are left
    /// behind at `deadline`. Destroying a fabric without closing it is what a crash looks like to the peers.
    mutating func close(deadline: FabricInstant)
}

extension Fabric where Self: ~Copyable {
    public var writesCompleteAtOnce: Bool { false }
    public mutating func registerSource(_: LentMemory) -> Region? { nil }
    public var writeByteLimit: Int { .max }
    public var gathersEvents: Bool { false }
    public mutating func waitPatiently(until deadline: FabricInstant) { wait(until: deadline) }

    @inlinable
    public mutating func flush() {}

    @inlinable
    public func didTouch(byteCount: Int) {}
}
