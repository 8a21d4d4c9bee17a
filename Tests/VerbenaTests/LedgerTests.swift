import CPlatform
import Foundation
import Synchronization
import Testing
import Verbena

// SAFETY (whole file): gradients are touched before their announcement and after `synchronize` only, while the communicator is open.
/// What the ledger says of real ranks. Each figure is the median or the sum over many steps, and is compared with what was measured beside it.
@Suite(.serialized) struct LedgerTests {
    static let model = [100_000, 40_000, 20_000].enumerated().map { ParameterLayout(name: "p\($0)", elementCount: $1) }

    /// - Parameter compute: what the rank does before its gradients.
    static func step(_ exchange: GradientExchange, _ compute: () -> Void = {}) throws {
        compute()
        for parameter in model.indices.reversed() {
            unsafe exchange.gradient(at: parameter).update(repeating: Float(parameter))
            try exchange.gradientReady(parameter)
        }
    }

    @Test(arguments: Fabrics.available) func partsSumToTheRun(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(2, fabric: fabric) { communicator in
            let exchange = try GradientExchange(
                communicator, parameters: Self.model, settings: GradientSettings(bucketSize: .fixed(1 << 18)))
            let start = ContinuousClock.now
            exchange.nameTimeSinceLastStep("set-up")
            for _ in 0..<200 {
                try Self.step(exchange)
                _ = try exchange.synchronize()
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let totals = exchange.totals
            guard totals.steps == 200, abs(totals.computeSeconds + totals.exposed.total - seconds) < seconds / 100 else {
                throw Wrong("\(totals) in \(seconds) s")
            }
            guard exchange.recentSteps.last?.step == 199 else { throw Wrong("the last step is missing") }
            guard exchange.clockOffsetNanoseconds == 0 else { throw Wrong("ranks of one machine share a clock") }
        }
        for outcome in outcomes { _ = try outcome.get() }
    }

    /// A rank that is slow is named by all others, with about the time by which it was later than they: other programs delay each rank at other
    /// places, so that single steps may differ by much.
    @Test(.enabled(if: !Fabrics.areDevicesAlone, "times that emulated cores do not keep"), arguments: Fabrics.available, [2, 3])
    func lateRankIsNamed(fabric: FabricChoice, ranks: Int) throws {
        let slow = 1
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            let exchange = try GradientExchange(
                communicator, parameters: Self.model, settings: GradientSettings(bucketSize: .fixed(1 << 18)))
            var reports: [StepReport] = []
            var ready: [ContinuousClock.Instant] = []
            for _ in 0..<40 {
                try Self.step(exchange) {
                    guard communicator.rank == slow else { return }
                    usleep(5000)  // tidy: allow sleep-in-tests, because it is the work that the test measures, and nothing is hoped for
                }
                ready.append(.now)
                reports.append(try exchange.synchronize())
            }
            return (reports, ready)
        }
        let runs = try outcomes.map { try $0.get() }
        for rank in 0..<ranks where rank != slow {
            let lateness = median(runs[rank].1.indices.map { (runs[slow].1[$0] - runs[rank].1[$0]) / .seconds(1) })
            let named = runs[rank].0.compactMap(\.late).filter { $0.rank == slow }
            #expect(named.count > 20, "rank \(rank): \(runs[rank].0.map(\.late))")
            let seconds = median(named.map(\.seconds))
            #expect(lateness / 2 < seconds && seconds < 2 * lateness, "rank \(rank) says \(seconds) s of \(lateness)")
            let own = median(runs[slow].0.map { $0.late?.seconds ?? 0 })
            #expect(own < seconds / 2, "the slow rank itself says \(own) s, rank \(rank) \(seconds) s")
        }
    }

    /// Ranks of one clock that are taken for ranks of several measure no more of a difference than they say themselves.
    @Test(arguments: Fabrics.available) func clocksAreComparedWithinTheirBound(fabric: FabricChoice) throws {
        let outcomes = LocalRanks.run(3, fabric: fabric) { communicator in
            try JobClock(communicator, try communicator.allocate(UInt64.self, count: 1), machines: ["a", "b", "a"])
        }
        let clocks = try outcomes.map { try $0.get() }
        for rank in [0, 2] { #expect(clocks[rank].offset == 0 && clocks[rank].bound == 0) }
        #expect(clocks[1].bound > 0 && clocks[1].offset.magnitude <= clocks[1].bound, "\(clocks[1])")
    }

    /// Two busy loops on the one core that a rank may use, whichever of its threads drives the engine.
    @Test(.enabled(if: !Fabrics.areDevicesAlone, "times that emulated cores do not keep")) func aCoreThatOthersTakeIsNamed() throws {
        let isOver = Flag()
        let hogs = (0..<2).map { _ in
            Thread {
                Cores.bind(Cores.first)
                while !isOver.isSet.load(ordering: .relaxed) {}
            }
        }
        for hog in hogs { hog.start() }
        defer { isOver.isSet.store(true, ordering: .relaxed) }
        let outcomes = LocalRanks.run(
            2, fabric: .sharedMemory,
            configure: { _, rank in if rank == 1 { Cores.bind(Cores.first) } },
            { communicator in
                let exchange = try GradientExchange(communicator, parameters: [ParameterLayout(name: "p", elementCount: 1 << 21)])
                for _ in 0..<20 {
                    unsafe exchange.gradient(at: 0).update(repeating: 1)
                    try exchange.gradientReady(0)
                    _ = try exchange.synchronize()
                }
                return exchange.totals
            })
        let totals = try outcomes.map { try $0.get() }
        // The largest cause, unless other programs take the peer's core meanwhile: then the peer is what it waits for most.
        #expect(totals[1].exposed.core > totals[1].exposed.total / 20, "\(totals[1])")
    }

    private func median(_ values: [Double]) -> Double { values.isEmpty ? .nan : values.sorted()[values.count / 2] }
}

private final class Flag: Sendable { let isSet = Atomic(false) }

/// The cores that this process may use, and the binding of threads to some of them.
private enum Cores {
    static let usable: [UInt64] = {
        var words = [UInt64](repeating: 0, count: 128)
        // SAFETY: the array is used during the call only, which writes no more words than it has.
        let known = unsafe platform_usable_cores(&words, 128)
        return Array(words.prefix(Int(max(0, known))))
    }()

    /// The first of them alone.
    static let first = usable.enumerated().map { index, word in
        usable[..<index].allSatisfy { $0 == 0 } ? word & ~(word &- 1) : 0
    }

    /// Of the calling thread, and of those that it starts.
    static func bind(_ cores: [UInt64]) {
        // SAFETY: as above.
        let failure = unsafe platform_use_cores(cores, Int32(cores.count))
        #expect(failure == 0)
    }
}
