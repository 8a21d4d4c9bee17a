import SimulatedFabric
import Testing

/// What a cable of the default carries in 1,000 ns; its latency is 2,000 ns.
let microsecondOfCable = 12_500

/// The network's physics without faults, to the nanosecond of virtual time: docs/SIMULATION.md, *Wires* and *Stages*.
@Suite struct WireTests {
    @Test(arguments: [false, true], [(0, 0), (1, 1), (12, 1), (12_500, 1000), (125_003, 10_001)])
    func aWriteTakesItsBytesAndThenTheLatency(isPlain: Bool, write: (bytes: Int, nanoseconds: UInt64)) throws {
        let world = try PlannedWorld(2) { if isPlain { $0.makePlain() } }
        world.write(write.bytes, from: 0, to: 1, at: 700)
        try world.run()
        #expect(world.arrivals == [700 + write.nanoseconds + 2000])
        #expect(world.completions[0] == [.init(at: 700 + write.nanoseconds + 4000, through: 1)])
        #expect(world.completions[1].isEmpty)
    }

    @Test(arguments: [false, true]) func writesInARowPayTheLatencyOnce(isPlain: Bool) throws {
        let world = try PlannedWorld(2) { if isPlain { $0.makePlain() } }
        for _ in 0..<3 { world.write(microsecondOfCable, from: 0, to: 1) }
        world.write(0, from: 0, to: 1)
        try world.run()
        #expect(world.arrivals == [3000, 4000, 5000, 5000])
    }

    @Test func eachDirectionOfACableHasItsOwnRate() throws {
        let world = try PlannedWorld(2)
        world.write(microsecondOfCable, from: 0, to: 1)
        world.write(microsecondOfCable, from: 1, to: 0)
        try world.run()
        #expect(world.arrivals == [3000, 3000])
    }

    // MARK: sharing

    /// At a common sender, at a common receiver, and between one pair. A plain world learns from the first writes that the wires are shared.
    @Test(arguments: [1, 2, 3, 5], [false, true]) func flowsShareAWireEqually(flows: Int, isPlain: Bool) throws {
        let ways: [(Int) -> (from: Int, to: Int, channel: Int)] = [{ (0, $0 + 1, 0) }, { ($0 + 1, 0, 0) }, { (0, 1, $0) }]
        for way in ways {
            let world = try PlannedWorld(flows + 1) {
                $0.channelsPerPeer = flows
                if isPlain { $0.makePlain() }
            }
            for time in [0, 10_000] as [UInt64] {
                for flow in 0..<flows {
                    let (from, to, channel) = way(flow)
                    world.write(time == 0 ? 1 : microsecondOfCable, from: from, to: to, channel: channel, at: time)
                }
            }
            try world.run()
            #expect(world.arrivals.suffix(flows) == Array(repeating: 12_000 + 1000 * UInt64(flows), count: flows)[...])
        }
    }

    /// Alone for 500 ns, then two for as long as both have something to send, and alone again.
    @Test func aLaterFlowTakesItsShareFromItsBeginning() throws {
        let world = try PlannedWorld(3)
        world.write(microsecondOfCable, from: 0, to: 1)
        world.write(microsecondOfCable, from: 0, to: 2, at: 500)
        try world.run()
        #expect(world.arrivals == [3500, 4000])
    }

    /// docs/SIMULATION.md, *Size*: a flow that was alone so far has departed whole, once for each pair; the newcomer goes after it, not beside it.
    @Test(arguments: [1, 3]) func aPlainWorldLetsTheFirstFlowEnd(writes: UInt64) throws {
        let world = try PlannedWorld(3) { $0.makePlain() }
        for time in [0, 10_000] as [UInt64] {
            for _ in 0..<(time == 0 ? writes : 1) { world.write(microsecondOfCable, from: 0, to: 1, at: time) }
            world.write(microsecondOfCable, from: 0, to: 2, at: time + 500)
        }
        try world.run()
        let first = (1...writes).map { 2000 + 1000 * $0 }
        #expect(world.arrivals.compactMap { $0 } == first + [3000 + 1000 * writes, 13_500, 14_000])
    }

    /// Rank 0's flows have a third each of its cable, so that the last does not use its half of rank 3's. The rest of that half is not for rank 4:
    /// max-min sharing would give it two thirds, and 3,500 ns.
    @Test func whatAFlowCannotUseIsNotGivenToOthers() throws {
        let world = try PlannedWorld(5)
        for peer in 1...3 { world.write(microsecondOfCable, from: 0, to: peer) }
        world.write(microsecondOfCable, from: 4, to: 3)
        try world.run()
        #expect(world.arrivals == [5000, 5000, 5000, 4000])
    }

