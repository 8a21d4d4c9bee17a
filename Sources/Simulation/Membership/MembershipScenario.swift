internal import Membership
internal import SimulatedFabric

/// A job of the control plane, drawn from a seed: ranks, groups, calls, times and what goes wrong.
struct MembershipScenario: CustomStringConvertible {
    /// A call of a rank's program. Groups are numbers in `groups`.
    enum Step: Equatable {
        case compute(seconds: Double)
        case gather(group: Int, label: String)
        /// A collective: it ends when every member of the group has begun it. A rank that does not wait for it goes on at once.
        case operation(group: Int, isAwaited: Bool)
        case abort
        case crash
        case leave

        fileprivate var group: Int? {
            switch self {
            case .gather(let group, _), .operation(let group, _): group
            case .compute, .abort, .crash, .leave: nil
            }
        }
    }

    enum Fault {
        case crash(rank: Int, at: Double)
        /// Killed when all others have done and leave.
        case lateCrash(rank: Int)
        /// A connection of the fabric ends, and both processes live.
        case tornConnection(rank: Int, of: Int, at: Double)
        /// The rank's process is stopped; for ever, or for less than its peers wait.
        case stop(rank: Int, at: Double, seconds: Double)
        case coordinatorStop(at: Double, seconds: Double)
        case coordinatorCrash(at: Double)
        /// The coordinator closes its connections though ranks are there.
        case coordinatorCloses(at: Double)
        case abort(rank: Int)
        case departure(rank: Int)
        case departureBeforeStart(rank: Int)
        case wrongLabel(rank: Int)
        /// Two calls in the other order, of one group or of two.
        case swappedCalls(rank: Int, inOneGroup: Bool)
        /// Computes for longer than a gather may take.
        case lateness(rank: Int)
        case absence(rank: Int)
        /// A process that knows the secret and claims a rank.
        case stranger(rank: Int, worldSize: Int, version: String, at: Double)
        case wrongSecret(at: Double)
        /// The coordinator answers the rank's hello later than is usual, but before it would be missed.
        case slowAnswer(rank: Int, seconds: Double)
        /// The process is killed once it has taken leave, and its launcher says so.
        case deathAfterLeave(rank: Int)
    }

    static let version = "1"
    static let gatherTimeoutSeconds = 40.0
    static let forever = Double.infinity
    private static let joinTimeoutSeconds = 30.0

    let seed: UInt64
    let worldSize: Int
    /// Nil where a launcher hosts the coordinator.
    let host: Int?
    let bounds: RendezvousBounds
    let maxDelaySeconds: Double
    /// The members of each group, in the group's order; the first is that of all ranks.
    let groups: [[Int]]
    private(set) var programs: [[Step]]
    let startSeconds: [Double]
    private(set) var faults: [Fault] = []

    init(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        self.seed = seed
        worldSize = random.within(2...6)
        host = random.chance(perMille: 500) ? 0 : nil
        bounds = RendezvousBounds(joinTimeoutSeconds: Self.joinTimeoutSeconds, livenessTimeoutSeconds: Double(random.within(8...20)))
        maxDelaySeconds = random.pick([0.001, 0.02, 0.3])
        groups = Self.groups(of: worldSize, &random)
        programs = Self.programs(groups, &random)
        startSeconds = (0..<worldSize).map { _ in random.chance(perMille: 200) ? 15 * random.fraction() : 0.5 * random.fraction() }
        for _ in 0..<random.pick([0, 1, 1, 2]) { draw(&random) }
        faults = faults.map { apply($0, &random) }
    }

    private static func groups(of worldSize: Int, _ random: inout SeededRandom) -> [[Int]] {
        var order = Array(0..<worldSize)
        for index in order.indices { order.swapAt(index, random.below(worldSize)) }
        let cut = random.within(0...worldSize)
        return [Array(0..<worldSize)] + [Array(order[..<cut]), Array(order[cut...])].filter { $0.count > 1 }
    }

    /// The same calls in the same order on all members of a group.
    private static func programs(_ groups: [[Int]], _ random: inout SeededRandom) -> [[Step]] {
        var programs = Array(repeating: [Step](), count: groups[0].count)
        for number in 0..<random.within(2...8) {
            // The two halves of the world gather at the same time, with the same label.
            let isSplit = groups.count > 1 && random.chance(perMille: 500)
            let isGather = random.chance(perMille: 600)
            for group in groups.indices where isSplit ? group > 0 : group == 0 {
                for rank in groups[group] {
                    if random.chance(perMille: 300) {
                        programs[rank].append(
                            .compute(seconds: random.chance(perMille: 100) ? 5 + 10 * random.fraction() : random.fraction()))
                    }
                    programs[rank].append(
                        isGather
                            ? .gather(group: group, label: "call \(number)")
                            : .operation(group: group, isAwaited: random.chance(perMille: 600)))
                }
            }
        }
        for rank in programs.indices { programs[rank] += [.gather(group: 0, label: "close"), .leave] }
        return programs
    }

