public import Collectives
public import Reduction

/// What operations of gradients should take, as the planner sees the engine: one link, which carries one operation after the other, urgent ones first.
public struct LinkCosts: Sendable, Equatable {
    /// An operation keeps the link for `operationSeconds` and its bytes' time, and has ended `latencySeconds` later.
    public struct Line: Sendable, Equatable {
        public var latencySeconds: Double
        public var secondsPerByte: Double

        public init(latencySeconds: Double, secondsPerByte: Double) {
            self.latencySeconds = latencySeconds
            self.secondsPerByte = secondsPerByte
        }
    }

    /// The engine's own work for an operation, about.
    public static let operationSeconds = 2e-6
    /// What an operation takes of a trainer's thread that drives the engine itself, about: hand-overs between ranks that share their cores.
    public static let ownThreadSeconds = 10e-6

    /// Of an allreduce.
    public var whole: Line
    /// Of each of its halves.
    public var half: Line

    public init(whole: Line, half: Line? = nil) {
        self.whole = whole
        self.half = half ?? Line(latencySeconds: whole.latencySeconds / 2, secondsPerByte: whole.secondsPerByte / 2)
    }

    /// By the engine's cost model of striped operations of fp32 in a wire format: the line through a small and a large one.
    public init(_ settings: ExecutorSettings, _ wire: WireFormat = .plain) {
        func line(_ collective: Collective) -> Line {
            func seconds(_ byteCount: Int) -> Double {
                let stripe = settings.stripeBytes / ElementType.float32.byteCount
                let microseconds =
                    wire == .plain
                    ? settings.choice(for: collective, byteCount: byteCount, type: .float32, stripe: stripe).predictions[0].microseconds
                    : settings.costs.microseconds(wire, collective, byteCount: byteCount, in: settings.topology)
                return microseconds / 1e6
            }
            let small = settings.stripeBytes * settings.worldSize
            let large = 64 * small
            let perByte = max(0, seconds(large) - seconds(small)) / Double(large - small)
            return Line(latencySeconds: max(0, seconds(small) - Double(small) * perByte), secondsPerByte: perByte)
        }
        let (reduced, gathered) = (line(.reduceStripes), line(.gatherStripes))
        self.init(
            whole: line(.allReduce),
            half: Line(
                latencySeconds: (reduced.latencySeconds + gathered.latencySeconds) / 2,
                secondsPerByte: (reduced.secondsPerByte + gathered.secondsPerByte) / 2))
    }

    /// The same with what a byte of an allreduce was measured to take, if it was.
    public func measured(secondsPerByte: Double) -> LinkCosts {
        guard secondsPerByte > 0, whole.secondsPerByte > 0 else { return self }
        var costs = self
        costs.whole.secondsPerByte = secondsPerByte
        costs.half.secondsPerByte *= secondsPerByte / whole.secondsPerByte
        return costs
    }
}
