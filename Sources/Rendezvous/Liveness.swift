import NIOCore

/// Says that this side lives, and notices when the other side does not: one per connection, on its event loop.
///
/// Any byte that arrives is a sign of life, so a large frame on a slow line is none the worse for its size.
final class Liveness {
    private let timeout: TimeAmount
    private let timeoutSeconds: Double
    private var lastHeard = NIODeadline.now()
    private var timer: Scheduled<Void>?

    init(timeoutSeconds: Double) {
        self.timeoutSeconds = timeoutSeconds
        self.timeout = .nanoseconds(Int64(timeoutSeconds * 1e9))
    }

    func heard() { lastHeard = .now() }

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
        let pause = TimeAmount.nanoseconds(max(1_000_000, timeout.nanoseconds / 4))
        timer = eventLoop.assumeIsolated().scheduleTask(in: pause) { [self] in
            guard NIODeadline.now() - lastHeard < timeout else { return onSilence(timeoutSeconds) }
            sendSign()
            schedule(on: eventLoop, sendSign: sendSign, onSilence: onSilence)
        }
    }
}
