import CommandLineSupport
import Verbena

/// Work for a processor that touches no memory, in units of about 50 ns.
struct Computation {
    private static let stepsPerUnit = 64
    /// What was computed so far. Whoever looks at it keeps the compiler from leaving the work out.
    private(set) var value = 1.0

    mutating func run(units: Int) {
        for _ in 0..<units * Self.stepsPerUnit { value = value * 0.999_999 + 1e-6 }
    }

    /// How many units take this time on a processor that is ours alone: of several trials the fastest was so most likely.
    mutating func units(lasting duration: Duration) -> Int {
        let clock = ContinuousClock()
        let trial = 2_000
        var fastest = Duration.seconds(1)
        for _ in 0..<10 { fastest = min(fastest, clock.measure { run(units: trial) }) }
        return max(1, Int(Double(trial) * (duration / fastest)))
    }
}

extension Measurement {
    /// What of an asynchronous operation hides behind as much computation as it takes time itself; out of place, averages over ranks.
    func overlap(count: Int) throws -> Overlap {
        let clock = ContinuousClock()
        func finish(_ operation: [Request]) throws { for part in operation { try part.wait() } }
        func begin() throws -> [Request] { try start(.outOfPlace, targets[0], count: count) }
        /// The average over ranks and iterations, in microseconds; every iteration begins together.
        func average(_ body: () throws -> Void) throws -> Double {
            var passed = Duration.zero
            for _ in 0..<method.iterations {
                try communicator.barrier()
                let start = clock.now
                try body()
                passed += clock.now - start
            }
            let all = try communicator.gathered(passed / .microseconds(1) / Double(method.iterations), label: "overlap")
            return TimeOf.average.combine(all)
        }
        for _ in 0..<method.warmups { try finish(begin()) }
        let pure = try average { try finish(begin()) }
        var computation = Computation()
        let units = computation.units(lasting: .microseconds(pure))
        let compute = try average { computation.run(units: units) }
        let overall = try average {
            let operation = try begin()
            computation.run(units: units)
            try finish(operation)
        }
        if !computation.value.isFinite { throw Failure("the computation that should hide communication went out of bounds") }
        return Overlap(overall: overall, compute: compute, pureCommunication: pure)
    }
}
