import Dispatch
import Synchronization

/// A state that NIO's threads change and ordinary threads wait on, each wait with a deadline.
final class Monitor<State: Sendable>: Sendable {
    private struct Guarded: Sendable {
        var state: State
        var waiters: [ObjectIdentifier: DispatchSemaphore] = [:]
    }

    private let guarded: Mutex<Guarded>

    init(_ state: State) { guarded = Mutex(Guarded(state: state)) }

    /// Changes the state and wakes everyone who waits for it. Callers must not call back into the monitor from `body`.
    func update<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
        guarded.withLock { guarded in
            let result = body(&guarded.state)
            for waiter in guarded.waiters.values { waiter.signal() }
            return result
        }
    }

    /// Blocks until `probe` gives a value. Never called on an event loop.
    ///
    /// What is left until `deadline` is waited for in running time (`RunningTime`): it comes later where the process is stopped meanwhile.
    /// - Returns: nil once `deadline` has passed and a last probe gave nothing.
    func wait<Result: Sendable>(until deadline: ContinuousClock.Instant, _ probe: (inout State) -> Result?) -> Result? {
        let semaphore = DispatchSemaphore(value: 0)
        let identifier = ObjectIdentifier(semaphore)
        defer { guarded.withLock { $0.waiters[identifier] = nil } }
        var remaining = ContinuousClock.now.duration(to: deadline).seconds
        while true {
            let result = guarded.withLock { guarded in
                guarded.waiters[identifier] = semaphore
                return probe(&guarded.state)
            }
            if let result { return result }
            guard remaining > 0 else { return nil }
            let stretch = min(remaining, RunningTime.stretchSeconds)
            let start = ContinuousClock.now
            _ = semaphore.wait(timeout: .now() + stretch)
            remaining -= RunningTime.counted(start.duration(to: .now).seconds)
        }
    }
}

extension Duration {
    /// This duration in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension ContinuousClock.Instant {
    /// The longest wait that a caller can ask for: a day. More, infinity and NaN are taken for it.
    static let waitLimitSeconds = 86_400.0

    static func after(seconds: Double) -> ContinuousClock.Instant { .now + .milliseconds(Int(bounded(seconds) * 1000)) }

    static func bounded(_ seconds: Double) -> Double { seconds < waitLimitSeconds ? max(0, seconds) : waitLimitSeconds }
}
