/// How a rank's receive buffers are laid out: for each lane gated slots, then two sets of eager slots; after the lanes a box for each rank.
///
/// *Gated* slots are written only by those whom this rank has invited in the operation that runs on the lane. *Eager* slots are written
/// unasked: of two sets used in turn, one belongs to the lane's present eager operation, the other to its next. *Boxes* hold invitations to
/// transfers between two ranks: the half that comes in, and the half that goes out. Those of a collective lie in its eager slots instead.
struct ReceiveBuffers: Equatable, Sendable {
    /// A buffer's number, an offset and a count, of 8 bytes each.
    static let boxBytes = 24

    private let chunkBytes: Int
    private let gatedBytes: Int
    private let eagerBytes: Int
    private let laneBytes: Int
    private let ranks: Int
    let gatedSlots: Int

    init(_ settings: ExecutorSettings) {
        ranks = settings.worldSize
        chunkBytes = settings.chunkBytes
        gatedSlots = max(0, ranks - 1) * max(2, settings.chunks)  // A window has two halves; see `Pipeline`.
        gatedBytes = gatedSlots * chunkBytes
        eagerBytes = ranks * settings.eagerBytes
        laneBytes = gatedBytes + 2 * eagerBytes
    }

    var byteCount: Int { boxes + 2 * ranks * Self.boxBytes }

    func gated(lane: Int, slot: Int) -> Int { lane * laneBytes + slot * chunkBytes }
    /// - Parameter set: 0 or 1.
    func eager(lane: Int, set: Int) -> Int { lane * laneBytes + gatedBytes + set * eagerBytes }
    /// The boxes of transfers.
    var boxes: Int { ExecutorSettings.collectiveLanes * laneBytes }
    /// - Parameter boxes: where the box of the first rank lies.
    static func invitation(from rank: Int, in boxes: Int) -> Int { boxes + 2 * rank * boxBytes }
    static func invitation(to rank: Int, in boxes: Int) -> Int { invitation(from: rank, in: boxes) + boxBytes }
}
