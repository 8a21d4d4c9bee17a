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
    /// The part of it that is shared memory: buffers, receive buffers, arrival rings. So all ranks of a machine together take so many times their number.
    var sharedBytes: Int?

    /// Collective.
    static func measured(_ communicator: Communicator, bufferBytes: Int) throws -> MemoryUse {
        let own = Resident(all: proportionalBytes("Pss"), shared: proportionalBytes("Pss_Shmem"))
        let resident = try communicator.gathered(own, label: "memory")
        func average(_ figures: [Int?]) -> Int? {
            let known = figures.compactMap(\.self)
            return known.count == figures.count ? known.reduce(0, +) / figures.count : nil
        }
        return MemoryUse(
            receiveBufferBytes: communicator.memory.receiveBufferByteCount, receiveBufferLimitBytes: communicator.memory.limitByteCount,
            bufferBytes: bufferBytes, residentBytes: average(resident.map(\.all)), sharedBytes: average(resident.map(\.shared)))
    }

    private struct Resident: Codable {
        var all: Int?
        var shared: Int?
    }

    /// A proportional set size of this process: see proc_pid_smaps(5).
    private static func proportionalBytes(_ field: String) -> Int? {
        HostFacts.value(of: field, in: "/proc/self/smaps_rollup").flatMap { Int($0) }.map { $0 << 10 }
    }
}
