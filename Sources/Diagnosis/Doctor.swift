internal import Verbena

/// What this machine offers and lacks for jobs of several ranks, as `verbena doctor` prints it.
public struct DoctorReport: Sendable, CustomStringConvertible {
    public struct Finding: Sendable, Equatable {
        public enum Kind: String, Sendable {
            /// There, and good.
            case ok
            /// Missing or unusable; the remedy says what to do.
            case lack
            /// Neither: worth knowing.
            case note
        }

        public var kind: Kind
        /// What it is about, in a word or two.
        public var subject: String
        /// One line.
        public var detail: String
        /// One line; every lack has one.
        public var remedy: String?

        public init(_ kind: Kind, _ subject: String, _ detail: String, remedy: String? = nil) {
            self.kind = kind
            self.subject = subject
            self.detail = detail
            self.remedy = remedy
        }
    }

    public var findings: [Finding]
    /// Whether at least one fabric can carry a job of several ranks.
    public let hasFabric: Bool

    /// Examines this machine. Opens and queries RDMA devices and makes a little shared memory for a moment; changes nothing.
    /// - Parameter notes: what the caller has to add; the verdict stays last.
    public static func ofThisMachine(adding notes: [Finding] = []) -> DoctorReport { DoctorReport(MachineFacts.gathered(), adding: notes) }

    /// Aligned lines: kind, subject, detail; a remedy in a line of its own.
    public var description: String {
        let width = findings.map(\.subject.count).max() ?? 0
        func row(_ kind: String, _ subject: String, _ text: String) -> String {
            let pad = { (text: String, width: Int) in text + String(repeating: " ", count: max(0, width - text.count)) }
            return "\(pad(kind, 4))  \(pad(subject, width))  \(text)"
        }
        return findings.flatMap { finding in
            [row(finding.kind.rawValue, finding.subject, finding.detail)] + (finding.remedy.map { [row("", "", "remedy: \($0)")] } ?? [])
        }.joined(separator: "\n")
    }
}

// From facts to findings: pure, so that every lack can be tested without a machine that has it.
extension DoctorReport {
    init(_ facts: MachineFacts, adding notes: [Finding] = []) {
        let verbs = VerbsDiagnosis(facts)
        let sharesMemory = facts.sharedMemoryFailure == nil
        let fabrics =
            (sharesMemory ? ["shm (ranks of this machine)"] : [])
            + (verbs.usable.isEmpty ? [] : ["verbs (\(verbs.usable.joined(separator: ", ")))"])
        hasFabric = !fabrics.isEmpty
        let verdict =
            hasFabric
            ? Finding(.ok, "fabrics", fabrics.joined(separator: ", "))
            : Finding(
                .lack, "fabrics", "none that could carry a job of several ranks", remedy: "mend shared memory or an RDMA device, see above")
        let machine = [
            Self.softRoCE(facts), Self.memoryLock(facts), Self.sharedMemory(facts), Self.memory(facts), Self.cores(facts),
            Self.openFiles(facts), Self.launcher(facts),
        ]
        let doubts = facts.launcherDoubts.map { Finding(.note, "launcher", $0) }
        findings = verbs.findings + machine + doubts + Self.ownVariables(facts) + notes + [verdict]
    }

