import NIOCore

/// Says that this side lives, and notices when the other side does not: one per connection, on its event loop.
///
/// Any byte that arrives is a sign of life, so a large frame on a slow line is none the worse for its size. Silence is counted in this side's own
/// signs, not by the clock: a job that is stopped as a whole and goes on finds at most one of them late.
final class Liveness {
    /// Signs in each timeout.
    private static let signsPerTimeout: Int64 = 4

    private let pause: TimeAmount
    private let timeoutSeconds: Double
    /// Own signs that were due since the other side was last heard.
    private var silentSigns: Int64 = 0
    private var timer: Scheduled<Void>?

    /// - Parameter timeoutSeconds: as `RendezvousBounds` takes it.
    init(timeoutSeconds: Double) {
        self.timeoutSeconds = timeoutSeconds
        pause = .nanoseconds(max(1_000_000, Int64(timeoutSeconds * 1e9) / Self.signsPerTimeout))
    }

    func heard() { silentSigns = 0 }

    /// Four times in each timeout either `sendSign` or, once, `onSilence` is called.
    func start(on eventLoop: any EventLoop, sendSign: @escaping () -> Void, onSilence: @escaping (_ seconds: Double) -> Void) {
        heard()
        schedule(on: eventLoop, sendSign: sendSign, onSilence: onSilence)
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func schedule(
        on eventLoop: any EventLoop, sendSign: @escaping () -> Void, onSilence: @escaping (_ seconds: Double) -> Void
    ) {
        timer = eventLoop.assumeIsolated().scheduleTask(in: pause) { [self] in
            silentSigns += 1
            // The first one may have been due just after the other side was heard.
            guard silentSigns <= Self.signsPerTimeout else { return onSilence(timeoutSeconds) }
            sendSign()
            schedule(on: eventLoop, sendSign: sendSign, onSilence: onSilence)
        }
    }
}
