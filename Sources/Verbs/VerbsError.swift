import Glibc

/// A call of libibverbs or librdmacm that did not do what was asked.
public struct VerbsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Stable: callers switch on it.
    public enum Cause: String, Sendable {
        /// The machine has no RDMA device, none of that name, or none with an address.
        case noDevice
        /// The device is there, its port does not carry data.
        case portInactive
        /// The memory may not be pinned: `RLIMIT_MEMLOCK`.
        case memoryLockLimit
        /// The process may not use the device.
        case permission
        /// No way leads from the local address to the other.
        case noRoute
        /// More was asked for than the device or the kernel has.
        case resource
        /// libibverbs or librdmacm is not installed, or too old.
        case noLibrary
        /// Anything else; `errno` says what.
        case system
    }

    public var cause: Cause
    /// The C function.
    public var call: String
    /// The errno value, 0 where there is none.
    public var errno: Int32
    /// The facts: what it was called for.
    public var detail: String
    /// What the reader can do; empty where nothing general can be said.
    public var remedy: String

    public init(_ cause: Cause, call: String, errno: Int32, detail: String, remedy: String = "") {
        self.cause = cause
        self.call = call
        self.errno = errno
        self.detail = detail
        self.remedy = remedy
    }

    /// Derives cause and remedy from the call and its errno.
    public init(call: String, errno: Int32, detail: String) {
        let cause = Self.cause(of: call, errno: errno)
        self.init(cause, call: call, errno: errno, detail: detail, remedy: Self.remedy(for: cause))
    }

    public var description: String {
        let number = errno == 0 ? "" : ": \(Self.text(of: errno)) (errno \(errno))"
        let advice = remedy.isEmpty ? "" : "; \(remedy)"
        return "\(call): \(detail)\(number)\(advice)"
    }

    /// The library's text for an errno value.
    public static func text(of errno: Int32) -> String {
        // SAFETY: strerror gives a string of the C library that lives at least until the next call on this thread; it is copied here.
        unsafe String(cString: strerror(errno))
    }

    private static func cause(of call: String, errno: Int32) -> Cause {
        let resolves = call.hasPrefix("rdma_resolve")
        let binds = call == "rdma_bind_addr"
        return switch errno {
        case EPERM, EACCES: .permission
        case EADDRNOTAVAIL where binds: .noDevice
        case EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT: .noRoute
        case ENODEV where resolves: .noRoute
        case ENODEV, ENOENT, ENOSYS: .noDevice
        case ENOMEM, EAGAIN, EMFILE, ENFILE, ENOSPC: .resource
        default: .system
        }
    }

    /// What to do about a cause, in words for the person who runs the job.
    public static func remedy(for cause: Cause) -> String {
        switch cause {
        case .noDevice:
            "install an RDMA device or create a soft-RoCE one (modprobe -a rdma_rxe rdma_ucm; rdma link add rxe0 type rxe netdev NETDEV), "
                + "or use another fabric; `verbena doctor` shows what this machine has"
        case .portInactive: "bring the port's network interface up and give it an IP address (ip link set NETDEV up)"
        case .memoryLockLimit:
            "raise the limit of locked memory: `ulimit -l unlimited`, a memlock line in /etc/security/limits.conf, "
                + "or `--ulimit memlock=-1` for a container"
        case .permission:
            "run as a user who may open /dev/infiniband/uverbs* and /dev/infiniband/rdma_cm, and pass them into the container (--device)"
        case .noRoute: "check that both addresses are in reach of each other (ip route get ADDRESS) and that their ports are up"
        case .resource: "use fewer peers, channels or shallower queues, or raise the limit of open files (ulimit -n)"
        case .noLibrary:
            "install libibverbs and librdmacm with their providers (apt-get install libibverbs1 librdmacm1 ibverbs-providers), or use another fabric"
        case .system: ""
        }
    }
}
