import Dispatch
import FoundationEssentials
import NIOPosix

// The errnos that have words of their own.
let addressInUseErrno = POSIXErrorCode.EADDRINUSE.rawValue
let connectionRefusedErrno = POSIXErrorCode.ECONNREFUSED.rawValue

extension MultiThreadedEventLoopGroup {
    /// How long `end` waits for the thread; it goes on ending by itself after that.
    private static let endTimeoutSeconds = 5.0

    /// Closes what is open and ends the thread; waits for it, with a bound.
    ///
    /// The answer comes on a queue with a thread of its own: in the shared pool it could wait for ever behind work that keeps every
    /// thread of the pool busy.
    func end() {
        let ended = DispatchSemaphore(value: 0)
        shutdownGracefully(queue: DispatchQueue(label: "verbena.rendezvous.end")) { _ in ended.signal() }
        _ = ended.wait(timeout: .now() + Self.endTimeoutSeconds)
    }
}
