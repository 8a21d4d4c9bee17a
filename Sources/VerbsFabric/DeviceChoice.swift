import Fabric
import Verbs

/// Which device and which of its addresses a rank uses.
struct DeviceChoice: Equatable {
    var deviceName: String
    var address: InternetAddress

    /// A named device, or else the usable ones in turn: local rank i takes device i mod their number.
    /// - Throws: `.noDevice`, saying what each device lacks.
    init(from devices: [DeviceDescription], named name: String?, localRank: Int) throws(FabricError) {
        let candidates = devices.filter { name == nil || $0.name == name }
        let usable = candidates.compactMap { device in device.usableAddresses.first.map { (device.name, $0) } }
        guard !usable.isEmpty else { throw Self.nothingUsable(devices, candidates, name) }
        (deviceName, address) = usable[localRank % usable.count]
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
            case .noDevice, .portInactive: .noDevice
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
