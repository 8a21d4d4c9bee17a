import Testing

@testable import Diagnosis
@testable import Platform
@testable import Verbena
@testable import Verbs

private typealias Finding = DoctorReport.Finding

/// A machine on which all is well: one RoCE device with an address.
private func goodMachine() -> MachineFacts {
    var facts = MachineFacts()
    facts.kernelDevices = ["rxe0"]
    facts.devices = .success([device(port: port())])
    facts.deviceNodes = [.init(name: "rdma_cm", isAccessible: true), .init(name: "uverbs0", isAccessible: true)]
    facts.memoryLockLimitBytes = nil
    facts.kernelRelease = "6.12.1"
    facts.softRoCE = .loaded
    facts.machineCores = 4
    facts.cores = UsableCores(mask: [15], quotas: [])
    facts.openFiles = (1024, 524_288)
    return facts
}

private func device(port: PortDescription) -> DeviceDescription {
    let limits = DeviceLimits(
        queuePairs: 1, workRequestsPerQueue: 1, completionsPerQueue: 1, ports: 1)
    return DeviceDescription(name: "rxe0", limits: limits, ports: [port])
}

private func port(_ state: PortDescription.State = .active, hasAddress: Bool = true) -> PortDescription {
    let linkLocal = GIDDescription(
        index: 0, kind: .roceVersion2, bytes: [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [7], interface: "h1")
    let mapped = GIDDescription(
        index: 1, kind: .roceVersion2, bytes: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 10, 10, 0, 1], interface: "h1")
    return PortDescription(
        number: 1, state: state, physicalState: state == .active ? "LinkUp" : "Disabled", linkLayer: .ethernet, activeMTU: 4096,
        gids: hasAddress ? [linkLocal, mapped] : [linkLocal], interfaces: ["h1"])
}

@Suite("Doctor")
struct DoctorTests {
    private func lacks(_ change: (inout MachineFacts) -> Void) -> (lacks: [Finding], report: DoctorReport) {
        var facts = goodMachine()
        change(&facts)
        let report = DoctorReport(facts)
        for lack in report.findings where lack.kind == .lack { #expect(lack.remedy?.isEmpty == false, "\(lack) has no remedy") }
        return (report.findings.filter { $0.kind == .lack }, report)
    }

    @Test("finds nothing lacking on a good machine, and says what the port is")
    func good() throws {
        let (lacks, report) = lacks { _ in }
        #expect(lacks.isEmpty && report.hasFabric)
        let port = try #require(report.findings.first { $0.subject == "rxe0 port 1" })
        #expect(port.kind == .ok && port.detail == "active (LinkUp), Ethernet, MTU 4096, netdev h1, address 10.10.0.1")
        #expect(report.findings.contains { $0.detail == "GIDs: 0 RoCE v2 fe80::7; 1 RoCE v2 10.10.0.1" })
        #expect(report.findings.last?.detail == "shm (ranks of this machine), verbs (rxe0 10.10.0.1)")
    }

    @Test("no device: shared memory still carries jobs")
    func noDevice() {
        let (lacks, report) = lacks {
            $0.kernelDevices = []
            $0.devices = .success([])
            $0.deviceNodes = []
            $0.softRoCE = .absent
            $0.hasQEMU = true
            $0.memoryLockLimitBytes = 1 << 20
        }
        #expect(lacks.map(\.subject) == ["RDMA device"])
        #expect(lacks.first?.remedy?.contains("tools/rxe run") == true)
        #expect(report.hasFabric && report.findings.last?.detail == "shm (ranks of this machine)")
    }

    @Test("the way to soft-RoCE follows from kernel and QEMU")
    func softRoCE() {
        func finding(_ way: MachineFacts.SoftRoCE, hasQEMU: Bool) -> Finding? {
            lacks {
                $0.softRoCE = way
                $0.hasQEMU = hasQEMU
            }.report.findings.first { $0.subject == "soft-RoCE" }
        }
        #expect(finding(.loaded, hasQEMU: false)?.kind == .ok)
        #expect(finding(.loadable, hasQEMU: true)?.detail.contains("modprobe") == true)
        #expect(finding(.absent, hasQEMU: true)?.detail.hasPrefix("by VM") == true)
        #expect(finding(.absent, hasQEMU: false)?.kind == .lack)
    }

    @Test("a fabric that every job would refuse is a lack", arguments: [("bogus", 1), ("shm", 0), ("", 0)])
    func fabricVariable(value: String, count: Int) {
        let found = lacks { $0.ownVariables = ["VERBENA_FABRIC=\(value)"] }.lacks
        #expect(found.count == count && found.allSatisfy { $0.remedy?.contains("auto, verbs, shm") == true })
    }

    @Test("a port that is down names its interface")
    func portDown() {
        let (lacks, report) = lacks { $0.devices = .success([device(port: port(.down))]) }
        #expect(lacks.map(\.subject) == ["rxe0 port 1"])
        #expect(lacks.first?.detail.hasPrefix("down (Disabled)") == true)
        #expect(lacks.first?.remedy?.contains("ip link set h1 up") == true)
        #expect(report.findings.last?.detail.contains("verbs") == false)
    }

    @Test("an active port without an address is of no use")
    func noAddress() {
        let (lacks, report) = lacks { $0.devices = .success([device(port: port(hasAddress: false))]) }
        #expect(lacks.first?.remedy?.contains("ip address add") == true)
        #expect(report.findings.last?.detail.contains("verbs") == false)
    }

    @Test("little locked memory is a lack where a device would need it and the process is held to it")
    func memoryLock() {
        let (held, _) = lacks { $0.memoryLockLimitBytes = 8 << 20 }
        #expect(held.map(\.subject) == ["locked memory"])
        #expect(held.first?.detail.contains("8192 KiB") == true && held.first?.remedy?.contains("ulimit -l") == true)
        #expect(
            lacks {
                $0.memoryLockLimitBytes = 8 << 20
                $0.mayExceedMemoryLock = true
            }.lacks.isEmpty)
        #expect(lacks { $0.memoryLockLimitBytes = 1 << 40 }.lacks.isEmpty)
    }

