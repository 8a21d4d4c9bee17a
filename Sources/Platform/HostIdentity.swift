internal import CPlatform
internal import FoundationEssentials

/// Where this process runs, as far as shared memory goes.
package struct HostIdentity: Codable, Equatable, Sendable {
    /// This boot of this kernel: the same text on one machine, containers or not.
    package var boot: String
    /// The processes that know each other's numbers: peers are opened by them.
    package var processes: String
    /// Why no other process can map this one's memory; nil where they can.
    package var failure: String?

    package static func current() -> HostIdentity {
        var processes = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
        // In a new namespace under an old /proc: processes that share this /proc open each other by its numbers.
        if platform_proc_number() != getpid() {
            processes += "/" + ((try? FileManager.default.attributesOfItem(atPath: "/proc")[.systemNumber]).map { "\($0)" } ?? "")
        }
        return HostIdentity(
            boot: HostFacts.word(of: "/proc/sys/kernel/random/boot_id"), processes: processes, failure: sharedMemoryFailure())
    }

    /// Why the memory of two ranks of one machine cannot be shared, and what to do about it; nil where it can.
    package static func obstacle(between one: HostIdentity, _ first: Int, and other: HostIdentity, _ second: Int) -> String? {
        for (host, rank) in [(one, first), (other, second)] {
            if let failure = host.failure { return "rank \(rank) cannot share memory: \(failure)" }
        }
        guard one.processes != other.processes else { return nil }
        return "ranks \(first) and \(second) run in separate PID namespaces of one machine and cannot share memory; "
            + "let their containers share one (docker run --pid=container:NAME, shareProcessNamespace in a pod), or run them in one container"
    }

    /// Does once, with a page, what ranks of a machine do with each other's memory: makes it, opens it by process and number, maps it,
    /// watches a process.
    package static func sharedMemoryFailure() -> String? {
        let byteCount: UInt64 = 4096
        func failure(_ call: String, _ code: Int32, _ remedy: String) -> String {
            // SAFETY: the text is copied at once.
            unsafe "\(call): \(String(cString: strerror(code))) (errno \(code)); \(remedy)"
        }
        let profile = "use Linux 5.3 or later and a container (seccomp) profile that allows memfd_create and pidfd_open"
        // SAFETY: the literal's storage is static.
        let own = unsafe platform_shared_memory("verbena-doctor", byteCount, 0)
        guard own >= 0 else { return failure("memfd_create", -own, profile) }
        defer { close(own) }
        var inode: UInt64 = 0
        // SAFETY: pointers to locals are used during the calls only; the mapping is undone at once.
        let status = unsafe platform_inode(own, &inode)
        guard status == 0 else { return failure("fstat", -status, profile) }
        let peers = platform_open_peer_memory(platform_proc_number(), own, inode, byteCount)
        guard peers >= 0 else { return failure("opening /proc/PID/fd", -peers, "mount /proc") }
        defer { close(peers) }
        var code: Int32 = 0
        guard let base = unsafe platform_map(peers, byteCount, &code) else { return failure("mmap", code, "see `ulimit -v`") }
        _ = unsafe munmap(base, Int(byteCount))
        let process = platform_process_descriptor(getpid())
        guard process >= 0 else { return failure("pidfd_open", -process, profile) }
        close(process)
        if platform_is_dumpable() == 0, !HostFacts.hasCapability(19) {
            return
                "other processes may not look into this one (it is not dumpable); make the program's file readable, and without set-uid bit "
                + "or capabilities (getcap; setcap -r)"
        }
        return nil
    }
}
