internal import CPlatform
internal import FoundationEssentials

/// The cores that a process may use: those of its affinity mask (taskset, `mpirun --bind-to core`, a cpuset), for as much time as the quotas
/// of its control groups give it.
public struct UsableCores: Sendable, Equatable, Codable {
    /// Bit i of word w: core 64 w + i.
    package var mask: [UInt64]
    package var quotas: [ControlGroups.Quota]

    package init(mask: [UInt64], quotas: [ControlGroups.Quota]) {
        self.mask = mask
        self.quotas = quotas
    }

    /// Those of this process; of the calling thread, as far as the mask goes.
    package static func ofThisProcess(_ groups: ControlGroups = .ofThisProcess()) -> UsableCores {
        var words = [UInt64](repeating: 0, count: maxWords)
        // SAFETY: the pointer to the array is used during the call only, which writes no more words than the array has.
        let known = unsafe platform_usable_cores(&words, Int32(maxWords))
        let mask = known > 0 ? Array(words.prefix(Int(known))) : Self.first(ProcessInfo.processInfo.activeProcessorCount)
        return UsableCores(mask: mask, quotas: groups.quotas)
    }

    /// How many threads of this process can run at once for long: at least 1.
    public static var count: Int { ofThisProcess().wholeCount }

    /// Of 8,192 cores.
    private static let maxWords = 128

    /// The first `count` cores.
    package static func first(_ count: Int) -> [UInt64] {
        (0..<(count + 63) / 64).map { word in count - word * 64 >= 64 ? .max : (1 << UInt64(count - word * 64)) - 1 }
    }

    package var maskCount: Int { Self.count(mask) }

    /// The quota that leaves least, where it leaves less than the mask.
    package var tightestQuota: ControlGroups.Quota? {
        quotas.min { $0.cores < $1.cores }.flatMap { $0.cores < Double(maskCount) ? $0 : nil }
    }

    /// At least 1.
    package var wholeCount: Int { max(1, tightestQuota.map { Int($0.cores) } ?? maskCount) }

    /// Whether processes that share a machine with this one, and this one, outnumber the cores that they may use together: then a process that
    /// waits must let others have the core.
    /// - Parameters:
    ///   - all: of every process of the job on the machine, this one's among them.
    ///   - spare: cores that they are to have beside one for each.
    package func isCrowded(among all: [UsableCores], spare: Int = 0) -> Bool {
        let everything = all.reduce(into: [UInt64]()) { union, cores in
            union = (0..<max(union.count, cores.mask.count)).map { Self.word($0, union) | Self.word($0, cores.mask) }
        }
        if all.count + spare > Self.count(everything) { return true }
        // Some may be bound to fewer cores than they are, while the rest of the machine is free.
        let confined = all.filter { other in other.mask.indices.allSatisfy { other.mask[$0] & ~Self.word($0, mask) == 0 } }
        if confined.count + spare > maskCount { return true }
        return quotas.contains { quota in
            Double(all.count { $0.quotas.contains { $0.identity == quota.identity } } + spare) > quota.cores
        }
    }

    private static func count(_ mask: [UInt64]) -> Int { mask.reduce(0) { $0 + $1.nonzeroBitCount } }

    private static func word(_ index: Int, _ mask: [UInt64]) -> UInt64 { index < mask.count ? mask[index] : 0 }
}
