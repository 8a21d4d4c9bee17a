import Fabric
import Foundation
import Testing
import VerbsFabric

@testable import MixedFabric
@testable import SharedMemoryFabric

/// Who is near whom.
enum Neighbourhood: String, CaseIterable, Sendable {
    case sameParity, sameHalf, everybody, nobody

    func ranks(near rank: Int, of size: Int) -> Set<Int> {
        switch self {
        case .sameParity: Set((0..<size).filter { $0 % 2 == rank % 2 })
        case .sameHalf: Set((0..<size).filter { $0 / 2 == rank / 2 })
        case .everybody: Set(0..<size)
        case .nobody: []
        }
    }

    func configuration(near rank: Int, of size: Int, spins: Int) -> MixedFabricConfiguration {
        MixedFabricConfiguration(nearRanks: ranks(near: rank, of: size), waits: WaitPolicy(spins: spins))
    }
}

private func sharedMemory(_ rank: Int, _ size: Int, channels: Int, isOnDescriptor: Bool = true) throws(FabricError) -> SharedMemoryFabric {
    try SharedMemoryFabric(
        .init(
            rank: rank, worldSize: size, channelsPerPeer: channels, arrivalDepth: 64, jobKey: [1], waits: WaitPolicy(),
            sleepsOnDescriptor: isOnDescriptor))
}

@Suite struct MixedConformance {
    @Test(arguments: Promise.allCases, Neighbourhood.allCases)
    func keeps(promise: Promise, neighbourhood: Neighbourhood) throws {
        for (channels, spins) in [(1, 0), (3, 20)] {
            try promise.isKept { rank, size in
                try MixedFabric(
                    near: sharedMemory(rank, size, channels: channels),
                    far: LendingFabric(sharedMemory(rank, size, channels: channels)),
                    neighbourhood.configuration(near: rank, of: size, spins: spins))
            }
        }
    }

    @Test func showsMemoryOfTheMachineOnly() throws { try run(NearAddressesCheck()) }

    @Test func losesNoWakeUp() throws { try run(SleepCheck()) }

    private func run(_ check: some ConformanceCheck) throws {
        try World.run(
            size: 3,
            make: { rank in
                var near = try sharedMemory(rank, 3, channels: 1)
                var far = try sharedMemory(rank, 3, channels: 1)
                // No sleep ends by itself: a wake-up that is lost is not made good.
                near.livenessIntervalMilliseconds = 2 * World.patienceMilliseconds
                far.livenessIntervalMilliseconds = 2 * World.patienceMilliseconds
                return try MixedFabric(
                    near: near, far: LendingFabric(far), Neighbourhood.sameParity.configuration(near: rank, of: 3, spins: 0))
            }, check: check)
    }

    /// The word that the job is over comes while one fabric waits for peers that will not come.
    @Test func aWakerEndsConnecting() throws {
        var near = try sharedMemory(0, 2, channels: 1)
        var far = try sharedMemory(0, 2, channels: 1)
        near.livenessIntervalMilliseconds = 2 * World.patienceMilliseconds
        far.livenessIntervalMilliseconds = 2 * World.patienceMilliseconds
        let peer = try sharedMemory(1, 2, channels: 1)
        let endpoint = Pair(near: peer.endpoint, far: peer.endpoint).encoded
        var mixed = try MixedFabric(
            near: near, far: LendingFabric(far, waitsToConnect: true), MixedFabricConfiguration(nearRanks: [0], waits: WaitPolicy()))
        let waker = mixed.waker()
        let deadline = mixed.now().advanced(milliseconds: World.patienceMilliseconds)
        Thread.detachNewThread { waker.wake() }
        #expect(throws: FabricError.self) { try mixed.connect(to: [1: endpoint], deadline: deadline) }
        #expect(deadline.since(mixed.now()) > 0)
    }

