/// The memory that this process may still take, by the machine and by each control group that limits it.
package struct MemoryRoom {
    /// As the kernel estimates it; nil where it does not say.
    package var machineBytes: Int?
    package var groups: [ControlGroups.Memory]

    package init(machineBytes: Int?, groups: [ControlGroups.Memory]) {
        self.machineBytes = machineBytes
        self.groups = groups
    }

    package static func now() -> MemoryRoom {
        MemoryRoom(machineBytes: HostFacts.availableMemoryByteCount(), groups: ControlGroups.ofThisProcess().memory)
    }

    /// The group that leaves the least, where it leaves less than the machine.
    package var tightest: ControlGroups.Memory? {
        groups.min { $0.availableBytes < $1.availableBytes }.flatMap { $0.availableBytes < machineBytes ?? .max ? $0 : nil }
    }

    /// What has no room, and how much there is.
    package struct Shortage: Equatable, Codable {
        /// `machine` or `control group`.
        package var place: String
        package var detail: String
    }

    /// What is too small for `byteCount` bytes on each rank that shares it; nil where there is room.
    /// - Parameters:
    ///   - ranksHere: on this machine.
    ///   - ranksIn: in the control group of this number.
    package func shortage(of byteCount: Int, ranksHere: Int, ranksIn: (UInt64) -> Int) -> Shortage? {
        if let group = groups.first(where: { byteCount > $0.availableBytes / max(1, ranksIn($0.identity)) }) {
            return Shortage(
                place: "control group",
                detail: "\(group.availableBytes >> 20) MiB are left of its limit of \(group.limitBytes >> 20) MiB (\(group.path))")
        }
        guard let machineBytes, byteCount > machineBytes / max(1, ranksHere) else { return nil }
        return Shortage(place: "machine", detail: "\(machineBytes >> 20) MiB are available")
    }
}
