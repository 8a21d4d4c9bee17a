import NIOCore
import Synchronization

/// Time in which this process runs. While it is stopped (Ctrl-Z, `docker pause`, a suspended machine) its peers are as a rule, too: a bound on
/// their silence that went on meanwhile would end the job at the moment when all of it goes on.
enum RunningTime {
    /// Time is counted in stretches of this length at most: of a pause so much counts.
    static let stretchSeconds = 1.0
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
        let task = eventLoop.scheduleTask(in: .nanoseconds(Int64(stretch * 1e9))) { [self] in
            guard seconds > stretch else { return body() }
            if scheduled.withLock({ $0 != nil }) { wait(seconds - stretch) }
        }
        scheduled.withLock { $0 = task }
    }
}
