import Platform
import Verbena

/// What a rank takes of its machine, in bytes; averages over ranks.
struct MemoryUse: Codable, Equatable {
    /// What the engine holds beyond the buffers of its caller.
    var receiveBufferBytes: Int?
    /// What that may be at most.
    var receiveBufferLimitBytes: Int?
    /// The buffers that were measured with.
    var bufferBytes: Int?
    /// What is resident, program and libraries included; a page that several ranks map counts for each in part. Absent where the kernel
    /// does not tell.
    var residentBytes: Int?

    /// Collective.
    static func measured(_ communicator: Communicator, bufferBytes: Int) throws -> MemoryUse {
        let resident = try communicator.gathered(residentBytes(), label: "memory").compactMap(\.self)
        return MemoryUse(
            receiveBufferBytes: communicator.memory.receiveBufferByteCount, receiveBufferLimitBytes: communicator.memory.limitByteCount,
            bufferBytes: bufferBytes,
            residentBytes: resident.count == communicator.worldSize ? resident.reduce(0, +) / resident.count : nil)
    }

    /// The proportional set size of this process: see proc_pid_smaps(5).
    private static func residentBytes() -> Int? {
        HostFacts.value(of: "Pss", in: "/proc/self/smaps_rollup").flatMap { Int($0) }.map { $0 << 10 }
    }
}
