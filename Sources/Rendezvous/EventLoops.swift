import Foundation
import NIOPosix

// The errnos that have words of their own.
let addressInUseErrno = POSIXErrorCode.EADDRINUSE.rawValue
let connectionRefusedErrno = POSIXErrorCode.ECONNREFUSED.rawValue

extension MultiThreadedEventLoopGroup {
    /// Closes what is open and ends the thread; blocks for it. It fails only where it has already been done.
    func end() { try? syncShutdownGracefully() }
}
