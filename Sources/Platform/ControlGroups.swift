internal import FoundationEssentials

/// The control groups (cgroup v1 and v2) that hold this process to less than the machine has: its own group and all above it that it can see.
///
/// A container's or a batch job's limits are here, and nowhere else: the machine's own figures do not know them.
package struct ControlGroups {
    /// A group with a limit of memory.
    package struct Memory: Equatable {
        /// Its folder.
        package var path: String
        /// The same for all processes that count against this limit.
        package var identity: UInt64
        package var limitBytes: Int
        /// What can be allocated before somebody of the group is killed: files that are merely cached give way.
        package var availableBytes: Int
    }

    /// A group with a limit of processor time.
    package struct Quota: Equatable, Codable {
        package var path: String
        package var identity: UInt64
        /// Seconds of processor time in a second.
        package var cores: Double
    }

    /// From the process's own group upwards.
    package private(set) var memory: [Memory] = []
    package private(set) var quotas: [Quota] = []

    /// - Parameter root: a folder to read in place of `/`, for tests.
    package static func ofThisProcess(root: String = "") -> ControlGroups {
        var groups = ControlGroups()
        let mounts = HostFacts.text(of: "\(root)/proc/self/mountinfo").split(separator: "\n").compactMap(Mount.init)
        for line in HostFacts.text(of: "\(root)/proc/self/cgroup").split(separator: "\n") {
            // `4:cpu,cpuacct:/a/b`; version 2 has the number 0 and no controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let (controllers, path) = (fields[1].split(separator: ","), String(fields[2]))
            let isUnified = fields[0] == "0" && controllers.isEmpty
            guard let mount = mounts.first(where: { isUnified ? $0.isUnified : $0.controllers.contains { controllers.contains($0) } })
            else { continue }
            for folder in mount.folders(from: path).map({ root + $0 }) {
                if isUnified || controllers.contains("memory") { groups.addMemory(folder, isUnified: isUnified) }
                if isUnified || controllers.contains("cpu") { groups.addQuota(folder, isUnified: isUnified) }
            }
        }
        return groups
    }

    /// A hierarchy of groups in the file system.
    private struct Mount {
        var isUnified: Bool
        var controllers: [Substring]
        /// The group that its top folder is.
        var top: String
        var folder: String

        /// A line of /proc/self/mountinfo: see proc_pid_mountinfo(5).
        init?(_ line: Substring) {
            let halves = line.split(separator: " ").split(separator: "-", maxSplits: 1)
            guard halves.count == 2, let own = halves.first.map(Array.init), let system = halves.last.map(Array.init),
                own.count >= 5, let type = system.first, type == "cgroup" || type == "cgroup2"
            else { return nil }
            isUnified = type == "cgroup2"
            controllers = isUnified ? [] : (system.last ?? "").split(separator: ",")
            (top, folder) = (String(own[3]), String(own[4]))
        }

        /// The folder of a group, and those of all groups above it. Of a group that is not under this mount, the top folder.
        func folders(from path: String) -> [String] {
            let prefix = top == "/" ? "" : top
            guard path == top || path.hasPrefix(prefix + "/"), !path.contains("/..") else { return [folder] }
            var parts = path.dropFirst(prefix.count).split(separator: "/")
            var found: [String] = []
            while !parts.isEmpty {
                found.append(folder + "/" + parts.joined(separator: "/"))
                parts.removeLast()
            }
            return found + [folder]
        }
    }

    private mutating func addMemory(_ folder: String, isUnified: Bool) {
        let statistics = Self.statistics("\(folder)/memory.stat")
        let limits =
            isUnified
            ? [Self.number("\(folder)/memory.max"), Self.number("\(folder)/memory.high")]
            // The second knows of groups above those that a container sees.
            : [Self.number("\(folder)/memory.limit_in_bytes"), statistics["hierarchical_memory_limit"]]
        guard let limit = limits.compactMap({ $0 }).min(), limit < Self.noLimit,
            let used = Self.number("\(folder)/memory.\(isUnified ? "current" : "usage_in_bytes")")
        else { return }
        let cached = isUnified ? ["inactive_file", "active_file", "slab_reclaimable"] : ["total_inactive_file", "total_active_file"]
        let kept = max(0, used - cached.reduce(0) { $0 + (statistics[$1] ?? 0) })
        memory.append(
            Memory(path: folder, identity: Self.identity(folder), limitBytes: limit, availableBytes: max(0, limit - kept)))
    }

    private mutating func addQuota(_ folder: String, isUnified: Bool) {
        let numbers =
            isUnified
            ? HostFacts.text(of: "\(folder)/cpu.max").split(whereSeparator: \.isWhitespace).map { Int($0) }
            : [Self.number("\(folder)/cpu.cfs_quota_us"), Self.number("\(folder)/cpu.cfs_period_us")]
        // Without a limit the first is `max`, or -1.
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], quota > 0, period > 0 else { return }
        quotas.append(Quota(path: folder, identity: Self.identity(folder), cores: Double(quota) / Double(period)))
    }

    /// Version 1 writes a number near 2^63 where there is no limit.
    private static let noLimit = 1 << 60

    private static func number(_ path: String) -> Int? { Int(HostFacts.word(of: path)) }

    private static func statistics(_ path: String) -> [String: Int] {
        let pairs = HostFacts.text(of: path).split(separator: "\n").compactMap { line -> (String, Int)? in
            let words = line.split(separator: " ")
            return words.count == 2 ? Int(words[1]).map { (String(words[0]), $0) } : nil
        }
        return Dictionary(pairs) { first, _ in first }
    }

    /// The folder's inode, which is the group's number in the kernel, whatever name a container sees it under.
    private static func identity(_ folder: String) -> UInt64 {
        (try? FileManager.default.attributesOfItem(atPath: folder)[.systemFileNumber] as? UInt64) ?? 0
    }
}
