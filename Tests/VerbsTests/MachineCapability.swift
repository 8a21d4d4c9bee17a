import Testing
import Verbs

enum MachineCapability {
    /// Of the usable devices, one each. Asked once: the devices of a machine do not come and go while the tests run.
    static let usableAddresses: [(device: String, address: InternetAddress)] = {
        let devices = (try? deviceInventory()) ?? []
        return devices.compactMap { device in device.usableAddresses.first.map { (device.name, $0) } }
    }()

    static var usableAddress: (device: String, address: InternetAddress)? { usableAddresses.first }

    static var hasDevice: Bool { usableAddress != nil }
}

extension Trait where Self == ConditionTrait {
    /// Skips with the name of what is missing.
    static var needsDevice: Self { .enabled(if: MachineCapability.hasDevice, "no RDMA device with an active port") }
    static var needsTwoDevices: Self {
        .enabled(if: MachineCapability.usableAddresses.count >= 2, "no two RDMA devices with an active port")
    }
}