    // MARK: a fat tree

    /// Every node of a leaf sends: to the other leaf, at a k-th of its NIC; or to its neighbour, at all of it.
    @Test(arguments: [1, 2, 4]) func oversubscriptionSlowsWhatLeavesALeaf(oversubscription: Int) throws {
        for (distance, wanted) in [(2, 4000 + 1000 * UInt64(oversubscription)), (1, 3000)] {
            let world = try PlannedWorld(4) { $0.topology = .fatTree(nodesPerLeaf: 2, oversubscription: Double(oversubscription)) }
            for rank in 0..<2 { world.write(microsecondOfCable, from: rank, to: distance == 2 ? rank + 2 : 1 - rank) }
            try world.run()
            #expect(world.arrivals == [wanted, wanted], "\(distance)")
        }
    }

    /// One flow has the uplink for itself: 25 bytes a nanosecond, divided by the oversubscription.
    @Test(arguments: [(2, 5000), (4, 6000), (8, 8000)] as [(Double, UInt64)])
    func anUplinkCarriesTheSumOfItsNICsDividedByTheOversubscription(oversubscription: Double, wanted: UInt64) throws {
        let world = try PlannedWorld(4) { $0.topology = .fatTree(nodesPerLeaf: 2, oversubscription: oversubscription) }
        world.write(microsecondOfCable, from: 0, to: 3)
        try world.run()
        #expect(world.arrivals == [wanted])
    }

    /// Two leaves send to two nodes of a third, by uplinks of their own: they meet in its downlink. The other way round they do not.
    @Test func flowsIntoALeafShareItsDownlink() throws {
        let world = try PlannedWorld(6) { $0.topology = .fatTree(nodesPerLeaf: 2, oversubscription: 2) }
        for (from, to) in [(0, 4), (2, 5)] { world.write(microsecondOfCable, from: from, to: to) }
        for (from, to) in [(0, 2), (2, 4)] { world.write(microsecondOfCable, from: from, to: to, at: 10_000) }
        try world.run()
        #expect(world.arrivals == [6000, 6000, 15_000, 15_000])
    }

    // MARK: nodes

    @Test(arguments: [(1, [5000, 5000, 5000]), (2, [4000, 3000, 4000]), (3, [3000, 3000, 3000])] as [(Int, [UInt64])])
    func ranksOfAMachineShareItsNICs(nics: Int, wanted: [UInt64]) throws {
        let world = try PlannedWorld(6) {
            $0.ranksPerNode = 3
            $0.nicsPerNode = nics
        }
        for rank in 0..<3 { world.write(microsecondOfCable, from: rank, to: rank + 3) }
        try world.run()
        #expect(world.arrivals == wanted)
    }

    /// 16 bytes a nanosecond, both directions together, after 200 ns; cables are another matter.
    @Test func ranksOfAMachineShareItsMemory() throws {
        let world = try PlannedWorld(4) { $0.ranksPerNode = 2 }
        world.write(16_000, from: 0, to: 1)
        world.write(16_000, from: 0, to: 1, at: 10_000)
        world.write(16_000, from: 1, to: 0, at: 10_000)
        world.write(microsecondOfCable, from: 0, to: 2, at: 10_000)
        world.write(16_000, from: 3, to: 2, at: 10_000)
        try world.run()
        #expect(world.arrivals == [1200, 12_200, 12_200, 13_000, 11_200])
        for (peer, isNear) in [(1, true), (2, false), (3, false)] {
            let remote = try #require(world.seats[0].remotes[peer])
            // SAFETY: only whether there is an address; nothing is read.
            #expect(unsafe (world.seats[0].fabric.address(of: remote) != nil) == isNear)
        }
    }

    // MARK: the cost of computing

    /// A rank sends when it has done what it took on, and takes the next event after that.
    @Test func writesEventsAndTouchedBytesCostTime() throws {
        let world = try PlannedWorld(2) {
            ($0.postNanoseconds, $0.pollNanoseconds, $0.touchNanosecondsPerByte) = (100, 300, 0.5)
        }
        world.plan(rank: 0) { $0.fabric.didTouch(byteCount: 1000) }
        for _ in 0..<2 { world.write(0, from: 0, to: 1) }
        world.write(0, from: 0, to: 1, at: 10_000)
        try world.run()
        // The second is there at 2,700 and finds the rank busy with the first.
        #expect(world.arrivals == [2600, 2900, 12_100])
    }
}
