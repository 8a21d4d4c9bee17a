import Fabric
import SimulatedFabric
import Testing

/// What goes wrong in a simulated network, and who is told of it when: docs/SIMULATION.md, *Faults*.
@Suite struct FaultTests {
    private static let retry: UInt64 = 1_000_000
    private static let notice: UInt64 = 100_000

    private static func world(_ ranks: Int, _ faults: Fault..., change: (inout SimulationOptions) -> Void = { _ in }) throws -> PlannedWorld
    {
        try PlannedWorld(ranks, faults: faults) {
            ($0.retryNanoseconds, $0.deathNoticeNanoseconds) = (retry, notice)
            change(&$0)
        }
    }

    // MARK: cables

    /// The write is half out when its wire goes; the sender gives up when the retries are over. The peer, which asked for nothing, is told nothing.
    @Test func aCutFailsWritesWhenTheRetriesAreOver() throws {
        for victim in 0..<2 {
            let world = try Self.world(4, Fault(.cableCut, rank: victim, atNanoseconds: 500, forNanoseconds: 10 * Self.retry))
            world.write(microsecondOfCable, from: 0, to: 1)
            world.write(microsecondOfCable, from: 2, to: 3, at: 1000)
            try world.run()
            #expect(world.arrivals[0] == nil && world.completions[0].isEmpty)
            #expect(world.losses == [[.init(at: 500 + Self.retry, peer: 1, cause: .peerUnreachable)], [], [], []])
            // Other cables carry on.
            #expect(world.arrivals[1] == 4000)
        }
    }

    /// What has departed arrives; its acknowledgement is part of the model's latency and comes as well.
    @Test func aCutStopsOnlyWhatHasNotDeparted() throws {
        let world = try Self.world(2, Fault(.cableCut, rank: 0, atNanoseconds: 1500, forNanoseconds: 10 * Self.retry))
        for _ in 0..<2 { world.write(microsecondOfCable, from: 0, to: 1) }
        try world.run()
        #expect(world.arrivals == [3000, nil] && world.completions[0] == [.init(at: 5000, through: 1)])
        #expect(world.losses == [[.init(at: 1500 + Self.retry, peer: 1, cause: .peerUnreachable)], []])
    }

    /// The peer of one who has given up gives up as well, when it asks for something: nobody acknowledges it.
    @Test func whoIsGivenUpFindsOut() throws {
        let world = try Self.world(2, Fault(.cableCut, rank: 0, atNanoseconds: 500, forNanoseconds: 2 * Self.retry))
        world.write(microsecondOfCable, from: 0, to: 1)
        world.write(microsecondOfCable, from: 1, to: 0, at: 3_000_000)
        try world.run()
        #expect(world.losses[0] == [.init(at: 500 + Self.retry, peer: 1, cause: .peerUnreachable)])
        #expect(world.losses[1] == [.init(at: 3_003_000 + Self.retry, peer: 0, cause: .peerUnreachable)])
        #expect(world.arrivals == [nil, nil])
    }

    @Test(arguments: [1, 300_000, retry - 1]) func aFlapDelays(nanoseconds: UInt64) throws {
        let world = try Self.world(2, Fault(.cableCut, rank: 1, atNanoseconds: 500, forNanoseconds: nanoseconds))
        world.write(microsecondOfCable, from: 0, to: 1)
        try world.run()
        #expect(world.arrivals == [3000 + nanoseconds])
        #expect(world.completions[0] == [.init(at: 5000 + nanoseconds, through: 1)] && world.losses == [[], []])
    }

    /// Retries count from the second cut once the first is mended.
    @Test func retriesBeginAnewAfterAFlap() throws {
        let world = try Self.world(
            2, Fault(.cableCut, rank: 0, atNanoseconds: 500, forNanoseconds: 300_000),
            Fault(.cableCut, rank: 0, atNanoseconds: 900_000, forNanoseconds: 10 * Self.retry))
        world.write(microsecondOfCable, from: 0, to: 1)
        world.write(microsecondOfCable, from: 0, to: 1, at: 950_000)
        try world.run()
        #expect(world.arrivals == [303_000, nil])
        #expect(world.losses == [[.init(at: 950_000 + Self.retry, peer: 1, cause: .peerUnreachable)], []])
    }

