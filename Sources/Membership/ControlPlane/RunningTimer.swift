import NIOCore
import Synchronization

/// Time in which this process runs. While it is stopped (Ctrl-Z, `docker pause`, a suspended machine) its peers are as a rule, too: a bound on
/// their silence that went on meanwhile would end the job at the moment when all of it goes on.
enum RunningTime {
    /// Time is looked at in stretches of this length. One that took longer counts as it was, but for twice the length at most: a busy machine makes
    /// it a little late, a pause much.
    static let stretchSeconds = 1.0

    /// How much of a stretch counts that took so long.
    static func counted(_ seconds: Double) -> Double { min(seconds, 2 * stretchSeconds) }
}

/// Calls something once, after so much running time, on its event loop.
final class RunningTimer: Sendable {
    private let eventLoop: any EventLoop
    private let body: @Sendable () -> Void
    /// Nil once it was cancelled.
    private let scheduled = Mutex<Scheduled<Void>?>(nil)

    init(on eventLoop: any EventLoop, afterSeconds: Double, _ body: @escaping @Sendable () -> Void) {
        self.eventLoop = eventLoop
        self.body = body
        wait(ContinuousClock.Instant.bounded(afterSeconds))
    }

    func cancel() { scheduled.withLock { $0.take() }?.cancel() }

    /// Keeps itself until it has fired or is cancelled.
    private func wait(_ seconds: Double) {
        let stretch = min(seconds, RunningTime.stretchSeconds)
        let start = ContinuousClock.now
        let task = eventLoop.scheduleTask(in: .nanoseconds(Int64(stretch * 1e9))) { [self] in
            let rest = seconds - max(stretch, RunningTime.counted(start.duration(to: .now).seconds))
            guard rest > 0 else { return body() }
            if scheduled.withLock({ $0 != nil }) { wait(rest) }
        }
        scheduled.withLock { $0 = task }
    }
}
