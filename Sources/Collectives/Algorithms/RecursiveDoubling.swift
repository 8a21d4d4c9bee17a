/// Middling messages between many ranks: in each of log2 N rounds two ranks swap the sums that they have, and both add them up, so that after round k
/// a sum covers 2^(k+1) ranks. Few messages in a row, and a rank sends its buffer log2 N times, where `OneShot` and `Bruck` gather N of them.
///
/// Where N is no power of two, the N - 2^m ranks that are too many are *guests*: each gives its part to its *host*, the rank before it, and gets the
/// result at the end. Ranks 0, 2, 4, ... are hosts, as many as there are guests. Hosts and ranks without a guest are the *cores*, numbered in the
/// order of ranks: in round k core c swaps with core c xor 2^k.
///
/// *Slots.* Nobody is asked first: what is written lies in eager slots, of which this operation has a use of its own (`Slot`). A source is never changed:
/// each round's sum has a slot for itself. That a rank is ahead of no other by more than one operation holds as in `OneShot`: its result has a part of each.
///
/// *Bits.* A balanced tree: the sum of the lower cores first, rounded at every round; both of a pair add up the same.
///
/// Source: Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19 (2005), section 4.5.
public struct RecursiveDoubling: Equatable, Sendable {
    /// Fewer ranks do as well with everyone's part at once.
    static let minRanks = 4

    let shape: Shape
    let rounds: Int
    let guests: Int

    init(_ shape: Shape) {
        self.shape = shape
        rounds = Self.rounds(worldSize: shape.worldSize)
        guests = shape.worldSize - 1 << rounds
    }

    /// floor(log2 N)
    static func rounds(worldSize: Int) -> Int { Int.bitWidth - 1 - worldSize.leadingZeroBitCount }

    /// Messages in a row, those from and to a guest included.
    static func hops(worldSize: Int) -> Int {
        let rounds = rounds(worldSize: worldSize)
        return worldSize == 1 << rounds ? rounds : rounds + 2
    }

    /// How many of a lane's slots an operation uses, each as long as the buffer: no more than there are ranks.
    static func slots(worldSize: Int) -> Int {
        let rounds = rounds(worldSize: worldSize)
        return 2 * rounds + (worldSize == 1 << rounds ? 0 : 1)
    }

    /// The eager slots by what this operation keeps in them.
    private enum Slot {
        /// The sum that a core sends in a round; a guest's part.
        case own(Int)
        /// The other core's sum.
        case other(Int)
        /// At a host the guest's part, and later the result; at a guest the result.
        case guest
    }

    private func place(_ slot: Slot) -> Int {
        switch slot {
        case .own(let round): 2 * round
        case .other(let round): 2 * round + 1
        case .guest: 2 * rounds
        }
    }

    private func location(_ slot: Slot) -> Location { .eager(rank: place(slot)) }

    private var isPaired: Bool { shape.rank < 2 * guests }
    private var isGuest: Bool { isPaired && shape.rank % 2 == 1 }
    private var core: Int { isPaired ? shape.rank / 2 : shape.rank - guests }
    private func rank(ofCore core: Int) -> Int { core < guests ? 2 * core : core + guests }

    /// The first sum; a sum a round, each sent as soon as it is there; a host's own copy of the result.
    public var count: Int { isGuest ? 2 : 1 + rounds + (isPaired ? 1 : 0) }

    public subscript(index: Int) -> Step {
        if isGuest { return guestStep(index) }
        if index == 0 {
            let first = isPaired ? add(.input(0), location(.guest), into: location(.own(0))) : copy(.input(0), to: location(.own(0)))
            return Step(receive: isPaired ? shape.rank + 1 : nil, action: first, send: swap(0))
        }
        if index > rounds { return Step(action: copy(location(.guest), to: .output(0))) }
        let round = index - 1
        let other = core ^ 1 << round
        let (lower, higher) = core < other ? (Slot.own(round), Slot.other(round)) : (.other(round), .own(round))
        let isLast = index == rounds
        let sum = !isLast ? location(.own(index)) : isPaired ? location(.guest) : .output(0)
        // From the second round on both are sums; in the first, those of hosts.
        let partials: UInt64 = round > 0 ? 3 : (min(core, other) < guests ? 1 : 0) | (max(core, other) < guests ? 2 : 0)
        return Step(
            receive: rank(ofCore: other),
            action: add(location(lower), location(higher), into: sum, isFinal: isLast, partials: partials),
            send: !isLast ? swap(index) : isPaired ? send(.guest, to: .guest, of: shape.rank + 1) : nil)
    }

    private func guestStep(_ index: Int) -> Step {
        let host = shape.rank - 1
        if index == 0 { return Step(action: copy(.input(0), to: location(.own(0))), send: send(.own(0), to: .guest, of: host)) }
        return Step(receive: host, action: copy(location(.guest), to: .output(0)))
    }

    private func swap(_ round: Int) -> Send { send(.own(round), to: .other(round), of: rank(ofCore: core ^ 1 << round)) }

    // Of an empty buffer nothing travels but the messages: whoever means another operation is told so.

    private func copy(_ source: Location, to target: Location) -> Action? {
        shape.count == 0 ? nil : .copy(from: source, to: target, count: shape.count)
    }

    private func add(
        _ left: Location, _ right: Location, into sum: Location, isFinal: Bool = false, partials: UInt64 = 0
    ) -> Action? {
        if shape.count == 0 { return nil }
        return .fold(Fold(.pair(left, right), into: .location(sum), count: shape.count, isFinal: isFinal, partials: partials))
    }

    private func send(_ source: Slot, to target: Slot, of peer: Int) -> Send {
        if shape.count == 0 { return .signal(peer) }
        return Send(peer: peer, from: location(source), to: .eager(rank: place(target)), count: shape.count)
    }
}