    private static func sharedMemory(_ facts: MachineFacts) -> Finding {
        guard let failure = facts.sharedMemoryFailure else { return Finding(.ok, "shared memory", "works between ranks of this machine") }
        let parts = failure.split(separator: ";", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
        return Finding(
            .lack, "shared memory", "ranks of this machine cannot share it: \(parts[0])", remedy: parts.dropFirst().first ?? "see dmesg")
    }

    private static func memory(_ facts: MachineFacts) -> Finding {
        let machine =
            facts.memory.machineBytes.map { "\($0 >> 20) MiB available on the machine" } ?? "the kernel does not say what is available"
        guard let group = facts.memory.tightest else { return Finding(.note, "memory", machine) }
        return Finding(
            .note, "memory",
            "\(group.availableBytes >> 20) MiB left of the limit of \(group.limitBytes >> 20) MiB of the control group \(group.path); \(machine)"
        )
    }

    private static func cores(_ facts: MachineFacts) -> Finding {
        let count = facts.cores.wholeCount
        var detail = "\(count) usable of \(facts.machineCores)"
        if let quota = facts.cores.tightestQuota {
            detail += " by the quota of \(quota.cores) cores of the control group \(quota.path)"
        } else if facts.cores.maskCount < facts.machineCores {
            detail += " by the affinity mask (taskset, cpuset, a launcher's binding)"
        }
        return Finding(.note, "cores", "\(detail); more ranks than that share them")
    }

    private static func openFiles(_ facts: MachineFacts) -> Finding {
        guard let limits = facts.openFiles else { return Finding(.note, "open files", "the system does not tell the limit") }
        let detail = "the soft limit of \(limits.soft) is raised to the hard one of \(limits.hard) when a rank joins"
        guard limits.hard < minOpenFiles else { return Finding(.ok, "open files", detail) }
        return Finding(
            .lack, "open files", "\(detail), and many ranks or buffers take more",
            remedy: "a nofile line in /etc/security/limits.conf, LimitNOFILE= of the service, or `--ulimit nofile=65536` for a container")
    }

    /// Each rank of a machine, and each buffer, takes one or two.
    static let minOpenFiles: UInt64 = 1024

    private static func memoryLock(_ facts: MachineFacts) -> Finding {
        let subject = "locked memory"
        guard let limit = facts.memoryLockLimitBytes else { return Finding(.ok, subject, "no limit") }
        let amount = "the limit is \(limit >> 10) KiB"
        if facts.mayExceedMemoryLock { return Finding(.ok, subject, "\(amount), and this process is not held to it (CAP_IPC_LOCK)") }
        guard !facts.kernelDevices.isEmpty else { return Finding(.note, subject, "\(amount); only RDMA devices ask for more") }
        guard limit < minMemoryLockBytes else { return Finding(.ok, subject, amount) }
        return Finding(
            .lack, subject, "\(amount), registered buffers take more",
            remedy: "`ulimit -l unlimited`, a memlock line in /etc/security/limits.conf, or `--ulimit memlock=-1` for a container")
    }

    /// Below this not even small models can be registered: receive buffers alone may take 16 MiB, and gradients come on top.
    static let minMemoryLockBytes: UInt64 = 64 << 20

    private static func softRoCE(_ facts: MachineFacts) -> Finding {
        let subject = "soft-RoCE"
        let add = "rdma link add rxe0 type rxe netdev NETDEV"
        switch (facts.softRoCE, facts.hasQEMU) {
        case (.loaded, _): return Finding(.ok, subject, "native: rdma_rxe is in the kernel (\(add))")
        case (.loadable, _):
            return Finding(.note, subject, "native: this kernel has rdma_rxe, not loaded (modprobe -a rdma_rxe rdma_ucm; \(add))")
        case (.absent, true):
            return Finding(.note, subject, "by VM: kernel \(facts.kernelRelease) has no rdma_rxe, QEMU is here (tools/rxe run -- COMMAND)")
        case (.absent, false):
            return Finding(
                .lack, subject, "kernel \(facts.kernelRelease) has no rdma_rxe, and there is no QEMU for a VM that has",
                remedy: "install QEMU for tools/rxe (tools/setup rxe); on Ubuntu linux-modules-extra-\(facts.kernelRelease) makes it native"
            )
        }
    }

    private static func launcher(_ facts: MachineFacts) -> Finding {
        switch facts.launcher {
        case .none: Finding(.note, "launcher", "no launcher's variables: one rank, unless --ranks starts more")
        case .rank(let text): Finding(.ok, "launcher", text)
        case .contradiction(let text):
            Finding(.lack, "launcher", text.detail, remedy: text.remedy)
        }
    }

    private static func ownVariables(_ facts: MachineFacts) -> [Finding] {
        let seen = facts.ownVariables.isEmpty ? [] : [Finding(.note, "variables", facts.ownVariables.joined(separator: " "))]
        let prefix = "VERBENA_FABRIC="
        let fabric = facts.ownVariables.first { $0.hasPrefix(prefix) }?.dropFirst(prefix.count) ?? ""
        if fabric.isEmpty || FabricChoice(rawValue: String(fabric)) != nil { return seen }
        let choices = FabricChoice.allCases.map(\.rawValue).joined(separator: ", ")
        return seen + [
            Finding(.lack, "fabric", "VERBENA_FABRIC is '\(fabric)', which every job refuses", remedy: "set it to one of \(choices)")
        ]
    }
}
