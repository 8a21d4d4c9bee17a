import Foundation
import NIOPosix

/// EADDRINUSE: the one errno that has a message of its own.
let addressInUseErrno = POSIXErrorCode.EADDRINUSE.rawValue

extension MultiThreadedEventLoopGroup {
    /// Closes what is open and ends the thread; blocks for it. It fails only where it has already been done.
    func end() { try? syncShutdownGracefully() }
}
