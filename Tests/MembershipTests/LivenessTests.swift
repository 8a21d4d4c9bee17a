import Dispatch
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Membership

@Suite struct LivenessTests {
    /// A loop that does not run is what a stopped process looks like from within: the clock goes on, and signs of life wait to be read.
    @Test(arguments: [false, true]) func silenceCountsOnlyWhileTheOwnLoopRuns(isPeerGone: Bool) async throws {
        let timeoutSeconds = 0.8
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let silence = Mutex<Bool>(false)
        let signs = Mutex(0)
        try await loop.submit {
            let liveness = Liveness(timeoutSeconds: timeoutSeconds)
            liveness.start(on: loop) {
                signs.withLock { $0 += 1 }
                // The peer's sign comes behind ours, as it does when both go on.
                if !isPeerGone { loop.assumeIsolated().execute { liveness.heard() } }
            } onSilence: { _ in
                silence.withLock { $0 = true }
            }
            // Three times the timeout.
            _ = DispatchSemaphore(value: 0).wait(timeout: .now() + 3 * timeoutSeconds)
        }.get()
        let enough = try await offPool {
            Monitor(()).wait(until: .after(seconds: patience)) { _ in
                silence.withLock { $0 } || signs.withLock { $0 } >= 8 ? true : nil
            }
        }
        #expect(enough == true)
        #expect(silence.withLock { $0 } == isPeerGone)
        try await group.shutdownGracefully()
    }

    @Test func aTimerCountsRunningTime() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let fired = Mutex<ContinuousClock.Instant?>(nil)
        let cancelled = Mutex(false)
        let released = try await loop.submit {
            // Of the pause of 4 s two count.
            _ = RunningTimer(on: loop, afterSeconds: 2.5) { fired.withLock { $0 = .now } }
            let other = RunningTimer(on: loop, afterSeconds: 0.1) { cancelled.withLock { $0 = true } }
            other.cancel()
            _ = DispatchSemaphore(value: 0).wait(timeout: .now() + 4)
            return ContinuousClock.now
        }.get()
        let time = try await offPool { Monitor(()).wait(until: .after(seconds: patience)) { _ in fired.withLock { $0 } } }
        #expect(try #require(time) - released >= .seconds(0.5))
        #expect(!cancelled.withLock { $0 })
        try await group.shutdownGracefully()
    }
}
