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
    static func step(_ exchange: GradientExchange, _ compute: () throws -> Void = {}) throws {
        try compute()
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

    /// A rank that is slow is named by all others, with the time between their asking for a bucket and its asking, and names nobody itself. It begins its work
    /// when the others have announced everything, so that whatever else the machine does, it is the last.
    @Test(arguments: Fabrics.available, [2, 3]) func lateRankIsNamed(fabric: FabricChoice, ranks: Int) throws {
        let slow = 1
        let announced = DispatchSemaphore(value: 0)
        let outcomes = LocalRanks.run(ranks, fabric: fabric) { communicator in
            let exchange = try GradientExchange(
                communicator, parameters: Self.model, settings: GradientSettings(bucketSize: .fixed(1 << 18)))
            return try (0..<40).map { _ in
                try Self.step(exchange) {
                    guard communicator.rank == slow else { return }
                    for _ in 1..<ranks where announced.wait(timeout: .now() + LocalRanks.patience) == .timedOut {
                        throw Wrong("a rank hangs")
                    }
                    usleep(5000)  // tidy: allow sleep-in-tests, because it is the work that the test measures, and nothing is hoped for
                }
                if communicator.rank != slow { announced.signal() }
                return try exchange.synchronize()
            }
        }
        let runs: [[StepReport]] = try outcomes.map { try $0.get() }
        #expect(runs[slow].allSatisfy { $0.late == nil }, "the slow rank itself says \(runs[slow].compactMap(\.late))")
        for rank in 0..<ranks where rank != slow {
            // What the two ranks' own times say: the slow one asked for a bucket after it had announced its gradients, and before the engine had it.
            let least = zip(runs[rank], runs[slow]).reduce(0) { $0 + Self.wait($1.0, for: $1.1, until: \.ready) }
            let most = zip(runs[rank], runs[slow]).reduce(0) { $0 + Self.wait($1.0, for: $1.1, until: \.submitted) }
            let named = runs[rank].compactMap(\.late)
            #expect(named.allSatisfy { $0.rank == slow }, "rank \(rank): \(named)")
            let seconds = named.reduce(0) { $0 + $1.seconds }
            #expect(least > 0.04 && least * 0.8 < seconds && seconds < most * 1.2, "rank \(rank) says \(seconds) s of \(least) to \(most)")
        }
    }

    /// How long, in seconds, a rank waited for the buckets that it had asked for, until a time of the other rank's.
    private static func wait(_ own: StepReport, for other: StepReport, until end: KeyPath<BucketReport, UInt64>) -> Double {
        own.buckets.reduce(0) { sum, bucket in
            guard let theirs = other.buckets.first(where: { $0.index == bucket.index }) else { return sum }
            let (from, to) = (max(bucket.waitedFrom, bucket.submitted), min(bucket.waitedTo, theirs[keyPath: end]))
            return to > from ? sum + Double(to - from) / 1e9 : sum
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

    /// Two busy loops on the one core that a rank may use, whose thread drives the engine: it gets a third of the core at most. What the kernel counts of its
    /// waiting for it is named so, unless the other rank had not come either.
    @Test(.enabled(if: !Fabrics.areDevicesAlone, "seen on shared memory")) func aCoreThatOthersTakeIsNamed() throws {
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
            configure: { configuration, rank in
                configuration.progress = .hooks
                if rank == 1 { Cores.bind(Cores.first) }
            },
            { communicator in
                let exchange = try GradientExchange(communicator, parameters: [ParameterLayout(name: "p", elementCount: 1 << 21)])
                let meter = platform_open_run_delay()
                defer { close(meter) }
                var delay: UInt64 = 0
                for _ in 0..<20 {
                    unsafe exchange.gradient(at: 0).update(repeating: 1)
                    try exchange.gradientReady(0)
                    let before = platform_run_delay(meter)
                    _ = try exchange.synchronize()
                    delay += platform_run_delay(meter) - before
                }
                return (exchange.totals, Double(delay) / 1e9)
            })
        let (totals, delay) = try outcomes[1].get()
        let exposed = totals.exposed
        #expect(delay > 0 && exposed.core > exposed.reduction, "\(exposed), and the kernel says \(delay) s")
        #expect(
            exposed.core + exposed.latePeer + exposed.ownGradient + exposed.release > delay / 2,
            "\(exposed), and the kernel says \(delay) s")
    }
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
