internal import Foundation
internal import Synchronization

/// Random worlds from seeds, run through the engine's own code and held against a plain oracle: `verbena simulate check`.
///
/// Threads: `run` starts its own; each seed is a world of its own on one of them.
public struct SimulationCheck: Sendable {
    private(set) var limits = Limits()

    /// The names of what may go wrong.
    public static let faultNames = FaultKind.allCases.map(\.rawValue)

    /// - Parameters:
    ///   - ranks: of every world; nil lets the seed choose.
    ///   - faults: `none`, `all`, or names of faults, separated by commas.
    ///   - shortenings: what an earlier failure said, or nothing.
    /// - Returns: nil where a name is unknown.
    public init?(ranks: Int?, faults: String, shortenings: String) {
        limits.ranks = ranks
        switch faults {
        case "all": break
        case "none": limits.faults = []
        default:
            let kinds = faults.split(separator: ",").map { FaultKind(rawValue: String($0)) }
            guard !kinds.contains(nil) else { return nil }
            limits.faults = Set(kinds.compactMap { $0 })
        }
        guard limits.shorten(shortenings) else { return nil }
    }

    init(limits: Limits) { self.limits = limits }

    /// What many seeds came to.
    public struct Summary: Sendable {
        public var seeds = 0
        public var operations = 0
        public var failedRanks = 0
        public var events = 0
        public var virtualSeconds = 0.0
        /// Seeds with findings, ascending; the run ends after the first few.
        public var failing: [UInt64] = []
    }

    /// Findings after which no new seed is begun.
    private static let maxFindings = 5

    /// Runs every seed of the range, on so many threads.
    /// - Parameter willBegin: called with each seed before its world begins, on the thread that runs it: the only trace of a seed that traps.
    public func run(seeds: ClosedRange<UInt64>, threads: Int, willBegin: @Sendable (UInt64) -> Void = { _ in }) -> Summary {
        let next = Atomic<UInt64>(seeds.lowerBound)
        let summary = Mutex(Summary())
        DispatchQueue.concurrentPerform(iterations: max(1, threads)) { _ in
            while true {
                let seed = next.add(1, ordering: .relaxed).oldValue
                guard seed <= seeds.upperBound, seed >= seeds.lowerBound, summary.withLock({ $0.failing.count }) < Self.maxFindings else {
                    return
                }
                willBegin(seed)
                let report = Job.report(seed: seed, limits: limits)
                summary.withLock { $0.add(report) }
            }
        }
        var result = summary.withLock { $0 }
        result.failing.sort()
        return result
    }

    /// A failing seed, told: what is wrong, the shortest scenario that was found, its last events, and how to see it again.
    /// - Parameter command: what replays a seed, without its options.
    public func explain(seed: UInt64, command: String) -> String {
        let report = Job.report(seed: seed, limits: limits)
        guard report.finding != nil else { return "seed \(seed): nothing wrong" }
        let shorter = Shrinking(seed: seed, limits: limits, report: report)
        var limits = shorter.limits
        let scenario = Scenario(seed: seed, limits: limits)
        var options = "--seeds \(seed)..\(seed)"
        if self.limits.faults != FaultKind.all {
            let names = self.limits.faults.map(\.rawValue).sorted()
            options += " --faults \(names.isEmpty ? "none" : names.joined(separator: ","))"
        }
        // Ranks are drawn, asked for, or shortened; as a shortening they stand in one place.
        limits.ranks = limits.ranks ?? self.limits.ranks
        let words = limits.shortenings
        if !words.isEmpty { options += " --shorten \(words)" }
        let trace = shorter.report.finding?.trace.suffix(Self.tracedEvents) ?? []
        return """
            seed \(seed): \(shorter.report.finding.map { "\($0)" } ?? "")
            \(scenario)
            the last \(trace.count) events:
            \(trace.map { "    " + $0 }.joined(separator: "\n"))
            again: \(command) \(options)
            """
    }

    private static let tracedEvents = 30
}

extension SimulationCheck.Summary {
    fileprivate mutating func add(_ report: SeedReport) {
        seeds += 1
        operations += report.tally.operations
        failedRanks += report.tally.failures
        events += report.tally.events
        virtualSeconds += Double(report.tally.virtualNanoseconds) / 1e9
        if report.finding != nil { failing.append(report.seed) }
    }
}
