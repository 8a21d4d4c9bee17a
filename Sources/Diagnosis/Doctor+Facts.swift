internal import Foundation
internal import Membership
internal import Platform
internal import Verbs

/// What the doctor knows of a machine. Plain values: `gathered()` looks, `DoctorReport` judges.
struct MachineFacts {
    struct DeviceNode {
        /// The file's name in /dev/infiniband.
        var name: String
        var isAccessible: Bool
    }

    enum SoftRoCE { case loaded, loadable, absent }

    enum Launcher {
        case none
        /// Who this process is, by whose variables.
        case rank(String)
        /// The variables make no sense.
        case contradiction((detail: String, remedy: String))
    }

    /// Names in /sys/class/infiniband.
    var kernelDevices: [String] = []
    /// What libibverbs makes of them.
    var devices: Result<[DeviceDescription], VerbsError> = .success([])
    var deviceNodes: [DeviceNode] = []
    /// nil where there is no limit.
    var memoryLockLimitBytes: UInt64?
    var mayExceedMemoryLock = false
    var kernelRelease = ""
    var softRoCE = SoftRoCE.absent
    var hasQEMU = false
    /// nil where memory can be shared.
    var sharedMemoryFailure: String?
    var memory = MemoryRoom(machineBytes: nil, groups: [])
    var cores = UsableCores(mask: [1], quotas: [])
    /// That the machine has, used by anybody.
    var machineCores = 1
    var openFiles: (soft: UInt64, hard: UInt64)?
    var launcher = Launcher.none
    /// What the launcher's variables leave in doubt.
    var launcherDoubts: [String] = []
    /// `NAME=value` of our own variables that are set; a secret's value is not shown.
    var ownVariables: [String] = []
}

extension MachineFacts {
    static func gathered(environment: [String: String] = ProcessInfo.processInfo.environment) -> MachineFacts {
        var facts = MachineFacts()
        facts.kernelDevices = HostFacts.names(in: "/sys/class/infiniband")
        do throws(VerbsError) { facts.devices = .success(try deviceInventory()) } catch { facts.devices = .failure(error) }
        facts.deviceNodes = HostFacts.names(in: "/dev/infiniband").map {
            // SAFETY: the string outlives the call.
            DeviceNode(name: $0, isAccessible: unsafe access("/dev/infiniband/\($0)", R_OK | W_OK) == 0)
        }
        facts.memoryLockLimitBytes = memoryLockLimit()
        facts.mayExceedMemoryLock = HostFacts.hasCapability(14)  // CAP_IPC_LOCK
        facts.kernelRelease = HostFacts.text(of: "/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines)
        facts.softRoCE = softRoCE(kernelRelease: facts.kernelRelease)
        facts.hasQEMU = isOnPath("qemu-system-x86_64", environment)
        facts.sharedMemoryFailure = HostIdentity.sharedMemoryFailure()
        facts.memory = .now()
        facts.cores = .ofThisProcess()
        facts.machineCores = ProcessInfo.processInfo.activeProcessorCount
        facts.openFiles = OpenFiles.limits()
        facts.launcher = launcher(environment)
        facts.launcherDoubts = (try? JobEnvironment(variables: environment))?.warnings ?? []
        facts.ownVariables = environment.filter { $0.key.hasPrefix("VERBENA_") }.sorted { $0.key < $1.key }
            .map { $0.key.contains("SECRET") ? "\($0.key)=(hidden)" : "\($0.key)=\($0.value)" }
        return facts
    }

    private static func softRoCE(kernelRelease: String) -> SoftRoCE {
        if FileManager.default.fileExists(atPath: "/sys/module/rdma_rxe") { return .loaded }
        let lists = ["modules.dep", "modules.builtin"].map { HostFacts.text(of: "/lib/modules/\(kernelRelease)/\($0)") }
        return lists.contains { $0.contains("/rdma_rxe.ko") } ? .loadable : .absent
    }

    private static func launcher(_ environment: [String: String]) -> Launcher {
        do throws(RendezvousError) {
            let job = try JobEnvironment(variables: environment)
            guard job.source != .none else { return .none }
            return .rank(
                "variables of \(job.source.rawValue): rank \(job.rank) of \(job.worldSize), rendezvous at \(job.masterAddress):\(job.masterPort)"
            )
        } catch {
            return .contradiction((error.detail, error.remedy))
        }
    }

    private static func isOnPath(_ program: String, _ environment: [String: String]) -> Bool {
        (environment["PATH"] ?? "").split(separator: ":").contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
    }
}
