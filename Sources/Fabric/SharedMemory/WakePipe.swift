internal import CPlatform
import Fabric

/// What the owner of a control segment sleeps on together with other descriptors: a pipe, because a peer can open one by its number
/// in the owner's process, as it opens memory. Without a name, and gone with its last holder.
final class WakePipe: Sendable {
    let descriptor: Int32
    let inode: UInt64

    init() throws(FabricError) {
        let descriptor = platform_wake_pipe()
        var inode: UInt64 = 0
        // SAFETY: the pointer to the local is used during the call only.
        let status = descriptor < 0 ? descriptor : unsafe platform_inode(descriptor, &inode)
        guard status >= 0 else {
            if descriptor >= 0 { close(descriptor) }
            throw SharedMapping.resourceError(.open, errno: -status, what: "a pipe", peer: nil)
        }
        self.descriptor = descriptor
        self.inode = inode
    }

    /// A peer's, by its number in the peer's process.
    init(opening number: Int32, inode: UInt64, process: Int32, of peer: Int) throws(FabricError) {
        descriptor = platform_open_peer_pipe(process, number, inode)
        self.inode = inode
        if descriptor < 0 { throw SharedMapping.resourceError(.connect, errno: -descriptor, what: "its pipe", peer: peer) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
