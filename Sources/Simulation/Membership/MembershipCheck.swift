internal import Foundation
internal import Membership
internal import Synchronization

/// Random jobs of the control plane from seeds: `verbena simulate membership`. The coordinator's state and each rank's own run as they are; what they
/// decide is held against what the seed let go wrong.
///
/// Threads: `run` starts its own; each seed is a world of its own on one of them.
public struct MembershipCheck: Sendable {
    /// Findings after which no new seed is begun.
    private static let maxFindings = 5

    /// A deliberate fault, by name; debug builds only.
    var mutation: MembershipMutation?

    public init() {}

    /// What many seeds came to.
    public struct Summary: Sendable {
        public var seeds = 0
        public var events = 0
        /// Jobs that ended with a verdict, as they should.
        public var verdicts = 0
        public var virtualSeconds = 0.0
        /// Seeds with findings, ascending; the run ends after the first few.
        public var failing: [UInt64] = []
    }

    /// Runs every seed of the range, on so many threads.
    public func run(seeds: ClosedRange<UInt64>, threads: Int) -> Summary {
        let next = Atomic<UInt64>(seeds.lowerBound)
        let summary = Mutex(Summary())
        DispatchQueue.concurrentPerform(iterations: max(1, threads)) { _ in
            while summary.withLock({ $0.failing.count }) < Self.maxFindings {
                let seed = next.add(1, ordering: .relaxed).oldValue
                guard seeds.contains(seed) else { return }
                let world = MembershipWorld(seed: seed, mutation: mutation)
                let finding = world.run()
                summary.withLock { summary in
                    summary.seeds += 1
                    summary.events += world.eventsRun
                    summary.verdicts += world.coordinator.failure == nil ? 0 : 1
                    summary.virtualSeconds += world.now
                    if finding != nil { summary.failing.append(seed) }
                }
            }
        }
        var result = summary.withLock { $0 }
        result.failing.sort()
        return result
    }

    /// What is wrong with the seed, if something is.
    func finding(seed: UInt64) -> String? { MembershipWorld(seed: seed, mutation: mutation).run() }

    /// A failing seed, told: what is wrong, the job, its last events, and how to see it again.
    public func explain(seed: UInt64) -> String {
        let world = MembershipWorld(seed: seed, mutation: mutation)
        world.isTraced = true
        guard let finding = world.run() else { return "seed \(seed): nothing wrong" }
        return """
            seed \(seed): \(finding)
            \(world.scenario)
            the last \(world.trace.count) events:
            \(world.trace.map { "    " + $0 }.joined(separator: "\n"))
            again: verbena simulate membership --seeds \(seed)..\(seed)
            """
    }
}