    private mutating func draw(_ random: inout SeededRandom) {
        let (rank, time) = (random.below(worldSize), 20 * random.fraction() * random.fraction())
        let short = 3 * random.fraction()
        switch random.below(19) {
        case 0: faults.append(.crash(rank: rank, at: time))
        case 1: faults.append(.stop(rank: rank, at: time, seconds: Self.forever))
        case 2: faults.append(.stop(rank: rank, at: time, seconds: short))
        case 3: faults.append(host == nil ? .coordinatorStop(at: time, seconds: short) : .stop(rank: 0, at: time, seconds: short))
        case 4:
            faults.append(host == nil ? .coordinatorStop(at: time, seconds: Self.forever) : .stop(rank: 0, at: time, seconds: Self.forever))
        case 5: faults.append(host == nil ? .coordinatorCrash(at: time) : .crash(rank: 0, at: time))
        case 6: faults.append(.coordinatorCloses(at: time))
        case 7: faults.append(.abort(rank: rank))
        case 8: faults.append(.departure(rank: rank))
        case 9: faults.append(.departureBeforeStart(rank: rank))
        case 10: faults.append(.wrongLabel(rank: rank))
        case 11: faults.append(.swappedCalls(rank: rank, inOneGroup: true))
        case 12: faults.append(.lateness(rank: rank))
        case 13: faults.append(.absence(rank: rank))
        case 14:
            let size = random.pick([worldSize, worldSize, worldSize + 1])
            let claimed = random.pick([rank, rank, worldSize, -1])
            faults.append(.stranger(rank: claimed, worldSize: size, version: random.pick([Self.version, "2"]), at: time))
        case 15:
            faults.append(
                random.chance(perMille: 300) ? .wrongSecret(at: time) : .slowAnswer(rank: rank, seconds: 4 + 3.5 * random.fraction()))
        case 16: faults.append(.lateCrash(rank: rank))
        case 17: faults.append(.tornConnection(rank: rank, of: (rank + random.within(1...worldSize - 1)) % worldSize, at: time))
        default: faults.append(.deathAfterLeave(rank: rank))
        }
    }

    /// Puts into the program what its fault is.
    /// - Returns: the fault, with what only the program tells of it.
    private mutating func apply(_ fault: Fault, _ random: inout SeededRandom) -> Fault {
        switch fault {
        case .abort(let rank): programs[rank].insert(.abort, at: random.below(programs[rank].count - 1))
        case .lateCrash(let rank): programs[rank].insert(contentsOf: [.compute(seconds: 3), .crash], at: programs[rank].count - 1)
        case .departure(let rank): programs[rank].insert(.leave, at: random.below(programs[rank].count))
        case .lateness(let rank):
            programs[rank].insert(
                .compute(seconds: Self.gatherTimeoutSeconds + 5 + 10 * random.fraction()), at: random.below(programs[rank].count - 1))
        case .wrongLabel(let rank):
            let place = programs[rank].indices.filter { if case .gather = programs[rank][$0] { true } else { false } }.randomElement(
                &random)
            if let place, case .gather(let group, _) = programs[rank][place] {
                programs[rank][place] = .gather(group: group, label: "wrong")
            }
        case .swappedCalls(let rank, _):
            let place = random.below(programs[rank].count - 1)
            if programs[rank][place + 1] != .leave { programs[rank].swapAt(place, place + 1) }
            return .swappedCalls(rank: rank, inOneGroup: programs[rank][place].group == programs[rank][place + 1].group)
        default: break
        }
        return fault
    }

    /// Whether a verdict may be what it is: some fault explains rank and cause.
    func explains(_ verdict: Verdict) -> Bool {
        let place = host ?? Verdict.launcher
        return faults.contains { fault in
            switch fault {
            // A rank that ended before it joined is only missed.
            case .crash(let rank, _), .lateCrash(let rank): verdict.rank == rank && [.died, .unreachable].contains(verdict.cause)
            case .tornConnection(_, let rank, _): verdict.rank == rank && verdict.cause == .died
            case .stop(let rank, _, Self.forever): verdict.rank == rank && verdict.cause == .unreachable
            case .coordinatorStop(_, Self.forever): verdict.rank == place && verdict.cause == .unreachable
            case .coordinatorCrash, .coordinatorCloses: verdict.rank == place && verdict.cause == .died
            case .abort(let rank): verdict.rank == rank && verdict.cause == .aborted
            // The coordinator of a rank that leaves goes with it, a little later.
            case .departure(let rank), .departureBeforeStart(let rank):
                verdict.rank == rank && (verdict.cause == .left || (rank == host && verdict.cause == .died))
            // The coordinator hears two words and cannot know whose is right.
            case .wrongLabel: verdict.cause == .disagreed
            // Calls of two groups may be two threads', so only time tells.
            case .swappedCalls(_, let inOneGroup): verdict.cause == .disagreed || (!inOneGroup && verdict.cause == .stalled)
            // Others may be missed as well because they wait for that rank elsewhere.
            case .lateness: verdict.cause == .stalled
            case .absence(let rank): verdict.rank == rank && verdict.cause == .unreachable
            // Before all ranks are here, a process with the secret may be one of them; a seat that it took is its own to lose.
            case .stranger(let rank, let size, let version, _):
                verdict.rank == rank && (verdict.operation == "joining" || (size, version) == (worldSize, Self.version))
            default: false
            }
        }
    }

    var description: String {
        let program = { (rank: Int) in programs[rank].map { "\($0)" }.joined(separator: ", ") }
        return """
            \(worldSize) ranks, coordinator at \(host.map { "rank \($0)" } ?? "the launcher"), delays up to \(maxDelaySeconds) s, \
            silence of \(bounds.livenessTimeoutSeconds) s, groups \(groups.dropFirst())
            \((0..<worldSize).map { "    rank \($0) from \(startSeconds[$0]) s: \(program($0))" }.joined(separator: "\n"))
            what goes wrong: \(faults)
            """
    }
}

extension SeededRandom {
    /// A number in `0 ..< 1`.
    mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }
}

extension Array {
    fileprivate func randomElement(_ random: inout SeededRandom) -> Element? { isEmpty ? nil : self[random.below(count)] }
}