    /// Whatever a flap has scheduled is over when it is mended: the peer's end is told as what it is, after what it wrote.
    @Test(arguments: [true, false]) func aFlapIsForgotten(isCrash: Bool) throws {
        let end = 500 + Self.retry - 1000
        var faults = [Fault(.cableCut, rank: 0, atNanoseconds: 500, forNanoseconds: 300_000)]
        if isCrash { faults.append(Fault(.crash, rank: 1, atNanoseconds: end)) }
        let world = try PlannedWorld(2, faults: faults) {
            ($0.retryNanoseconds, $0.deathNoticeNanoseconds) = (Self.retry, Self.notice)
        }
        world.write(microsecondOfCable, from: 0, to: 1)
        if isCrash {
            world.write(microsecondOfCable, from: 1, to: 0, at: end - 1001)
        } else {
            world.plan(at: end, rank: 1) { $0.fabric.close(deadline: .distantFuture) }
        }
        try world.run()
        let loss = isCrash ? (end + Self.notice + 1, .peerDied) : (end + 2001, nil) as (UInt64, FabricError.Cause?)
        #expect(world.arrivals == (isCrash ? [303_000, end + 1999] : [303_000]))
        #expect(world.losses == [[.init(at: loss.0, peer: 1, cause: loss.1)], []])
    }

    /// From the beginning, from the middle of a write on, and in its middle.
    @Test(arguments: [(0, 1_000_000, 6000), (500, 1_000_000, 4500), (500, 1000, 3750)] as [(UInt64, UInt64, UInt64)])
    func aSlowCableCarriesItsFraction(from: UInt64, nanoseconds: UInt64, wanted: UInt64) throws {
        for victim in 0..<2 {
            let world = try Self.world(4, Fault(.slowCable(fraction: 0.25), rank: victim, atNanoseconds: from, forNanoseconds: nanoseconds))
            world.write(microsecondOfCable, from: 0, to: 1)
            world.write(microsecondOfCable, from: 2, to: 3)
            world.write(microsecondOfCable, from: 0, to: 1, at: 2_000_000)
            try world.run()
            #expect(world.arrivals == [wanted, 3000, 2_003_000])
        }
    }

    // MARK: ranks

    /// While it is slow, what it computes takes so many times longer; what its NIC does takes as long as ever.
    @Test func aSlowRankComputesSlowly() throws {
        let world = try Self.world(3, Fault(.slowness(factor: 10), rank: 0, atNanoseconds: 1000, forNanoseconds: 50_000)) {
            ($0.postNanoseconds, $0.touchNanosecondsPerByte) = (100, 0.5)
        }
        for rank in 0..<2 {
            for time in [0, 10_000, 90_000] as [UInt64] {
                world.plan(at: time, rank: rank) { $0.fabric.didTouch(byteCount: 400) }
                world.write(microsecondOfCable, from: rank, to: rank + 1, at: time)
            }
        }
        try world.run()
        #expect(world.arrivals == [3300, 10_000 + 10 * 300 + 3000, 93_300, 3300, 13_300, 93_300])
    }

    /// Its NIC goes on: what it had posted leaves, what comes is placed and acknowledged. It sees and does everything when it resumes.
    @Test(arguments: [SimulationOptions.Payload.early, .late]) func aPausedRankDoesNothing(payload: SimulationOptions.Payload) throws {
        let world = try Self.world(2, Fault(.pause, rank: 1, atNanoseconds: 1000, forNanoseconds: 50_000)) { $0.payload = payload }
        world.plan(rank: 0) { $0.region.fill(with: 7) }
        let bytes = world.write(microsecondOfCable, from: 0, to: 1)
        world.write(microsecondOfCable, from: 1, to: 0, at: 500)
        world.write(0, from: 1, to: 0, at: 2000)
        let target = world.seats[1].region
        var placed: [Bool] = []
        for time in [0, 5000] as [UInt64] {
            world.plan(at: time, rank: 0) { _ in placed.append(bytes.allSatisfy { target.byte(at: $0) == 7 }) }
        }
        try world.run()
        #expect(world.completions[0] == [.init(at: 5000, through: 1)] && placed == [payload == .early, true])
        #expect(world.arrivals == [51_000, 3500, 53_000])
        #expect(world.completions[1].first == .init(at: 51_000, through: 1))
        #expect(world.losses == [[], []])
    }

