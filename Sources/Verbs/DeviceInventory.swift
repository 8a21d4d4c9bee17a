internal import CVerbs
import Glibc
import Platform

/// All RDMA devices of this machine, in the order of libibverbs. Empty where the kernel has none.
/// - Throws: `.permission` where devices exist that may not be opened.
public func deviceInventory() throws(VerbsError) -> [DeviceDescription] {
    let list = try DeviceList()
    // SAFETY: the names are copied while the list lives.
    let names = withExtendedLifetime(list) { unsafe list.devices.map { unsafe deviceName($0) } }
    var found: [DeviceDescription] = []
    for name in names {
        let device = try DeviceContext(opening: name)
        let limits = try device.limits()
        let gids = device.gids()
        var ports: [PortDescription] = []
        for number in 1...max(1, limits.ports) {
            ports.append(try device.port(number, gids: gids.filter { $0.port == number }.map(\.gid)))
        }
        found.append(DeviceDescription(name: name, limits: limits, ports: ports))
    }
    return found
}

extension DeviceContext {
    fileprivate func port(_ number: Int, gids: [GIDDescription]) throws(VerbsError) -> PortDescription {
        var attributes = ibv_port_attr()
        // SAFETY: the local is written during the call only; the context is open as long as this object lives.
        try errnoValue("ibv_query_port", "asking \(name) for port \(number)", unsafe cverbs_query_port(raw, UInt8(number), &attributes))
        let state: PortDescription.State =
            switch attributes.state {
            case IBV_PORT_DOWN: .down
            case IBV_PORT_INIT: .initializing
            case IBV_PORT_ARMED: .armed
            case IBV_PORT_ACTIVE: .active
            case IBV_PORT_ACTIVE_DEFER: .deferred
            default: .unknown
            }
        let layer: PortDescription.LinkLayer =
            switch Int32(attributes.link_layer) {
            case Int32(IBV_LINK_LAYER_ETHERNET): .ethernet
            case Int32(IBV_LINK_LAYER_INFINIBAND): .infiniBand
            default: .unspecified
            }
        let named = Set(gids.map(\.interface).filter { !$0.isEmpty })
        return PortDescription(
            number: number, state: state, physicalState: physicalStateName(attributes.phys_state), linkLayer: layer,
            activeMTU: 128 << Int(attributes.active_mtu.rawValue), messageByteLimit: Int(attributes.max_msg_sz), gids: gids,
            // Sysfs is the one place where InfiniBand devices name their interfaces.
            interfaces: named.isEmpty ? HostFacts.names(in: "/sys/class/infiniband/\(name)/device/net") : named.sorted())
    }

    /// Every valid identifier of every port. A kernel too old for the question has none to tell.
    fileprivate func gids() -> [(port: Int, gid: GIDDescription)] {
        let capacity = 1024
        // SAFETY: the buffer lives through the call, which writes no more than its capacity; entries are copied.
        return unsafe withUnsafeTemporaryAllocation(of: ibv_gid_entry.self, capacity: capacity) { entries in
            let count = unsafe ibv_query_gid_table(raw, entries.baseAddress, capacity, 0)
            return unsafe entries.prefix(max(0, count)).map { entry in
                let kind: GIDDescription.Kind =
                    switch Int32(entry.gid_type) {
                    case Int32(IBV_GID_TYPE_IB.rawValue): .infiniBand
                    case Int32(IBV_GID_TYPE_ROCE_V1.rawValue): .roceVersion1
                    case Int32(IBV_GID_TYPE_ROCE_V2.rawValue): .roceVersion2
                    default: .other
                    }
                let bytes = unsafe withUnsafeBytes(of: entry.gid) { unsafe Array($0) }
                let interface = interfaceName(entry.ndev_ifindex)
                let gid = GIDDescription(index: Int(entry.gid_index), kind: kind, bytes: bytes, interface: interface)
                return (Int(entry.port_num), gid)
            }
        }
    }
}

private func interfaceName(_ index: UInt32) -> String {
    guard index != 0 else { return "" }
    var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    // SAFETY: the array is a local of the size that the call demands.
    guard unsafe if_indextoname(index, &name) != nil else { return "" }
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// InfiniBand Architecture Specification, PortInfo:PortPhysicalState.
private func physicalStateName(_ value: UInt8) -> String {
    switch value {
    case 1: "Sleep"
    case 2: "Polling"
    case 3: "Disabled"
    case 4: "PortConfigurationTraining"
    case 5: "LinkUp"
    case 6: "LinkErrorRecovery"
    case 7: "PhyTest"
    default: "unknown"
    }
}
