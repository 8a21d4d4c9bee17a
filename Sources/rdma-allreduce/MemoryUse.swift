import Foundation
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

    /// The proportional set size of this process.
    private static func residentBytes() -> Int? {
        (try? String(contentsOfFile: "/proc/self/smaps_rollup", encoding: .utf8)).flatMap(proportionalBytes)
    }

    /// - Parameter text: as in proc_pid_smaps(5).
    static func proportionalBytes(_ text: String) -> Int? {
        let words = text.split(separator: "\n").map { $0.split(separator: " ") }.first { $0.first == "Pss:" }
        return words.flatMap { $0.count == 3 && $0[2] == "kB" ? Int($0[1]) : nil }.map { $0 * 1024 }
    }
}
