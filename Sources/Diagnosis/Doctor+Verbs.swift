internal import Verbs

/// What there is to say about RDMA devices and the rights to use them.
struct VerbsDiagnosis {
    var findings: [DoctorReport.Finding] = []
    /// `rxe0 10.10.0.1`: devices that a rank can use, with the addresses among which it would choose.
    private(set) var usable: [String] = []

    init(_ facts: MachineFacts) {
        guard !facts.kernelDevices.isEmpty else {
            findings.append(
                .init(
                    .lack, "RDMA device", "none (/sys/class/infiniband is empty)",
                    remedy: facts.softRoCE == .absent
                        ? "install an RDMA device, or use soft-RoCE in a VM: tools/rxe run -- COMMAND"
                        : "install an RDMA device, or make a soft-RoCE one: "
                            + "modprobe -a rdma_rxe rdma_ucm; rdma link add rxe0 type rxe netdev NETDEV"))
            return
        }
        let nodes = Self.nodes(facts)
        findings += nodes
        switch facts.devices {
        case .failure(let error):
            // The nodes' own findings have said it already where permission is the cause.
            if nodes.isEmpty { findings.append(.init(.lack, "RDMA device", "\(error.call): \(error.detail)", remedy: Self.remedy(error))) }
        case .success(let devices):
            for device in devices { findings += device.ports.flatMap { Self.port($0, of: device) } }
            let strangers = facts.kernelDevices.filter { name in !devices.contains { $0.name == name } }
            if !strangers.isEmpty {
                findings.append(
                    .init(
                        .lack, "RDMA device", "libibverbs has no driver for \(strangers.joined(separator: ", "))",
                        remedy: "install the providers (apt-get install ibverbs-providers) and load ib_uverbs"))
            }
            guard nodes.isEmpty else { return }
            usable = devices.compactMap { device in
                let addresses = device.usablePort(in: nil)?.addresses.map(\.description) ?? []
                return addresses.isEmpty ? nil : "\(device.name) \(addresses.joined(separator: " or "))"
            }
        }
    }

    private static func remedy(_ error: VerbsError) -> String {
        error.remedy.isEmpty ? "see dmesg for what the kernel says of the device" : error.remedy
    }

    /// What is wrong with the files in /dev/infiniband.
    private static func nodes(_ facts: MachineFacts) -> [DoctorReport.Finding] {
        var found: [DoctorReport.Finding] = []
        func lack(_ detail: String, _ remedy: String) { found.append(.init(.lack, "/dev/infiniband", detail, remedy: remedy)) }
        if facts.deviceNodes.filter({ $0.name.hasPrefix("uverbs") }).isEmpty {
            lack(
                "no uverbs* for \(facts.kernelDevices.joined(separator: ", "))",
                "modprobe ib_uverbs; into a container pass them with --device /dev/infiniband")
        }
        if !facts.deviceNodes.contains(where: { $0.name == "rdma_cm" }) {
            lack("no rdma_cm", "modprobe rdma_ucm; into a container pass it with --device /dev/infiniband/rdma_cm")
        }
        let closed = facts.deviceNodes.filter { !$0.isAccessible && ($0.name.hasPrefix("uverbs") || $0.name == "rdma_cm") }.map(\.name)
        if !closed.isEmpty {
            lack(
                "this user may not open \(closed.joined(separator: ", "))",
                "run as root or as a member of the group that owns them (ls -l /dev/infiniband; usermod -aG GROUP USER)")
        }
        return found
    }

    /// The port, and what it is known by.
    private static func port(_ port: PortDescription, of device: DeviceDescription) -> [DoctorReport.Finding] {
        let subject = "\(device.name) port \(port.number)"
        let interface = port.interfaces.isEmpty ? "no netdev" : "netdev \(port.interfaces.joined(separator: ", "))"
        let facts = "\(port.state.rawValue) (\(port.physicalState)), \(layer(port)), MTU \(port.activeMTU), \(interface)"
        let netdev = port.interfaces.first ?? "NETDEV"
        var found: [DoctorReport.Finding]
        if port.state != .active {
            let remedy =
                port.linkLayer == .infiniBand
                ? "check the cable and that a subnet manager runs (ibstat, sminfo)"
                : "check the cable and bring its interface up (ip link set \(netdev) up)"
            found = [.init(.lack, subject, facts, remedy: remedy)]
        } else if port.addresses.isEmpty {
            found = [
                .init(
                    .lack, subject, "\(facts), no address that peers could reach",
                    remedy: "give its interface one (ip address add ADDRESS/PREFIX dev \(netdev))")
            ]
        } else {
            found = [.init(.ok, subject, "\(facts), address \(port.addresses.map(\.description).joined(separator: ", "))")]
        }
        if !port.gids.isEmpty {
            let gids = port.gids.map { "\($0.index) \($0.kind.rawValue) \(text($0))" }
            found.append(.init(.note, subject, "GIDs: \(gids.joined(separator: "; "))"))
        }
        return found
    }

    private static func layer(_ port: PortDescription) -> String {
        switch port.linkLayer {
        case .ethernet: "Ethernet"
        case .infiniBand: "InfiniBand"
        case .unspecified: "link layer unspecified"
        }
    }

    /// As an address where it is one, else the raw 16 bytes.
    private static func text(_ gid: GIDDescription) -> String {
        if let address = gid.address, gid.kind != .infiniBand { return address.description }
        return InternetAddress(bytes: gid.bytes)?.description ?? "?"
    }
}
