internal import Foundation
internal import Synchronization

/// What a seed came to.
struct SeedReport {
    var seed: UInt64
    var tally = Tally()
    var finding: Finding?
}

extension Job {
    /// Carries out what the seed and the limits say.
    static func report(seed: UInt64, limits: Limits) -> SeedReport {
        do {
            return SeedReport(seed: seed, tally: try Job(Scenario(seed: seed, limits: limits)).run())
        } catch let finding as Finding {
            return SeedReport(seed: seed, finding: finding)
        } catch {
            return SeedReport(seed: seed, finding: Finding(kind: .refused, detail: "\(error)"))
        }
    }
}

/// Looks for the shortest scenario that still goes wrong in the same way: fewer groups, faults, operations, ranks, elements, less turmoil. Each
/// attempt is a whole run.
struct Shrinking {
    let seed: UInt64
    private(set) var limits: Limits
    private(set) var report: SeedReport

    init(seed: UInt64, limits: Limits, report: SeedReport) {
        self.seed = seed
        self.limits = limits
        self.report = report
        attempt { $0.groups = [] }
        shorten(numbers: scenario.groups.compactMap(\.group), kept: \.groups)
        attempt { $0.hasManyChannels = false }
        attempt { $0.hasStripes = false }
        attempt { $0.isCalm = true }
        attempt { $0.hasTraining = false }
        shorten(numbers: [0, 1], kept: \.keptFaults)
        shorten(numbers: operationNumbers, kept: \.operations)
        for ranks in 2..<max(2, scenario.worldSize) where attempt({ $0.ranks = ranks }) { break }
        shorten(numbers: operationNumbers, kept: \.operations)
        while self.limits.halvings < 12, attempt({ $0.halvings += 1 }) {}
    }

    private var scenario: Scenario { Scenario(seed: seed, limits: limits) }
    private var operationNumbers: [Int] { scenario.programs.flatMap { $0.operations.map(\.number) } }

    /// Leaves out halves, then quarters, ... then single ones.
    private mutating func shorten(numbers: [Int], kept: WritableKeyPath<Limits, Set<Int>?>) {
        var remaining = limits[keyPath: kept].map { $0.sorted() } ?? numbers
        var chunk = max(1, remaining.count / 2)
        while chunk > 0 {
            var start = 0
            while start < remaining.count {
                var fewer = remaining
                fewer.removeSubrange(start..<min(start + chunk, remaining.count))
                if attempt({ $0[keyPath: kept] = Set(fewer) }) { remaining = fewer } else { start += chunk }
            }
            chunk /= 2
        }
    }

    @discardableResult
    private mutating func attempt(_ change: (inout Limits) -> Void) -> Bool {
        var shorter = limits
        change(&shorter)
        let result = Job.report(seed: seed, limits: shorter)
        // Another fault's world would tell nothing of this one.
        guard let wanted = report.finding, let found = result.finding, found.isSameKind(as: wanted) else { return false }
        limits = shorter
        report = result
        return true
    }
}