    // MARK: ends

    /// The dead rank's kernel tells everyone, whether or not they write to it.
    @Test func aCrashIsToldToAllPeers() throws {
        let world = try Self.world(4, Fault(.crash, rank: 1, atNanoseconds: 10_000))
        world.write(microsecondOfCable, from: 0, to: 1, at: 20_000)
        world.write(microsecondOfCable, from: 2, to: 3, at: 20_000)
        try world.run()
        let loss = PlannedWorld.Loss(at: 10_001 + Self.notice, peer: 1, cause: .peerDied)
        #expect(world.losses == [[loss], [], [loss], [loss]])
        #expect(world.arrivals == [nil, 23_000] && world.completions[0].isEmpty)
        #expect(!world.network.isAlive(place: 1) && world.network.isAlive(place: 0))
    }

    /// What has left arrives, and only then its sender's death is told; what has not left never does.
    @Test func whatDepartedBeforeACrashArrivesBeforeTheNews() throws {
        let world = try Self.world(2, Fault(.crash, rank: 1, atNanoseconds: 1500)) { $0.deathNoticeNanoseconds = 10 }
        for _ in 0..<2 { world.write(microsecondOfCable, from: 1, to: 0) }
        try world.run()
        #expect(world.arrivals == [3000, nil])
        #expect(world.losses[0] == [.init(at: 3001, peer: 1, cause: .peerDied)] && world.completions[1].isEmpty)
    }

    /// Nobody is told; who writes to a rank of the node gives it up when the retries are over, counted from when the write would have been there.
    @Test func aMachinesDeathIsFoundOutByWriting() throws {
        let world = try Self.world(6, Fault(.nodeDeath, rank: 3, atNanoseconds: 10_000)) { $0.ranksPerNode = 2 }
        world.write(microsecondOfCable, from: 3, to: 1, at: 8500)
        world.write(microsecondOfCable, from: 2, to: 4, at: 8500)
        world.write(microsecondOfCable, from: 0, to: 2, at: 20_000)
        world.write(microsecondOfCable, from: 4, to: 3, at: 30_000)
        world.write(microsecondOfCable, from: 1, to: 5, at: 30_000)
        try world.run()
        // The node's two shared its cable and had not sent everything.
        #expect(world.arrivals == [nil, nil, nil, nil, 33_000])
        #expect(world.losses[0] == [.init(at: 23_000 + Self.retry, peer: 2, cause: .peerUnreachable)])
        #expect(world.losses[4] == [.init(at: 33_000 + Self.retry, peer: 3, cause: .peerUnreachable)])
        #expect([1, 2, 3, 5].allSatisfy { world.losses[$0].isEmpty })
        #expect((0..<6).map { world.network.isAlive(place: $0) } == [true, true, false, false, true, true])
    }

    /// In order: after everything that it wrote.
    @Test func aLeaveIsToldAfterWhatWasWritten() throws {
        let world = try Self.world(2) { $0.arrivalDelayNanoseconds = 5000 }
        world.write(microsecondOfCable, from: 1, to: 0)
        world.plan(at: 10_000, rank: 1) { $0.fabric.close(deadline: .distantFuture) }
        try world.run()
        let arrival = try #require(world.arrivals[0])
        let loss = try #require(world.losses[0].first)
        #expect(loss.peer == 1 && loss.cause == nil && loss.at > arrival && loss.at >= 12_001)
        #expect(loss.at <= 12_001 + 5000 && world.losses[1].isEmpty)
    }

    /// After the news, writes are refused in the same words.
    @Test func writesToTheLostAreRefused() throws {
        let world = try Self.world(2, Fault(.crash, rank: 1, atNanoseconds: 10))
        world.write(0, from: 0, to: 1, at: 1_000_000)
        #expect {
            try world.run()
        } throws: {
            ($0 as? FabricError)?.cause == .peerDied && ($0 as? FabricError)?.peer == 1
        }
    }
}

// SAFETY: the network owns the regions while the world lives, which its tests hold; offsets are inside.
extension Region {
    fileprivate func fill(with byte: UInt8) { unsafe base.initializeMemory(as: UInt8.self, repeating: byte, count: byteCount) }

    fileprivate func byte(at offset: Int) -> UInt8 { unsafe base.load(fromByteOffset: offset, as: UInt8.self) }
}
