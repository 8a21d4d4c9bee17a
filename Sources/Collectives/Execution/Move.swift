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
    var action: Action? { didSet { acts = action != nil } }
    /// Whether there is one: asked for each step.
    private(set) var acts = false
    /// Whether it takes longer than posting the writes that stand before it, for which peers would wait meanwhile.
    var actsLong = false
    /// What the action comes to, where it is no more than that.
    var combination: Combination?
    /// The link that is written by; -1 for none.
    var sends = -1
    /// Of that link's channel: position x channels + channel.
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
        var averaging: Averaging
    }
}

// SAFETY (whole file): as `StateMachine+Actions.swift` says of addresses.
extension StateMachine {
    /// What takes some 100 ns to copy.
    private static var longActionBytes: Int { 4 << 10 }

    /// Resolves a step of the lane's operation.
    /// - Returns: nil, and a failure, where the memory of a peer is not known.
    mutating func resolve(_ step: Step, _ lane: Int) -> Move? {
        var move = Move(write: nothing)
        move.drains = step.drain
        let index = index(of: step.channel, lane)
        if let peer = step.receive { move.receives = lanes[lane].link(Int(positions[peer]), channel: index) }
        move.action = step.action
        if let action = step.action { move.actsLong = action.count * lanes[lane].operation.type.byteCount >= Self.longActionBytes }
        if case .fold(let fold) = step.action { move.combination = combination(of: fold, lane) }
        guard let send = step.send else { return move }
        let position = Int(positions[send.peer])
        move.sends = lanes[lane].link(position, channel: index)
        move.queue = position * settings.channelsPerPeer + index
        move.write.channel = Channel(peer: send.peer, index: index)
        move.write.byteCount = send.count * (send.countsBytes ? 1 : lanes[lane].operation.type.byteCount)
        switch send.target {
        case .invitation:
            move.address = .invitation
            move.write.byteCount = ReceiveBuffers.boxBytes
            move.write.source = buffers[0].region
            move.write.sourceOffset = ReceiveBuffers.invitation(to: send.peer, in: boxes(lane))
        case .invited(let start):
            move.address = .invited
            move.invitedOffset = start * lanes[lane].operation.type.byteCount
        default: break
        }
        if send.target != .invitation { (move.write.source, move.write.sourceOffset) = place(of: send.source, lane) }
        guard move.address != .invited else { return move }
        guard let target = destination(of: send, position, lane) else { return nil }
        (move.write.destination, move.write.destinationOffset) = target
        return move
    }

    /// The index of a step's channel among the fabric's.
    private mutating func index(of channel: Int, _ lane: Int) -> Int {
        let index = lanes[lane].channel + channel
        return index < lanes[lane].channels ? index : index % lanes[lane].channels
    }

    // MARK: memory

    /// Where a write reads from.
    mutating func place(of location: Location, _ lane: Int) -> (region: Region, offset: Int) {
        let operation = lanes[lane].operation
        let size = operation.type.byteCount
        switch location {
        case .input(let start): return (buffers[operation.input.buffer.index].region, lanes[lane].inputOffset + start * size)
        case .output(let start): return (buffers[operation.output.buffer.index].region, lanes[lane].outputOffset + start * size)
        case .gated(let slot): return (buffers[0].region, gatedOffset(lane, slot))
        case .gatedElement(let element): return (buffers[0].region, gatedOffset(lane, 0) + element * size)
        case .eager(let rank): return (buffers[0].region, eagerOffset(lane, rank: rank))
        case .encoded(let byte): return (buffers[0].region, encodedOffset(lane, byte))
        case .peerInput, .peerOutput: invariantFailure("a write begins in memory of this rank")
        }
    }

    /// The slots of one operation lie one behind the other, so that those of consecutive ranks travel in one write.
    mutating func eagerOffset(_ lane: Int, rank: Int) -> Int {
        let operation = lanes[lane].operation
        return layout.eager(lane: receiveLane(lane), set: isMutated(.eagerSetTooFew) ? 0 : lanes[lane].eagerSet) + rank * operation.count
            * operation.type.byteCount
    }

