import NIOCore

/// Says that this side lives, and notices when the other side does not: one per connection, on its event loop.
///
/// Any byte that arrives is a sign of life, so a large frame on a slow line is none the worse for its size.
final class Liveness {
    private let pause: TimeAmount
    private let timeoutSeconds: Double
    private var silence = Silence()
    private var timer: Scheduled<Void>?

    /// - Parameter timeoutSeconds: as `RendezvousBounds` takes it.
    init(timeoutSeconds: Double) {
        self.timeoutSeconds = timeoutSeconds
        pause = .nanoseconds(max(1_000_000, Int64(timeoutSeconds * 1e9) / Int64(Silence.signsPerTimeout)))
    }

    func heard() { silence.heard() }

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
            guard !silence.lastsTooLongAtNextSign() else { return onSilence(timeoutSeconds) }
            sendSign()
            schedule(on: eventLoop, sendSign: sendSign, onSilence: onSilence)
        }
    }
}
