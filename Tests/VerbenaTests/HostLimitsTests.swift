import Foundation
import Testing

@testable import Platform
@testable import Verbena

/// A folder that looks like `/` to `ControlGroups`; gone with the test.
private final class Machine {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("verbena-\(UUID().uuidString)").path

    init(_ files: [String: String]) throws {
        for (path, text) in files {
            let file = URL(fileURLWithPath: root + path)
            try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data("\(text)\n".utf8).write(to: file)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    var groups: ControlGroups { .ofThisProcess(root: root) }
}

private let mebibyte = 1 << 20

@Suite("What the kernel says")
struct HostFactsTests {
    @Test("a file of /proc is read to its end, of which the kernel gives a page at a time")
    func wholeFiles() {
        let list = HostFacts.text(of: "/proc/self/maps")
        #expect(list.utf8.count > 4096 && list.contains("[stack]") && list.hasSuffix("\n"))
    }

    @Test("what cannot be read is empty")
    func missing() { #expect(HostFacts.text(of: "/nowhere") == "" && HostFacts.text(of: "/proc") == "") }
}

@Suite("Control groups")
struct ControlGroupTests {
    private static let unifiedMount = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"

    @Test("version 2: every group from the process's own to the top counts; files that are cached give way")
    func unified() throws {
        let machine = try Machine([
            "/proc/self/cgroup": "0::/user.slice/job.scope",
            "/proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda rw\n\(Self.unifiedMount)",
            "/sys/fs/cgroup/user.slice/job.scope/memory.max": "max",
            "/sys/fs/cgroup/user.slice/job.scope/memory.high": "\(512 * mebibyte)",
            "/sys/fs/cgroup/user.slice/job.scope/memory.current": "\(100 * mebibyte)",
            "/sys/fs/cgroup/user.slice/job.scope/memory.stat":
                "anon 1\nfile \(60 * mebibyte)\ninactive_file \(40 * mebibyte)\nactive_file \(20 * mebibyte)\nslab_reclaimable 0",
            "/sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000",
            "/sys/fs/cgroup/user.slice/memory.max": "\(300 * mebibyte)",
            "/sys/fs/cgroup/user.slice/memory.current": "\(290 * mebibyte)",
            "/sys/fs/cgroup/user.slice/cpu.max": "150000 100000",
        ])
        let groups = machine.groups
        #expect(groups.memory.map(\.limitBytes) == [512 * mebibyte, 300 * mebibyte])
        #expect(groups.memory.map(\.availableBytes) == [472 * mebibyte, 10 * mebibyte])
        #expect(
            groups.memory[1].path == machine.root + "/sys/fs/cgroup/user.slice" && groups.memory[1].identity != groups.memory[0].identity)
        #expect(groups.quotas.map(\.cores) == [1.5])
    }

    @Test("version 1: each controller has a hierarchy of its own; a limit near 2^63 is none")
    func separate() throws {
        let groups = try Machine([
            "/proc/self/cgroup": "5:memory:/a/b\n2:cpu,cpuacct:/a\n0::/",
            "/proc/self/mountinfo": """
            40 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            41 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            42 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """,
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712",
            "/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": "0",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "\(200 * mebibyte)",
            "/sys/fs/cgroup/memory/a/memory.usage_in_bytes": "\(150 * mebibyte)",
            "/sys/fs/cgroup/memory/a/memory.stat": "cache 5\ntotal_inactive_file \(30 * mebibyte)\ntotal_active_file \(10 * mebibyte)",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "400000",
            "/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        ]).groups
        #expect(groups.memory.map(\.limitBytes) == [200 * mebibyte] && groups.memory.map(\.availableBytes) == [90 * mebibyte])
        #expect(groups.quotas.map(\.cores) == [4])
    }

    @Test("in a container the mount begins at the group itself; version 1 tells of limits above it")
    func container() throws {
        let docker = try Machine([
            "/proc/self/cgroup": "4:memory:/docker/0123",
            "/proc/self/mountinfo": "40 31 0:31 /docker/0123 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes": "\(mebibyte)",
            "/sys/fs/cgroup/memory/memory.stat": "hierarchical_memory_limit \(64 * mebibyte)",
        ]).groups
        #expect(docker.memory.map(\.availableBytes) == [63 * mebibyte])
        let outside = try Machine([
            "/proc/self/cgroup": "0::/../sibling",
            "/proc/self/mountinfo": Self.unifiedMount,
            "/sys/fs/cgroup/memory.max": "\(8 * mebibyte)",
            "/sys/fs/cgroup/memory.current": "\(9 * mebibyte)",
        ]).groups
        #expect(outside.memory.map(\.availableBytes) == [0])
    }

    @Test("a machine without them has no limits, nor has one whose files are nonsense")
    func none() throws {
        let bare = try Machine(["/proc/self/cgroup": ""]).groups
        #expect(bare.memory.isEmpty && bare.quotas.isEmpty)
        let nonsense = try Machine([
            "/proc/self/cgroup": "0::/\nx\n7:memory", "/proc/self/mountinfo": "\n - \n\(Self.unifiedMount)",
            "/sys/fs/cgroup/cpu.max": "100000", "/sys/fs/cgroup/memory.max": "lots",
        ]).groups
        #expect(nonsense.memory.isEmpty && nonsense.quotas.isEmpty)
    }
}

@Suite("Memory that is left")
struct MemoryRoomTests {
    private static func group(_ identity: UInt64, _ availableBytes: Int) -> ControlGroups.Memory {
        .init(path: "/g\(identity)", identity: identity, limitBytes: 1000 * mebibyte, availableBytes: availableBytes)
    }

    @Test("each limit is shared by the ranks that it holds, no others")
    func sharing() throws {
        let room = MemoryRoom(machineBytes: 4000 * mebibyte, groups: [Self.group(1, 500 * mebibyte), Self.group(2, 900 * mebibyte)])
        func shortage(_ mebibytes: Int, own: Int, outer: Int, here: Int) -> MemoryRoom.Shortage? {
            room.shortage(of: mebibytes * mebibyte, ranksHere: here) { $0 == 1 ? own : outer }
        }
        // A container for each of four ranks, all in one pod.
        #expect(shortage(200, own: 1, outer: 4, here: 4) == nil)
        let outer = try #require(shortage(300, own: 1, outer: 4, here: 4))
        #expect(outer.place == "control group" && outer.detail.contains("900 MiB are left of its limit of 1000 MiB (/g2)"))
        #expect(shortage(300, own: 2, outer: 2, here: 2)?.detail.contains("/g1") == true)
        #expect(shortage(100, own: 1, outer: 1, here: 41)?.place == "machine")
        #expect(room.tightest?.identity == 1)
    }

    @Test("where the kernel says nothing, nothing is refused")
    func unknown() { #expect(MemoryRoom(machineBytes: nil, groups: []).shortage(of: .max, ranksHere: 9) { _ in 9 } == nil) }
}

@Suite("Cores that may be used")
struct UsableCoresTests {
    private static func cores(_ mask: UInt64, quota: Double? = nil, group: UInt64 = 1) -> UsableCores {
        UsableCores(mask: [mask], quotas: quota.map { [.init(path: "/g", identity: group, cores: $0)] } ?? [])
    }

    private static func isCrowded(_ all: [UsableCores]) -> [Bool] { all.map { $0.isCrowded(among: all) } }

    @Test("ranks that are bound to a core each are not crowded; two on one are")
    func masks() {
        #expect(Self.isCrowded([Self.cores(0b01), Self.cores(0b10)]) == [false, false])
        #expect(Self.isCrowded([Self.cores(0b01), Self.cores(0b01)]) == [true, true])
        // Of four cores two ranks have one, two have all: the first two are crowded, the others have room.
        #expect(Self.isCrowded([Self.cores(1), Self.cores(1), Self.cores(15), Self.cores(15)]) == [true, true, false, false])
        #expect(Self.isCrowded(Array(repeating: Self.cores(0b11), count: 3)) == [true, true, true])
        #expect(Self.isCrowded([Self.cores(0b011), Self.cores(0b110), Self.cores(0b101), Self.cores(0b011)]).allSatisfy { $0 })
        #expect(
            UsableCores(mask: [0, 1], quotas: []).isCrowded(among: [
                UsableCores(mask: [1], quotas: []), UsableCores(mask: [0, 1], quotas: []),
            ]) == false)
    }

    @Test("a quota is shared by those in its group")
    func quotas() {
        let many: UInt64 = 0xFF
        #expect(Self.isCrowded([Self.cores(many, quota: 2), Self.cores(many, quota: 2)]) == [false, false])
        #expect(Self.isCrowded([Self.cores(many, quota: 1.5), Self.cores(many, quota: 1.5)]) == [true, true])
        #expect(Self.isCrowded([Self.cores(many, quota: 1, group: 1), Self.cores(many, quota: 1, group: 2)]) == [false, false])
        #expect(Self.isCrowded([Self.cores(many, quota: 0.5), Self.cores(many)]) == [true, false])
    }

    @Test("a core to spare is one beside one for each rank")
    func spare() {
        func haveSpare(_ all: [UsableCores]) -> [Bool] { all.map { !$0.isCrowded(among: all, spare: 1) } }
        #expect(haveSpare([Self.cores(0b11), Self.cores(0b11)]) == [false, false])
        #expect(haveSpare([Self.cores(0b111), Self.cores(0b111)]) == [true, true])
        #expect(haveSpare([Self.cores(0b01), Self.cores(0b10)]) == [false, false])
        #expect(haveSpare([Self.cores(0xFF, quota: 2), Self.cores(0xFF, quota: 2)]) == [false, false])
        #expect(haveSpare([Self.cores(0xFF, quota: 3), Self.cores(0xFF, quota: 3)]) == [true, true])
    }

    @Test("the count is whole, at least 1, and no more than the mask")
    func count() {
        #expect(Self.cores(0xFF).wholeCount == 8 && Self.cores(0xFF, quota: 2.9).wholeCount == 2)
        #expect(Self.cores(0xFF, quota: 0.5).wholeCount == 1 && Self.cores(1, quota: 4).wholeCount == 1)
        #expect(UsableCores.first(70) == [.max, 63] && UsableCores.first(64) == [.max] && UsableCores.first(1) == [1])
        #expect(UsableCores.count >= 1 && UsableCores.ofThisProcess().maskCount >= 1)
    }
}

@Suite("Where a process runs")
struct HostIdentityTests {
    private static func host(_ processes: String, failure: String? = nil) -> HostIdentity {
        HostIdentity(boot: "b", processes: processes, failure: failure)
    }

    @Test("the obstacle is named: another PID namespace, or what the system refuses")
    func obstacles() throws {
        #expect(HostIdentity.obstacle(between: Self.host("a"), 0, and: Self.host("a"), 1) == nil)
        let namespaces = try #require(HostIdentity.obstacle(between: Self.host("a"), 0, and: Self.host("b"), 3))
        #expect(namespaces.contains("ranks 0 and 3") && namespaces.contains("PID namespaces") && namespaces.contains("; "))
        let refused = HostIdentity.obstacle(between: Self.host("a"), 0, and: Self.host("b", failure: "pidfd_open: no; do x"), 3)
        #expect(refused == "rank 3 cannot share memory: pidfd_open: no; do x")
    }

    @Test("this process can share memory, and its threads are on one machine")
    func own() {
        #expect(HostIdentity.current() == HostIdentity.current())
        #expect(HostIdentity.current().failure == nil)
    }
}