    /// Where a write goes to, the invited ones excepted; nil, and a failure, where the peer's memory is not known.
    mutating func destination(of send: Send, _ position: Int, _ lane: Int) -> (remote: RemoteRegion, offset: Int)? {
        let operation = lanes[lane].operation
        let size = operation.type.byteCount
        if operation.isPrivate, case .output = send.target, send.count > 0 { invariantFailure("peers reach nothing of private memory") }
        let (buffer, offset) =
            switch send.target {
            case .invitation: (0, ReceiveBuffers.invitation(from: rank, in: boxes(lane)))
            case _ where send.count == 0: (0, 0)
            case .gated(let slot): (0, gatedOffset(lane, slot, isTarget: true))
            case .gatedElement(let element): (0, gatedOffset(lane, 0) + element * size)
            case .eager(let rank): (0, eagerOffset(lane, rank: rank))
            case .encoded(let byte): (0, encodedOffset(lane, byte))
            case .output(let start):
                (
                    operation.output.buffer.index,
                    operation.output.byteOffset + (operation.extents(worldSize: worldSize).output(of: send.peer).lowerBound + start) * size
                )
            case .invited: invariantFailure("an invitation is read when it has come")
            }
        return remote(buffer, offset, position, lane)
    }

    private mutating func remote(_ buffer: Int, _ offset: Int, _ position: Int, _ lane: Int) -> (remote: RemoteRegion, offset: Int)? {
        guard buffers.indices.contains(buffer), let remote = buffers[buffer].remotes[position], offset >= 0 else {
            fail(error(.protocolViolation, lane: lane, peer: peers[position], "its memory was never attached"))
            return nil
        }
        return (remote, offset)
    }

    /// Where the boxes of an operation lie.
    private mutating func boxes(_ lane: Int) -> Int { lanes[lane].onlyPeer < 0 ? eagerOffset(lane, rank: 0) : layout.boxes }

    /// Says in the box for the peer where it is to write, and how much; the box is this rank's until the write of it has completed.
    mutating func writeInvitation(to peer: Int, _ lane: Int) {
        let operation = lanes[lane].operation
        let block = operation.collective == .allToAll ? operation.extents(worldSize: worldSize).received(from: peer) : 0..<operation.count
        // SAFETY: the box lies in the receive buffers, which the fabric keeps; nobody else touches this half of it.
        let box = unsafe buffers[0].region.base + ReceiveBuffers.invitation(to: peer, in: boxes(lane))
        unsafe box.storeBytes(of: Int64(operation.output.buffer.index), as: Int64.self)
        unsafe (box + 8).storeBytes(of: Int64(lanes[lane].outputOffset + block.lowerBound * operation.type.byteCount), as: Int64.self)
        unsafe (box + 16).storeBytes(of: Int64(block.count), as: Int64.self)
    }

    /// Completes a move's write by the peer's invitation, which has come.
    mutating func followInvitation(_ move: UnsafeMutablePointer<Move>, _ lane: Int) -> Bool {
        let peer = unsafe move.pointee.write.channel.peer
        // SAFETY: as above; the arrival said that the peer has written its half, and it writes no other before we have sent.
        let box = unsafe buffers[0].region.base + ReceiveBuffers.invitation(from: peer, in: boxes(lane))
        let (buffer, offset) = unsafe (Int(box.load(as: Int64.self)), Int((box + 8).load(as: Int64.self)))
        let expected = unsafe Int((box + 16).load(as: Int64.self))
        let operation = lanes[lane].operation
        let count = operation.collective == .allToAll ? operation.extents(worldSize: worldSize).block(peer).count : operation.count
        guard expected == count else {
            fail(countsDiffer(lane: lane, peer: peer, sent: count, expected: expected))
            return false
        }
        let (sum, overflows) = unsafe offset.addingReportingOverflow(move.pointee.invitedOffset)
        guard let target = remote(buffer, overflows ? -1 : sum, Int(positions[peer]), lane) else { return false }
        unsafe (move.pointee.write.destination, move.pointee.write.destinationOffset) = target
        return true
    }
}
