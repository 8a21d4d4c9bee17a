import Fabric
import Testing

@testable import Verbs
@testable import VerbsFabric

private func device(_ name: String, _ state: PortDescription.State, address: UInt8?) -> DeviceDescription {
    let bytes =
        address.map { [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 10, 10, 0, $0] } ?? [0xFE, 0x80] + [UInt8](repeating: 0, count: 14)
    let gid = GIDDescription(index: 0, kind: .roceVersion2, bytes: bytes, interface: "h0")
    let port = PortDescription(
        number: 1, state: state, physicalState: "LinkUp", linkLayer: .ethernet, activeMTU: 1024, gids: [gid], interfaces: ["h0"])
    let limits = DeviceLimits(
        queuePairs: 1, workRequestsPerQueue: 1, completionsPerQueue: 1, ports: 1)
    return DeviceDescription(name: name, limits: limits, ports: [port])
}

@Suite struct DeviceChoiceTests {
    let devices = [device("a", .active, address: 1), device("down", .down, address: 2), device("c", .active, address: 3)]

    @Test(arguments: [(0, "a"), (1, "c"), (2, "a"), (3, "c")]) func localRanksTakeUsableDevicesInTurn(localRank: Int, name: String) throws {
        #expect(try choices(localRank: localRank) == [name])
    }

    @Test func aNamedDeviceIsTakenByEveryLocalRank() throws {
        let choice = try DeviceChoice.choices(from: devices, named: ["c"], perRank: 1, localRank: 5)
        #expect(choice.map(\.deviceName) == ["c"])
        #expect(choice.first?.addresses == [try #require(InternetAddress(bytes: [10, 10, 0, 3]))])
    }

    @Test(arguments: [
        ("c", ["10.10.0.3", "192.168.1.3", "fd00::3"]), ("c@192.168.1.3", ["192.168.1.3"]), ("c@192.168.0.0/16", ["192.168.1.3"]),
        ("c@fd00::/8", ["fd00::3"]), ("c@0.0.0.0/0", ["10.10.0.3", "192.168.1.3"]),
    ])
    func anAddressOrAPrefixChooses(name: String, addresses: [String]) throws {
        let choice = try #require(try DeviceChoice.choices(from: [several], named: [name], perRank: 1, localRank: 0).first)
        #expect(choice.deviceName == "c")
        #expect(choice.addresses.map(\.description) == addresses)
    }

    @Test(arguments: [
        ("c@10.10.0.4", "none of its addresses (10.10.0.3, 192.168.1.3, fd00::3) is in 10.10.0.4"),
        ("c@10.9.0.0/16", "is in 10.9.0.0/16"), ("c@", "not a device and an address"), ("c@10.10.0.3/33", "not a device and an address"),
        ("@10.10.0.3", "not a device and an address"), ("c@rxe", "not a device and an address"), ("d@10.10.0.3", "no RDMA device d"),
    ])
    func anAddressThatIsNotThereIsToldWithThoseThatAre(name: String, text: String) {
        let error = #expect(throws: FabricError.self) { try choices(from: [several], named: [name], localRank: 0) }
        #expect(error?.cause == .noDevice)
        #expect(error?.detail.contains(text) == true)
        #expect(error?.remedy.isEmpty == false)
    }

    private var several: DeviceDescription {
        var device = device("c", .active, address: 3)
        for bytes in [[UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 168, 1, 3], [0xFD] + [UInt8](repeating: 0, count: 14) + [3]] {
            device.ports[0].gids.append(GIDDescription(index: 1, kind: .roceVersion2, bytes: bytes, interface: "h0"))
        }
        return device
    }

    @Test func namedDevicesAreTakenInTheirOrder() throws {
        for (localRank, name) in [(0, "c"), (1, "a"), (2, "c")] { #expect(try choices(named: ["c", "a"], localRank: localRank) == [name]) }
        #expect(try choices(named: ["c", "down"], localRank: 0) == ["c"], "what others take is theirs to miss")
    }

    @Test func severalDevicesPerRankAreTheNextInTurn() throws {
        let more = devices + [device("d", .active, address: 4)]
        for (localRank, names) in [(0, ["a", "c"]), (1, ["d", "a"]), (2, ["c", "d"]), (3, ["a", "c"])] {
            #expect(try choices(from: more, perRank: 2, localRank: localRank) == names)
        }
        #expect(try choices(named: ["c", "a"], perRank: 2, localRank: 1) == ["c", "a"])
    }

    @Test(arguments: [[], ["a"], ["a", "a", "a"]]) func moreDevicesPerRankThanThereAreIsAnError(names: [String]) throws {
        let error = #expect(throws: FabricError.self) { try choices(named: names, perRank: 3, localRank: 0) }
        #expect(error?.cause == .noDevice)
        #expect(error?.detail.contains(names.isEmpty ? "only 2 to choose from: a, c" : "only 1 to choose from: a") == true)
        #expect(error?.remedy.contains(names.isEmpty ? "at most 2" : "at most 1") == true)
    }

    private func choices(
        from devices: [DeviceDescription]? = nil, named names: [String] = [], perRank: Int = 1, localRank: Int
    ) throws -> [String] {
        try DeviceChoice.choices(from: devices ?? self.devices, named: names, perRank: perRank, localRank: localRank).map(\.deviceName)
    }

    @Test func noDeviceAtAllSaysHowToGetOne() throws {
        let error = #expect(throws: FabricError.self) { try choices(from: [], localRank: 0) }
        #expect(error?.cause == .noDevice)
        #expect(error?.remedy.contains("rdma_rxe") == true)
    }

    @Test func anUnknownNameListsTheKnown() throws {
        let error = #expect(throws: FabricError.self) { try choices(named: ["mlx5_9"], localRank: 0) }
        #expect(error?.cause == .noDevice)
        #expect(error?.detail.contains("mlx5_9") == true)
        #expect(error?.detail.contains("a, down, c") == true)
    }

    @Test func anUnusableDeviceSaysWhatItLacks() throws {
        let unusable = [device("down", .down, address: 2), device("bare", .active, address: nil)]
        let error = #expect(throws: FabricError.self) { try choices(from: unusable, localRank: 0) }
        #expect(error?.detail.contains("down: port 1 down") == true)
        #expect(error?.detail.contains("bare: port active, no address") == true)
    }

    @Test(.enabled(if: !MachineCapability.hasDevice, "a machine without a usable RDMA device")) func openingWithoutADeviceIsAClearError() {
        let configuration = VerbsFabricConfiguration(rank: 0, worldSize: 1, localRank: 0, jobKey: [UInt8](repeating: 0, count: 16))
        do throws(FabricError) {
            let fabric = try VerbsFabric(configuration)
            Issue.record("opened \(fabric.deviceName)")
        } catch {
            #expect(error.cause == .noDevice)
            #expect(error.operation == .open)
            #expect(!error.remedy.isEmpty)
        }
    }
}
