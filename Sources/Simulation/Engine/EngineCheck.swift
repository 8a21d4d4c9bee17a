package import Engine
internal import Foundation
internal import Synchronization

/// Random worlds of engines and their callers' threads, from seeds: `verbena simulate engine`.
public struct EngineCheck: Sendable {
    private var mutation: EngineMutation?

    public init() {}

    package init(mutation: EngineMutation) { self.mutation = mutation }

    /// What many seeds came to.
    public struct Summary: Sendable {
        public var seeds = 0
        public var calls = 0
        public var failedCalls = 0
        public var switches = 0
        /// Seeds with findings, and what is wrong; the run ends after the first few.
        public var findings: [(seed: UInt64, what: String)] = []
    }

    /// - Parameters:
    ///   - threads: worlds at a time.
    ///   - maxFindings: after which no new seed is begun.
    public func run(
        seeds: ClosedRange<UInt64>, threads: Int, maxFindings: Int = 5, willBegin: @Sendable (UInt64) -> Void = { _ in }
    ) -> Summary {
        let next = Atomic<UInt64>(seeds.lowerBound)
        let summary = Mutex(Summary())
        DispatchQueue.concurrentPerform(iterations: max(1, threads)) { _ in
            while true {
                let seed = next.add(1, ordering: .relaxed).oldValue
                guard seeds.contains(seed), summary.withLock({ $0.findings.count }) < maxFindings else { return }
                willBegin(seed)
                let scenario = EngineScenario(seed: seed)
                var what: String?
                var (calls, failed, switches) = (0, 0, 0)
                do {
                    let world = try EngineWorld(scenario, mutation: mutation)
                    what = world.run()
                    (calls, failed, switches) = (
                        world.outcomes.count, world.outcomes.filter { $0.error != nil }.count, world.scheduler.switches
                    )
                } catch { what = "\(error)" }
                summary.withLock { [what] summary in
                    summary.seeds += 1
                    summary.calls += calls
                    summary.failedCalls += failed
                    summary.switches += switches
                    if let what { summary.findings.append((seed, "\(what)\n    \(scenario)")) }
                }
            }
        }
        return summary.withLock { $0 }
    }
}
