public import Fabric
import Verbs

extension VerbsFabric {
    /// Says goodbye on every channel and waits until each peer's device has taken it, so that no peer can see the disconnection first.
    /// A peer that has said goodbye itself needs no answer.
    public mutating func close(deadline: FabricInstant) {
        guard !isClosed else { return }
        postHeldBack()
        for peer in peers.indices where peers[peer].phase == .open { sayGoodbye(to: peer) }
        while isGoodbyeUnderWay, now() < deadline {
            while poll() != nil {}
            if isGoodbyeUnderWay { wait(until: deadline) }
        }
        isClosed = true
        hasDisconnections = false
        pending.removeAll()
        for peer in peers.indices where peers[peer].phase == .open { peers[peer].phase = .closed }
        for slot in channels.indices {
            channels[slot].connection?.disconnect()
            channels[slot].queuePair?.close()
            channels[slot].queuePair = nil
            channels[slot].connection = nil
        }
        channels.removeAll()
        completions = nil
    }

    private mutating func sayGoodbye(to peer: Int) {
        for slot in slots(of: peer) {
            do throws(VerbsError) {
                channels[slot].queuePair?.chainMessage(identifier: WorkRequestTag(.goodbye, slot: slot).identifier, immediate: 0)
                try channels[slot].queuePair?.postChain()
            } catch {
                fail(peer: peer, FabricError(error, during: .close, peer: peer))
            }
        }
    }

    private var isGoodbyeUnderWay: Bool {
        for channel in channels where peers[channel.channel.peer].phase == .open && !channel.hasGoodbyeCompleted { return true }
        return false
    }
}
