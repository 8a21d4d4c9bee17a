import Fabric
import SharedMemoryFabric
import Testing

/// The contract of a fabric, promise by promise; every fabric runs all of them.
enum Promise: String, CaseIterable, Sendable {
    case order, pressure, bounds, regions, death, close, wait

    var check: any ConformanceCheck {
        switch self {
        case .order: OrderCheck()
        case .pressure: PressureCheck()
        case .bounds: BoundsCheck()
        case .regions: RegionsCheck()
        case .death: DeathCheck()
        case .close: CloseCheck()
        case .wait: WaitCheck()
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
