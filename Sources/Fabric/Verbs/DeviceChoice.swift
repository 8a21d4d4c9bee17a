import Fabric
import Verbs

/// A device that a rank uses, and which of its addresses.
struct DeviceChoice: Equatable {
    var deviceName: String
    /// Those of one port, one or more: all, or those that the user named. The first is the one to take where all are as good.
    var addresses: [InternetAddress]
    /// What the port says that a message may be long.
    var messageByteLimit: Int

    /// A rank's devices, in the order in which its channels take them: each local rank takes the next `count` of the named ones, or else
    /// of the usable ones, and after the last comes the first again.
    /// - Throws: `.noDevice`, saying what each device lacks, or that there are too few.
    static func choices(
        from devices: [DeviceDescription], named names: [String], perRank count: Int, localRank: Int
    ) throws(FabricError) -> [DeviceChoice] {
        let turns = localRank * count..<(localRank + 1) * count
        var choices: [DeviceChoice] = []
        if names.isEmpty {
            let usable = try usable(of: devices, named: nil)
            choices = turns.map { usable[$0 % usable.count] }
        } else {
            for turn in turns { choices.append(try usable(of: devices, named: names[turn % names.count])[0]) }
        }
        let distinct = Set(choices.map(\.deviceName)).sorted()
        guard distinct.count == count else {
            throw FabricError(
                .noDevice, during: .open,
                detail:
                    "\(count) devices per rank, but there are only \(distinct.count) to choose from: \(distinct.joined(separator: ", "))",
                remedy: "use at most \(distinct.count) per rank, or name or mend others; `verbena doctor` shows what this machine has")
        }
        return choices
    }

    /// All that can be used, or the one that is named, at least one.
    /// - Parameter text: the device's name, alone or with an address or prefix: `rxe1`, `rxe1@10.10.0.1`, `rxe1@10.10.0.0/24`.
    private static func usable(of devices: [DeviceDescription], named text: String?) throws(FabricError) -> [DeviceChoice] {
        let (name, subnet) = try text.map { (text) throws(FabricError) in try parse(text) } ?? (nil, nil)
        let candidates = devices.filter { name == nil || $0.name == name }
        let usable = candidates.compactMap { device in
            device.usablePort(in: subnet).map {
                DeviceChoice(deviceName: device.name, addresses: $0.addresses, messageByteLimit: $0.port.messageByteLimit)
            }
        }
        guard usable.isEmpty else { return usable }
        if let subnet, let device = candidates.first, !device.usableAddresses.isEmpty {
            let all = device.usableAddresses.map(\.description).joined(separator: ", ")
            throw FabricError(
                .noDevice, during: .open, detail: "RDMA device \(device.name): none of its addresses (\(all)) is in \(subnet)",
                remedy: "name one of those after the @, a prefix that has one, or none")
        }
        throw nothingUsable(devices, candidates, name)
    }

    private static func parse(_ text: String) throws(FabricError) -> (name: String, subnet: Subnet?) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return (text, nil) }
        guard !parts[0].isEmpty, let subnet = Subnet(text: parts[1]) else {
            throw FabricError(
                .noDevice, during: .open, detail: "\(text) is not a device and an address",
                remedy: "write \(parts[0].isEmpty ? "rxe1" : parts[0])@10.10.0.1 or, for any address with a prefix, @10.10.0.0/24")
        }
        return (parts[0], subnet)
    }

    private static func nothingUsable(_ devices: [DeviceDescription], _ candidates: [DeviceDescription], _ name: String?) -> FabricError {
        let subject = name.map { "RDMA device \($0)" } ?? "RDMA device"
        if candidates.isEmpty {
            let others = devices.map(\.name).joined(separator: ", ")
            let detail = "this machine has no \(subject)" + (others.isEmpty ? "" : " (it has \(others))")
            return FabricError(
                .noDevice, during: .open, detail: detail,
                remedy: devices.isEmpty ? VerbsError.remedy(for: .noDevice) : "name one of those, or none for all")
        }
        let lacks = candidates.map { "\($0.name): \(lack(of: $0))" }.joined(separator: ", ")
        return FabricError(
            .noDevice, during: .open, detail: "\(subject): no active port with an IP address (\(lacks))",
            remedy: VerbsError.remedy(for: .portInactive))
    }

    private static func lack(of device: DeviceDescription) -> String {
        if device.ports.contains(where: { $0.state == .active }) { return "port active, no address" }
        return device.ports.map { "port \($0.number) \($0.state.rawValue)" }.joined(separator: ", ")
    }
}

extension FabricError {
    /// Wraps an error of the layer below: its cause maps to ours, its text and remedy stay.
    init(_ error: VerbsError, during operation: Operation, peer: Int? = nil) {
        let cause: Cause =
            switch error.cause {
            case .noDevice, .noLibrary, .portInactive: .noDevice
            case .memoryLockLimit, .permission, .resource: .resource
            case .noRoute: .peerUnreachable
            case .system: .deviceFailed
            }
        var facts = error
        facts.remedy = ""
        self.init(cause, during: operation, peer: peer, detail: facts.description, remedy: error.remedy)
    }
}

/// Runs calls of the layer below and wraps what they throw.
func wrapping<R>(
    _ operation: FabricError.Operation, peer: Int? = nil, _ body: () throws(VerbsError) -> R
) throws(FabricError) -> R {
    do throws(VerbsError) {
        return try body()
    } catch {
        throw FabricError(error, during: operation, peer: peer)
    }
}
