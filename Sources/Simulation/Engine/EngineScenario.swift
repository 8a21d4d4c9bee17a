internal import SimulatedFabric

/// What the threads of each rank do with their engines, and what goes wrong.
struct EngineScenario: CustomStringConvertible {
    enum Fate: Equatable, CustomStringConvertible {
        /// All ranks close, when their threads have ended.
        case none
        /// All ranks close while other threads begin and wait.
        case hasty
        /// Every process is stopped for a while.
        case pause
        case leave(Int)
        case abort(Int)
        case death(Int)
        /// A rank does not come to the last collective.
        case stall(Int)

        var culprit: Int? {
            switch self {
            case .none, .hasty, .pause: nil
            case .leave(let rank), .abort(let rank), .death(let rank), .stall(let rank): rank
            }
        }

        var description: String {
            switch self {
            case .none: "nothing"
            case .hasty: "a close beside other calls"
            case .pause: "a pause of all"
            case .leave(let rank): "rank \(rank) leaves"
            case .abort(let rank): "rank \(rank) aborts"
            case .death(let rank): "rank \(rank) dies"
            case .stall(let rank): "rank \(rank) does not come"
            }
        }
    }

    struct Collective {
        var count: Int
        /// Started, and waited for later; else the caller carries it out or waits.
        var isStarted: Bool
        /// A second thread waits for it as well.
        var isShared: Bool
        var isBarrier: Bool
    }

    struct Transfer {
        var from: Int
        var to: Int
        var isStarted: Bool
        /// The other end never comes to it.
        var isAlone: Bool
    }

    let seed: UInt64
    var ranks: Int
    var collectives: [Collective]
    var transfers: [Transfer]
    /// Urgent ones, which another thread begins in their order.
    var urgents: [Collective]
    /// Collectives of a second engine, split off, that other threads use.
    var childCollectives: Int
    var fate: Fate
    var fateNanoseconds: UInt64
    var hasNets: Bool
    var looks: Int
    /// Callers carry out what they start; see `ProgressEngine+Hooks`.
    var usesHooks: Bool
    /// Rank 0 computes, when it has started the last collective, until the others have its result.
    var computesLong: Bool
    /// Closing comes before waiting for what was started, and after a failure at once, whatever other threads do.
    var closesFirst: Bool
    /// Between two calls of a thread.
    var maxPauseNanoseconds: Int

    init(seed: UInt64) {
        self.seed = seed
        var random = SeededRandom(seed: seed &* 0x9E37_79B9 &+ 7)
        ranks = random.within(2...3)
        let ranks = ranks
        collectives = (0..<random.within(0...6)).map { _ in
            Collective(
                count: random.pick([1, 3, 8]), isStarted: random.chance(perMille: 500), isShared: random.chance(perMille: 400),
                isBarrier: random.chance(perMille: 200))
        }
        fate =
            switch random.below(12) {
            case 0, 1, 2: .none
            case 3, 4, 5: .hasty
            case 6: .pause
            case 7: .leave(random.below(ranks))
            case 8: .abort(random.below(ranks))
            case 9, 10: .death(random.below(ranks))
            default: .stall(random.below(ranks))
            }
        childCollectives = random.chance(perMille: 300) ? random.within(1...3) : 0
        let mayBeAlone = (fate == .hasty || fate == .leave(0)) && childCollectives == 0
        transfers = (0..<random.within(0...5)).map { _ in
            let from = random.below(ranks)
            return Transfer(
                from: from, to: (from + 1 + random.below(ranks - 1)) % ranks, isStarted: random.chance(perMille: 500), isAlone: false)
        }
        // The last of its pair, so that it meets no other.
        if mayBeAlone, random.chance(perMille: 400) {
            transfers.append(Transfer(from: 1, to: 0, isStarted: random.chance(perMille: 500), isAlone: true))
        }
        closesFirst = random.chance(perMille: 400)
        fateNanoseconds = UInt64(random.below(random.pick([20_000, 200_000, 3_000_000])))
        hasNets = random.chance(perMille: 300)
        if case .stall = fate { hasNets = true }
        if fate == .pause { hasNets = true }
        looks = random.pick([0, 1, 4])
        maxPauseNanoseconds = random.pick([1, 20_000, 1_000_000])
        usesHooks = seed % 5 < 2
        computesLong = usesHooks && fate == .none && !closesFirst && collectives.last?.isStarted == true
        if fate.culprit != nil, collectives.isEmpty {
            collectives.append(Collective(count: 1, isStarted: false, isShared: false, isBarrier: false))
        }
        // One seed in nine; the others are what they were without.
        urgents = (0..<(seed % 9 == 2 ? random.within(1...6) : 0)).map { _ in
            Collective(
                count: random.pick([1, 3, 8]), isStarted: random.chance(perMille: 500), isShared: false,
                isBarrier: random.chance(perMille: 200))
        }
    }

    /// All ranks close beside other calls.
    var isHasty: Bool {
        switch fate {
        case .hasty: childCollectives == 0
        case .leave: closesFirst && childCollectives == 0
        default: false
        }
    }

    var description: String {
        "\(ranks) ranks\(closesFirst ? " that close first" : ""), \(collectives.count) collectives "
            + "(\(collectives.filter(\.isStarted).count) started), \(urgents.count) urgent ones, \(transfers.count) transfers, \(childCollectives) of a child; \(fate)"
            + "\(fate == .none || fate == .hasty ? "" : " at \(fateNanoseconds) ns")\(hasNets ? "" : ", no nets")\(usesHooks ? ", hooks" : "")"
    }
}