    /// Two shared memories cannot hold the same region, and a fabric that sleeps on a futex cannot sleep with another.
    @Test func refusesWhatDoesNotFit() throws {
        let configuration = MixedFabricConfiguration(nearRanks: [], waits: WaitPolicy())
        var mixed = try MixedFabric(
            near: sharedMemory(0, 2, channels: 1), far: sharedMemory(0, 2, channels: 1), configuration)
        #expect { _ = try mixed.allocate(byteCount: 64) } throws: { ($0 as? FabricError)?.cause == .resource }
        #expect {
            _ = try MixedFabric(
                near: sharedMemory(0, 2, channels: 1, isOnDescriptor: false), far: sharedMemory(0, 2, channels: 1), configuration)
        } throws: {
            ($0 as? FabricError)?.detail.contains("descriptor") == true
        }
        #expect {
            _ = try MixedFabric(near: sharedMemory(0, 2, channels: 1), far: sharedMemory(1, 2, channels: 1), configuration)
        } throws: {
            ($0 as? FabricError)?.cause == .resource
        }
        for bad in [[], [0, 0, 0, 9, 1], [255, 255, 255, 255]] as [[UInt8]] {
            #expect(throws: FabricError.self) { try mixed.connect(to: [1: bad], deadline: mixed.now()) }
        }
    }
}

@Suite(.enabled("no RDMA device with an active port") { (try? VerbsFabric.checkDevices()) != nil })
struct MixedVerbsConformance {
    @Test(arguments: Promise.allCases, Neighbourhood.allCases)
    func keeps(promise: Promise, neighbourhood: Neighbourhood) throws {
        try promise.isKept { rank, size in
            try MixedFabric(
                near: sharedMemory(rank, size, channels: 2),
                far: VerbsConformance.make(rank: rank, worldSize: size, channels: 2),
                neighbourhood.configuration(near: rank, of: size, spins: 0))
        }
    }
}

@Suite(.enabled("no two RDMA devices with an active port") { (try? VerbsFabric.checkDevices(devicesPerRank: 2)) != nil })
struct MixedVerbsOnTwoDevicesConformance {
    @Test(arguments: [Promise.wait, .order], [Neighbourhood.sameHalf, .nobody])
    func keeps(promise: Promise, neighbourhood: Neighbourhood) throws {
        try promise.isKept { rank, size in
            try MixedFabric(
                near: sharedMemory(rank, size, channels: 2),
                far: VerbsConformance.make(rank: rank, worldSize: size, channels: 2, devices: 2),
                neighbourhood.configuration(near: rank, of: size, spins: 0))
        }
    }
}

/// Memory of near peers has an address here, that of far peers has none.
struct NearAddressesCheck: ConformanceCheck {
    let worldSize = 3

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (_, remotes) = try fabric.shareRegion(byteCount: 64, label: "region", in: world)
        for peer in 0..<worldSize where peer != fabric.rank {
            // SAFETY: nothing is read there.
            let isShown = unsafe fabric.address(of: remotes[peer]!) != nil
            try demand(isShown == (peer % 2 == fabric.rank % 2), "an address where the peer is near, and only there")
        }
    }
}

/// A rank with nothing to do sleeps until somebody near, and then somebody far, wakes it: many times, at every moment of going to sleep.
struct SleepCheck: ConformanceCheck {
    let worldSize = 3
    static let turns = 5_000

    /// Rank 2, which is near, and rank 1, which is far, ask again and again; rank 0 answers whoever asked.
    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 64, label: "region", in: world)
        func write(to peer: Int) throws {
            _ = try fabric.write(
                Write(
                    channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remotes[peer]!, destinationOffset: 0,
                    byteCount: 8, immediate: 0))
        }
        for turn in 0..<(fabric.rank == 0 ? 2 : 1) * Self.turns {
            if fabric.rank != 0 { try write(to: 0) }
            let asker = try arrival(on: &fabric, idlePolls: turn % 199)
            if fabric.rank == 0 { try write(to: asker) }
        }
        while fabric.poll() != nil {}
    }

    /// Looks so many times before it sleeps.
    /// - Returns: who wrote.
    private func arrival<F: Fabric & ~Copyable>(on fabric: inout F, idlePolls: Int) throws -> Int {
        let deadline = fabric.now().advanced(milliseconds: World.patienceMilliseconds / 2)
        var idle = 0
        while true {
            switch fabric.poll() {
            case .arrival(let channel, _): return channel.peer
            case .completion: break
            case nil:
                idle += 1
                if idle < idlePolls { continue }
                fabric.wait(until: deadline)
                try demand(fabric.now() < deadline, "nobody woke rank \(fabric.rank)")
            case .some(let event): throw Broken(description: "unexpected \(event)")
            }
        }
    }
}
