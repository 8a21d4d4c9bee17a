import Fabric
import SimulatedFabric
import Testing

/// What the contract leaves open, and the simulated network makes use of: order between channels, late and bunched reports.
@Suite struct FreedomTests {
    private static let seeds = UInt64(1)...50
    private static let jitter: UInt64 = 50_000

    /// Signals to one peer, alternately on each channel, all posted at once.
    private static func jittery(seed: UInt64, channels: Int, signals: Int = 20) throws -> PlannedWorld {
        let world = try PlannedWorld(2) {
            $0.seed = seed
            $0.channelsPerPeer = channels
            $0.wire.jitterNanoseconds = jitter
        }
        for number in 0..<signals { world.write(0, from: 0, to: 1, channel: number % channels) }
        try world.run()
        return world
    }

    @Test func jitterKeepsTheOrderOfAChannel() throws {
        for seed in Self.seeds {
            #expect(try Self.jittery(seed: seed, channels: 1).order == Array(0..<20))
            let order = try Self.jittery(seed: seed, channels: 2).order
            for channel in 0..<2 { #expect(order.filter { $0 % 2 == channel } == Array(stride(from: channel, to: 20, by: 2))) }
        }
    }

    /// The second overtakes the first in some worlds, as in that of seed 3.
    @Test func jitterReordersChannels() throws {
        let reordered = try Self.seeds.filter { try Self.jittery(seed: $0, channels: 2, signals: 2).order == [1, 0] }
        #expect(reordered.count > 10 && reordered.count < 40)
        let arrivals = try Self.jittery(seed: 3, channels: 2, signals: 2).arrivals
        #expect(arrivals == [46_427, 8_757])
    }

    @Test func jitterStaysInItsBounds() throws {
        let times = try Self.seeds.map { try #require(try Self.jittery(seed: $0, channels: 1).arrivals[0]) }
        #expect(times.allSatisfy { 2000...2000 + Self.jitter ~= $0 })
        #expect(times.contains { $0 < 2000 + Self.jitter / 4 } && times.contains { $0 > 2000 + Self.jitter * 3 / 4 })
    }

    /// Nothing overtakes the one that finds no receive, on its channel.
    @Test func receiverNotReadyDelaysAndKeepsTheOrder() throws {
        let always = try PlannedWorld(2) { $0.receiverNotReadyPerMille = 1000 }
        always.write(microsecondOfCable, from: 0, to: 1)
        try always.run()
        #expect(always.arrivals == [3000 + 655_000])
        var late = 0
        for seed in Self.seeds {
            let world = try PlannedWorld(2) { ($0.seed, $0.receiverNotReadyPerMille) = (seed, 200) }
            for _ in 0..<5 { world.write(0, from: 0, to: 1) }
            try world.run()
            let first = world.arrivals.firstIndex { $0 != 2000 } ?? 5
            #expect(world.order == [0, 1, 2, 3, 4])
            #expect(world.arrivals == (0..<5).map { $0 < first ? 2000 : 657_000 })
            late += first < 5 ? 1 : 0
        }
        #expect(late > 10 && late < Self.seeds.count)
    }

    // MARK: completions

    /// Five acknowledgements that are due between 4,000 and 104,000 ns; those that come late come together.
    @Test func lateCompletionsAreReportedAsOne() throws {
        var counts: [Int] = []
        for seed in Self.seeds {
            let world = try PlannedWorld(2) { ($0.seed, $0.completionDelayNanoseconds) = (seed, 100_000) }
            for _ in 0..<5 { world.write(0, from: 0, to: 1) }
            try world.run()
            let told = world.completions[0]
            #expect(told.last?.through == 5 && told.map(\.through) == Set(told.map(\.through)).sorted())
            #expect(told.allSatisfy { 4000...104_000 ~= $0.at } && told.map(\.at) == Set(told.map(\.at)).sorted())
            counts.append(told.count)
        }
        // The first keeps the others back, or some come by themselves.
        #expect(counts.contains(1) && counts.contains { $0 > 2 })
    }

    /// A rank that does not look for a while finds one completion for each channel.
    @Test func aRankThatDoesNotLookFindsOneCompletionAChannel() throws {
        let world = try PlannedWorld(2, faults: [Fault(.pause, rank: 0, atNanoseconds: 1, forNanoseconds: 99_999)]) {
            $0.channelsPerPeer = 2
        }
        for number in 0..<7 { world.write(1, from: 0, to: 1, channel: number % 2) }
        try world.run()
        let told = world.completions[0].sorted { $0.channel < $1.channel }
        #expect(told == [.init(at: 100_000, channel: 0, through: 4), .init(at: 100_000, channel: 1, through: 3)])
    }

    /// Completions may come before the peer is told, and after.
    @Test func arrivalsAndCompletionsComeInAnyOrder() throws {
        var times: [(arrival: UInt64, completion: UInt64)] = []
        for seed in Self.seeds {
            let world = try PlannedWorld(2) {
                ($0.seed, $0.arrivalDelayNanoseconds, $0.completionDelayNanoseconds) = (seed, 10_000, 10_000)
            }
            world.write(0, from: 0, to: 1)
            try world.run()
            times.append((try #require(world.arrivals[0]), try #require(world.completions[0].first?.at)))
        }
        #expect(times.allSatisfy { 2000...12_000 ~= $0.arrival && 4000...14_000 ~= $0.completion })
        #expect(times.contains { $0.completion < $0.arrival } && times.contains { $0.completion > $0.arrival })
        #expect(times.contains { $0.arrival < 4500 } && times.contains { $0.arrival > 9500 })
        #expect(times.contains { $0.completion < 6500 } && times.contains { $0.completion > 11_500 })
    }

    /// Each is 10 ns after the one before: more fall due before the first completion is there.
    @Test(arguments: [false, true]) func whatFallsDueMeanwhileIsReportedAsOne(isPlain: Bool) throws {
        let world = try PlannedWorld(2) {
            $0.writesPerCompletion = 4
            if isPlain { $0.makePlain() }
        }
        for _ in 0..<40 { world.write(microsecondOfCable / 100, from: 0, to: 1) }
        try world.run()
        #expect(world.completions[0] == [.init(at: 4040, through: 4), .init(at: 4400, through: 40)])
    }

    /// One of four is reported, and the last; placed at 3,000, 4,000 ... ns, each is acknowledged 2,000 ns later.
    @Test(arguments: [false, true]) func someWritesAreReportedAsCompleted(isPlain: Bool) throws {
        let world = try PlannedWorld(2) {
            $0.writesPerCompletion = 4
            if isPlain { $0.makePlain() }
        }
        for _ in 0..<10 { world.write(microsecondOfCable, from: 0, to: 1) }
        try world.run()
        #expect(world.arrivals == (3...12).map { $0 * 1000 })
        #expect(world.completions[0] == [.init(at: 8000, through: 4), .init(at: 12_000, through: 8), .init(at: 14_000, through: 10)])
    }
}
