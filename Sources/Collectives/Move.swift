internal import Fabric
internal import Reduction

/// A step with its names resolved into links, addresses and a write: what a lane carries out. Good for one set of eager slots.
///
/// The moves of a short schedule are kept as long as the same operation comes again on the lane: then a step costs a few loads.
// SAFETY: the addresses lie in the fabric's regions, which live as long as the executor.
@safe
struct Move {
    /// Waits for the writes of the operation.
    var drains = false
    /// The link whose next message is awaited; -1 for none.
    var receives = -1
    var action: Action?
    /// What the action comes to, where it is no more than that.
    var combination: Combination?
    /// The link that is written by; -1 for none.
    var sends = -1
    /// Of that link's channel: slot x channels + channel.
    var queue = 0
    var address = Address.known
    /// Where the peer's invitation says: so many bytes further.
    var invitedOffset = 0
    /// Without the immediate data.
    var write: Write

    /// How the write's place is known.
    enum Address {
        case known
        /// It tells the peer our own.
        case invitation
        /// The peer's invitation says it.
        case invited
    }

    /// `target = left ∘ right`.
    @safe
    struct Combination {
        var left: UnsafeRawPointer
        var right: UnsafeRawPointer
        var target: UnsafeMutableRawPointer
        var count: Int
        var divisor: Int
    }
}

// SAFETY (whole file): as `StateMachine+Actions.swift` says of addresses.
extension StateMachine {
    /// Resolves a step of the lane's operation.
    /// - Returns: nil, and a failure, where the memory of a peer is not known.
    mutating func resolve(_ step: Step, _ lane: Int) -> Move? {
        var move = Move(write: nothing)
        move.drains = step.drain
        let index = index(of: step.channel, lane)
        if let peer = step.receive { move.receives = lanes[lane].link(Int(slots[peer]), channel: index) }
        move.action = step.action
        if case .fold(let fold) = step.action { move.combination = combination(of: fold, lane) }
        guard let send = step.send else { return move }
        let slot = Int(slots[send.peer])
        move.sends = lanes[lane].link(slot, channel: index)
        move.queue = slot * settings.channelsPerPeer + index
        move.write.channel = Channel(peer: send.peer, index: index)
        move.write.byteCount = send.count * lanes[lane].operation.type.byteCount
        switch send.target {
        case .invitation:
            move.address = .invitation
            move.write.byteCount = Landing.boxBytes
            move.write.source = buffers[0].region
            move.write.sourceOffset = layout.invitation(to: send.peer)
            move.write.destinationOffset = layout.invitation(from: rank)
        case .invited(let start):
            move.address = .invited
            move.invitedOffset = start * lanes[lane].operation.type.byteCount
        default: break
        }
        if send.target != .invitation { (move.write.source, move.write.sourceOffset) = place(of: send.source, lane) }
        guard move.address != .invited else { return move }
        guard let target = destination(of: send, slot, lane) else { return nil }
        (move.write.destination, move.write.destinationOffset) = target
        return move
    }

    /// The index of a step's channel among the fabric's.
    private mutating func index(of channel: Int, _ lane: Int) -> Int {
        let index = lanes[lane].channel + channel
        return index < lanes[lane].channels ? index : index % lanes[lane].channels
    }
}
