import Fabric
import SharedMemoryFabric
import Testing
import VerbsFabric

/// The contract of a fabric, promise by promise; every fabric runs all of them.
enum Promise: String, CaseIterable, Sendable {
    case order, pressure, bounds, regions, death, close, wait
    case chains, registered, pooled, addresses

    var check: any ConformanceCheck {
        switch self {
        case .order: OrderCheck()
        case .pressure: PressureCheck()
        case .bounds: BoundsCheck()
        case .regions: RegionsCheck()
        case .death: DeathCheck()
        case .close: CloseCheck()
        case .wait: WaitCheck()
        case .chains: ChainsCheck()
        case .registered: RegisteredCheck()
        case .pooled: RegisteredCheck(isPooled: true)
        case .addresses: AddressesCheck()
        }
    }

    func isKept<F: Fabric & ~Copyable>(make: @escaping @Sendable (Int, Int) throws -> F) throws {
        try run(check, make)
    }

    private func run<F: Fabric & ~Copyable>(_ check: some ConformanceCheck, _ make: @escaping @Sendable (Int, Int) throws -> F) throws {
        let size = check.worldSize
        try World.run(size: size, make: { try make($0, size) }, check: check)
    }
}

@Suite struct SharedMemoryConformance {
    @Test(arguments: Promise.allCases, [1, 3])
    func keeps(promise: Promise, channels: Int) throws {
        try promise.isKept { rank, size in
            try SharedMemoryFabric(.init(rank: rank, worldSize: size, channelsPerPeer: channels, arrivalDepth: 64, jobKey: [1, 2, 3]))
        }
    }

    /// A fast one, a slow one, and one that is all latency.
    @Test(arguments: Promise.allCases, ["100Gbit,1us", "200Mbit,0us", "1000Gbit,3ms"])
    func keepsOverALink(promise: Promise, link: String) throws {
        let emulated = try #require(EmulatedLink(link))
        try promise.isKept { rank, size in
            var configuration = SharedMemoryConfiguration(rank: rank, worldSize: size, channelsPerPeer: 2, arrivalDepth: 64, jobKey: [1])
            configuration.link = emulated
            return try SharedMemoryFabric(configuration)
        }
    }

    @Test func refusesAnotherLink() {
        #expect {
            try World.run(
                size: 2,
                make: {
                    var configuration = SharedMemoryConfiguration(rank: $0, worldSize: 2, jobKey: [])
                    if $0 == 0 { configuration.link = EmulatedLink("10Gbit,5us") }
                    return try SharedMemoryFabric(configuration)
                }, check: WaitCheck())
        } throws: {
            ($0 as? FabricError)?.cause == .wrongPeer
        }
    }

    @Test func refusesAnotherJob() {
        #expect {
            try World.run(
                size: 2, make: { try SharedMemoryFabric(.init(rank: $0, worldSize: 2, jobKey: [UInt8($0)])) }, check: WaitCheck())
        } throws: {
            ($0 as? FabricError)?.cause == .wrongPeer
        }
    }

    @Test func refusesNonsense() throws {
        var fabric = try SharedMemoryFabric(.init(rank: 0, worldSize: 2, jobKey: []))
        let good = try SharedMemoryFabric(.init(rank: 1, worldSize: 2, jobKey: [])).endpoint
        for bad in [[], Array(good.dropLast()), good + [0], Array(good.dropFirst())] {
            #expect(throws: FabricError.self) { try fabric.connect(to: [1: bad], deadline: fabric.now()) }
        }
    }
}

@Suite(.enabled("no RDMA device with an active port") { (try? VerbsFabric.checkDevices()) != nil })
struct VerbsConformance {
    static func make(rank: Int, worldSize: Int, channels: Int = 1, devices: Int = 1, key: UInt8 = 7, epoch: UInt32 = 1) throws
        -> VerbsFabric
    {
        var configuration = VerbsFabricConfiguration(
            rank: rank, worldSize: worldSize, localRank: rank, jobKey: Array(repeating: key, count: 16), epoch: epoch)
        configuration.channelsPerPeer = channels
        configuration.devicesPerRank = devices
        configuration.arrivalDepth = 64
        configuration.writeDepth = 64
        return try VerbsFabric(configuration)
    }

    @Test(arguments: Promise.allCases, [1, 3])
    func keeps(promise: Promise, channels: Int) throws {
        try promise.isKept { rank, size in try Self.make(rank: rank, worldSize: size, channels: channels) }
    }

    @Test(arguments: ["key", "epoch"]) func refusesAnotherJob(field: String) {
        #expect {
            try World.run(
                size: 2,
                make: {
                    try Self.make(rank: $0, worldSize: 2, key: field == "key" ? UInt8($0) : 7, epoch: field == "epoch" ? UInt32($0) : 1)
                }, check: WaitCheck())
        } throws: {
            ($0 as? FabricError)?.cause == .wrongPeer
        }
    }
}

@Suite(.enabled("no two RDMA devices with an active port") { (try? VerbsFabric.checkDevices(devicesPerRank: 2)) != nil })
struct VerbsOnTwoDevicesConformance {
    /// As many channels on each device, and not.
    @Test(arguments: Promise.allCases, [2, 3])
    func keeps(promise: Promise, channels: Int) throws {
        try promise.isKept { rank, size in try VerbsConformance.make(rank: rank, worldSize: size, channels: channels, devices: 2) }
    }
}
