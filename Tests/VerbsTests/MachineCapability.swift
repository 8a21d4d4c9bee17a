import Testing
import Verbs

enum MachineCapability {
    /// Asked once: the devices of a machine do not come and go while the tests run.
    static let usableAddress: (device: String, address: InternetAddress)? = {
        let devices = (try? deviceInventory()) ?? []
        return devices.lazy.compactMap { device in device.usableAddresses.first.map { (device.name, $0) } }.first
    }()

    static var hasDevice: Bool { usableAddress != nil }
}

extension Trait where Self == ConditionTrait {
    /// Skips with the name of what is missing.
    static var needsDevice: Self { .enabled(if: MachineCapability.hasDevice, "no RDMA device with an active port") }
}
