internal import Collectives
internal import SimulatedFabric

// Groups of ranks that do something of their own while the world does, as communicators made by `split`.
extension Scenario {
    /// A seed has so many splits and, of each, so many groups at most.
    private static let maxSplits = 2
    private static let maxColours = 4
    /// Of a group, so many at most. Numbers of operations are those of the world, from 0 on, then those of group 0, 1, ...
    private static let maxOperations = 8
    private static let firstNumbers = 100

    mutating func drawChannels(_ random: inout SeededRandom, limits: Limits) {
        let isDrawn = random.chance(perMille: 150)
        let channels = random.within(4...8)
        guard isDrawn, limits.hasManyChannels else { return }
        world.channelsPerPeer = channels
        program.settings.channelsPerPeer = channels
    }

    mutating func drawGroups(_ random: inout SeededRandom, limits: Limits) {
        let splits = random.pick([0, 0, 1, 1, Self.maxSplits])
        for split in 0..<splits {
            var draw = SeededRandom(seed: random.next())
            let seeds = (0..<Self.maxColours).map { _ in draw.next() }
            for (colour, members) in drawMembers(&draw).enumerated() {
                let number = split * Self.maxColours + colour
                guard !members.isEmpty, limits.groups?.contains(number) ?? true else { continue }
                add(number, members, seed: seeds[colour], limits: limits)
            }
        }
    }

    /// Ranks by colour, each list in the order of the keys; some ranks may have no colour.
    private func drawMembers(_ random: inout SeededRandom) -> [[Int]] {
        let (kind, colours, order) = (random.below(4), random.within(1...Self.maxColours - 1), random.below(3))
        let perNode = world.ranksPerNode
        var members = Array(repeating: [Int](), count: Self.maxColours)
        var keys: [Int] = []
        for rank in 0..<worldSize {
            let any = random.below(1 << 20)
            let colour =
                switch kind {
                case 0: rank / perNode  // A node's ranks.
                case 1: rank % perNode  // One of each node.
                case 2: any % colours
                default: any % (colours + 1)  // The last: none.
                }
            keys.append(order == 0 ? rank : order == 1 ? -rank : random.below(1 << 20))
            if colour < (kind == 3 ? colours : Self.maxColours) { members[colour].append(rank) }
        }
        return members.map { $0.sorted { (keys[$0], $0) < (keys[$1], $1) } }
    }

    private mutating func add(_ number: Int, _ members: [Int], seed: UInt64, limits: Limits) {
        var random = SeededRandom(seed: seed)
        var settings = ExecutorSettings(
            topology: Topology(nodeOfRank: members.map { $0 / world.ranksPerNode }), epoch: program.settings.epoch,
            channelsPerPeer: world.channelsPerPeer, stallMilliseconds: program.settings.stallMilliseconds)
        settings.simulation = SimulationHook()
        settings.chunks = random.within(2...6)
        settings.chunkBytes = 64 * random.within(1...4)
        settings.eagerBytes = 64 * random.within(1...8)
        #if DEBUG
            settings.simulation?.mutation = program.settings.simulation?.mutation
        #endif
        var group = Program(seed: random.next(), group: number, members: members, settings: settings)
        group.startNanoseconds = random.pick([0, 0, 20_000, 500_000])
        group.paceNanoseconds = random.pick([0, 0, 1000, 30_000, 300_000])
        group.isBlocking = random.chance(perMille: 200)
        group.makeRoomForBlocks(limits: limits)
        group.drawOperations(&random, first: (number + 1) * Self.firstNumbers, most: Self.maxOperations, limits: limits)
        group.drawTraining(&random, limits: limits)
        let (disagrees, rank, pick) = (random.chance(perMille: 30), random.below(members.count), random.below(1 << 20))
        let noticed = group.noticedOperations
        if disagrees, limits.faults.contains(.disagreement), members.count > 1, !noticed.isEmpty {
            group.disagreement = .operation(rank: rank, number: noticed[pick % noticed.count])
        }
        var place = SimulationOptions.Group(number: number, members: members)
        place.writeDepth = settings.arrivalDepth
        place.arrivalDepth = settings.arrivalDepth
        // Where a group is on one node it is in shared memory, whatever the world is in.
        place.writesCompleteAtOnce = settings.topology.isOneNode && random.chance(perMille: 500)
        groups.append(group)
        world.groups.append(place)
    }
}
