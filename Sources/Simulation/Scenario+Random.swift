internal import Collectives
internal import SimulatedFabric

extension Scenario {
    /// The same for the same seed and limits. Draws do not depend on what is left out, so that what remains stays as it was.
    init(seed: UInt64, limits: Limits) {
        var random = SeededRandom(seed: seed)
        let drawn = random.pick([1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 8, 9, 12])
        let ranks = limits.ranks ?? drawn
        var world = SimulationOptions(seed: random.next(), worldSize: ranks)
        Self.drawWorld(&world, &random, limits: limits)
        let perNode = world.ranksPerNode
        var settings = ExecutorSettings(
            topology: Topology(nodeOfRank: (0..<ranks).map { $0 / perNode }), epoch: UInt32(1 + random.below(5)),
            channelsPerPeer: world.channelsPerPeer, stallMilliseconds: 3000)
        settings.simulation = SimulationHook()
        settings.chunks = random.within(2...6)
        settings.chunkBytes = 64 * random.within(1...4)
        #if DEBUG
            settings.simulation?.mutation = limits.mutation.flatMap { Mutation(rawValue: $0) }
        #endif
        settings.eagerBytes = 64 * random.within(1...8)
        world.writeDepth = settings.arrivalDepth
        world.arrivalDepth = settings.arrivalDepth
        var program = Program(seed: seed, members: Array(0..<ranks), settings: settings)
        program.makeRoomForBlocks(limits: limits)
        self.init(seed: seed, world: world, program: program)
        self.program.paceNanoseconds = random.pick([0, 0, 1000, 30_000, 300_000])
        self.program.isBlocking = random.chance(perMille: 200)
        self.program.drawOperations(&random, most: 14, limits: limits)
        self.program.drawTraining(&random, limits: limits)
        // What was not drawn at first has draws of its own, so that a seed keeps the rest of its world. Faults look at what is submitted.
        var burst = SeededRandom(seed: seed ^ Self.burstDraws)
        let isBurst = drawBurst(&burst, limits: limits)
        drawFaults(&random, limits: limits)
        var later = SeededRandom(seed: seed ^ Self.laterDraws)
        drawChannels(&later, limits: limits)
        drawGroups(&later, limits: limits)
        if limits.hasStripes {
            // The operations of a burst stay small ones.
            if !isBurst { self.program.drawStripes(limits: limits) }
            for index in groups.indices { groups[index].drawStripes(limits: limits) }
        }
        drawStreams()
        // Ranks that do different things may write over each other's messages before they are told; all else holds for them as well.
        if hasDisagreement { self.world.isStrict = false }
    }

    private static let laterDraws: UInt64 = 0x6772_6f75_7073
    private static let burstDraws: UInt64 = 0x7374_7265_616d

    private static func drawWorld(_ world: inout SimulationOptions, _ random: inout SeededRandom, limits: Limits) {
        world.ranksPerNode = random.pick([1, 1, 2, 2, 3, 4, world.worldSize, world.worldSize])
        world.nicsPerNode = random.within(1...2)
        world.channelsPerPeer = random.within(1...3)
        if random.chance(perMille: 300) {
            world.topology = .fatTree(nodesPerLeaf: random.within(1...3), oversubscription: Double(random.within(1...4)))
        }
        world.retryNanoseconds = 100_000_000
        world.payload = random.pick([.mixed, .mixed, .early, .late])
        world.wire.jitterNanoseconds = UInt64(random.pick([0, 2000, 20_000, 500_000]))
        world.memory.jitterNanoseconds = UInt64(random.pick([0, 500, 20_000]))
        world.arrivalDelayNanoseconds = UInt64(random.pick([0, 0, 5000, 100_000]))
        world.completionDelayNanoseconds = UInt64(random.pick([0, 5000, 100_000, 2_000_000]))
        world.writesPerCompletion = random.pick([1, 1, 4])
        world.wakeJitterNanoseconds = UInt64(random.pick([0, 1000, 50_000]))
        world.postNanoseconds = UInt64(random.pick([0, 100]))
        world.pollNanoseconds = UInt64(random.pick([0, 100]))
        world.touchNanosecondsPerByte = random.pick([0, 0.1, 1])
        world.holdsWrites = random.chance(perMille: 500)
        let isShared = random.chance(perMille: 500)
        world.writesCompleteAtOnce = isShared && world.ranksPerNode == world.worldSize
        let isSlow = random.chance(perMille: 150)
        if isSlow, limits.faults.contains(.receiverNotReady) { world.receiverNotReadyPerMille = 50 }
        if limits.isCalm {
            world.wire.jitterNanoseconds = 0
            world.memory.jitterNanoseconds = 0
            world.arrivalDelayNanoseconds = 0
            world.completionDelayNanoseconds = 0
            world.wakeJitterNanoseconds = 0
            world.receiverNotReadyPerMille = 0
            world.holdsWrites = false
        }
    }

    private mutating func drawFaults(_ random: inout SeededRandom, limits: Limits) {
        let number = random.pick([0, 0, 0, 1, 1, 2])
        for index in 0..<number {
            var draw = SeededRandom(seed: random.next())
            guard limits.keptFaults?.contains(index) ?? true else { continue }
            let kinds = FaultKind.allCases.filter { limits.faults.contains($0) && $0 != .receiverNotReady }
            if !kinds.isEmpty { add(draw.pick(kinds), &draw) }
        }
    }

    private mutating func add(_ kind: FaultKind, _ random: inout SeededRandom) {
        let rank = random.below(1 << 20) % worldSize
        let at = UInt64(1 << random.within(8...22) + random.below(1000))
        let duration = UInt64(1 << random.within(12...24))
        let pick = random.below(1 << 20)
        switch kind {
        case .crash: faults.append(Fault(.crash, rank: rank, atNanoseconds: at))
        case .nodeDeath: faults.append(Fault(.nodeDeath, rank: rank, atNanoseconds: at))
        case .pause: faults.append(Fault(.pause, rank: rank, atNanoseconds: at, forNanoseconds: duration))
        case .slowRank: faults.append(Fault(.slowness(factor: 20), rank: rank, atNanoseconds: at, forNanoseconds: duration))
        case .cut: faults.append(Fault(.cableCut, rank: rank, atNanoseconds: at, forNanoseconds: 10 * world.retryNanoseconds))
        case .flap: faults.append(Fault(.cableCut, rank: rank, atNanoseconds: at, forNanoseconds: duration))
        case .slowCable: faults.append(Fault(.slowCable(fraction: 0.01), rank: rank, atNanoseconds: at, forNanoseconds: duration))
        case .receiverNotReady: break
        case .disagreement:
            guard worldSize > 1, program.disagreement == nil else { return }
            let collectives = program.noticedOperations
            if pick % 3 == 0 || collectives.isEmpty {
                program.disagreement = .epoch(rank: rank)
            } else {
                program.disagreement = .operation(rank: rank, number: collectives[pick % collectives.count])
            }
        }
    }
}
