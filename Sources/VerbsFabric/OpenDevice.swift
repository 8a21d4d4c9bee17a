import Fabric
import Verbs

/// One of this rank's devices, open and listening.
struct OpenDevice {
    let name: String
    /// A context of our own for the events of device and ports: those of librdmacm's go to every fabric of the process.
    let monitor: DeviceContext
    /// Where peers find it; its address is the source of the connections that start here.
    let listener: Listener
    /// On librdmacm's context of the device, as everything that takes part in a connection.
    let domain: ProtectionDomain

    /// - Parameters:
    ///   - token: the listener's.
    ///   - backlog: requests that may wait to be looked at.
    init(_ choice: DeviceChoice, _ manager: ConnectionManager, token: Int, backlog: Int) throws(VerbsError) {
        name = choice.deviceName
        monitor = try DeviceContext(opening: choice.deviceName)
        listener = try Listener(manager, on: choice.address, token: token, backlog: backlog)
        let device = listener.device()
        guard device.name == choice.deviceName else {
            throw VerbsError(
                .noDevice, call: "rdma_bind_addr", errno: 0,
                detail: "address \(choice.address) of \(choice.deviceName) leads to \(device.name)",
                remedy: "give each device an address of its own")
        }
        domain = try ProtectionDomain(on: device)
    }

    /// Why it cannot be used any more, as far as it has said so since the last question. Never blocks.
    func failure(during operation: FabricError.Operation) -> FabricError? {
        while let event = monitor.nextEvent() {
            switch event {
            case .deviceFailed: return FabricError(.deviceFailed, during: operation, detail: "device \(name) failed")
            case .portFailed(let port) where port == listener.portNumber:
                return FabricError(
                    .deviceFailed, during: operation, detail: "port \(port) of device \(name) went down",
                    remedy: VerbsError.remedy(for: .portInactive))
            case .portFailed, .portActive, .other: continue
            }
        }
        return nil
    }
}