    @Test("device files that may not be opened, or are missing")
    func permission() {
        let (closed, report) = lacks {
            $0.deviceNodes[1].isAccessible = false
            $0.devices = .failure(VerbsError(call: "ibv_open_device", errno: 13, detail: "opening rxe0"))
        }
        #expect(closed.map(\.subject) == ["/dev/infiniband"])
        #expect(closed.first?.detail.contains("uverbs0") == true && closed.first?.detail.contains("rdma_cm") == false)
        #expect(report.hasFabric && report.findings.last?.detail.contains("verbs") == false)

        let (missing, _) = lacks { $0.deviceNodes = [] }
        #expect(missing.map(\.detail) == ["no uverbs* for rxe0", "no rdma_cm"])
    }

    @Test("an error of libibverbs, and a device that it has no driver for")
    func library() {
        let (failed, _) = lacks { $0.devices = .failure(VerbsError(call: "ibv_open_device", errno: 5, detail: "opening rxe0")) }
        #expect(failed.map(\.detail) == ["ibv_open_device: opening rxe0"])
        let (strange, _) = lacks { $0.kernelDevices = ["mlx5_0", "rxe0"] }
        #expect(strange.first?.detail.contains("mlx5_0") == true && strange.first?.remedy?.contains("ibverbs-providers") == true)
    }

    @Test("where nothing carries a job, that is the verdict")
    func nothing() {
        let (lacks, report) = lacks {
            $0.kernelDevices = []
            $0.devices = .success([])
            $0.sharedMemoryFailure = "memfd_create: Operation not permitted (errno 1)"
        }
        #expect(!report.hasFabric && lacks.map(\.subject) == ["RDMA device", "shared memory", "fabrics"])
    }

    @Test("variables that make no sense are a lack; a secret is not shown")
    func variables() throws {
        let facts = MachineFacts.gathered(environment: ["RANK": "5", "WORLD_SIZE": "2", "VERBENA_SECRET": "hush", "VERBENA_FABRIC": "shm"])
        let findings = DoctorReport(facts).findings
        let launcher = try #require(findings.first { $0.subject == "launcher" })
        #expect(launcher.kind == .lack && launcher.detail.contains("RANK=5") && launcher.remedy?.contains("WORLD_SIZE") == true)
        #expect(findings.first { $0.subject == "variables" }?.detail == "VERBENA_FABRIC=shm VERBENA_SECRET=(hidden)")
    }

    @Test("this machine shares memory, as every test of that fabric demands")
    func thisMachine() {
        #expect(MachineFacts.gathered(environment: [:]).sharedMemoryFailure == nil)
        #expect(DoctorReport.ofThisMachine(adding: [.init(.note, "x", "y")]).findings.dropLast().last?.subject == "x")
    }

    @Test("lines are aligned, remedies have their own")
    func lines() {
        var report = DoctorReport(goodMachine())
        report.findings = [.init(.ok, "a", "b"), .init(.lack, "long one", "c", remedy: "d")]
        #expect("\(report)" == "ok    a         b\nlack  long one  c\n                remedy: d")
    }
}
