import Glibc
import Platform

/// How many bytes this process may lock into memory, by `RLIMIT_MEMLOCK`; nil where there is no limit.
/// A process with `CAP_IPC_LOCK` is not held to it.
public func memoryLockLimit() -> UInt64? {
    var limit = rlimit()
    // SAFETY: the local is written during the call only.
    guard unsafe getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 else { return nil }
    return limit.rlim_cur == rlim_t.max ? nil : UInt64(limit.rlim_cur)
}

/// What is left of the limit of locked memory, as the kernel counts when it pins memory for a device.
struct MemoryLockLimit: Equatable, CustomStringConvertible {
    /// Nil where there is none.
    var byteCount: UInt64?
    /// What devices have pinned already.
    var pinnedByteCount: UInt64 = 0
    /// Whether the process may go beyond it.
    var isExempt = false

    static func ofThisProcess() -> MemoryLockLimit {
        let pinned = HostFacts.value(of: "VmPin", in: "/proc/self/status").flatMap { UInt64($0) } ?? 0
        // The kernel asks for the right in the first user namespace; a container's own root has it in another one.
        let isFirstNamespace = HostFacts.text(of: "/proc/self/uid_map").split(whereSeparator: \.isWhitespace) == ["0", "0", "4294967295"]
        return MemoryLockLimit(
            byteCount: memoryLockLimit(), pinnedByteCount: pinned << 10,
            isExempt: isFirstNamespace && HostFacts.hasCapability(14))  // CAP_IPC_LOCK
    }

    func isExceeded(by more: Int) -> Bool {
        guard let byteCount, !isExempt else { return false }
        return pinnedByteCount + UInt64(more) > byteCount
    }

    var description: String {
        guard let byteCount else { return "none" }
        return isExempt ? "\(byteCount) bytes, not held to it" : "\(byteCount) bytes, \(pinnedByteCount) of them pinned"
    }
}
