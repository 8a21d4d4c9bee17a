import Fabric
import Glibc

@testable import Collectives

/// The wire, memory and clock of all ranks, in one thread, whose only freedom is order, taken from a seed.
///
/// A write leaves when its owner next polls at the earliest. It is delivered and completed in either order: its source is read at whichever
/// comes first, as late as the contract allows. What it does not have: loss, and time by itself.
// SAFETY (whole file): a region's memory belongs to the network, which every fabric of a test holds; all on one thread.
@safe
final class Network {
    struct Pending {
        var write: Write
        var ticket: UInt64
        /// Where the write completed before it was delivered.
        var bytes: [UInt8]?
    }

    /// One direction of a channel.
    struct Track {
        var writes: [Pending] = []
        /// Of `writes`: how many have been posted for good, delivered, completed.
        var left = 0
        var delivered = 0
        var completed = 0
        var tickets: UInt64 = 0
        /// Arrivals that the receiver has not polled.
        var unread = 0
    }

    let topology: Topology
    let channels: Int
    let completesAtOnce: Bool
    /// By sender, receiver and index.
    var tracks: [Track]
    var events: [[FabricEvent]]
    var memory: [[UnsafeMutableRawBufferPointer]]
    var clock: UInt64 = 0
    var random: SplitMix
    /// Whether completions wait until nothing else can happen.
    var completesLate = false
    /// Whether nothing is ever said to be complete.
    var withholdsCompletions = false
    /// Whether there is always one more event: a completion of nothing.
    var streamsCompletions = false
    /// How many completions of nothing come before each event; every look sees what there is, then.
    var leadingCompletions = 0
    /// Writes on their way and arrivals unread on one channel, and writes not completed, at most.
    var maxUnread = 0
    var maxIncomplete = 0
    /// Bytes of them, but of those that do not count; how a message says that it does not.
    var maxIncompleteBytes = 0
    var isCounted: (Write) -> Bool = { _ in true }
    /// Called with the sender of each write at the moment when its fabric gets it.
    var onPost: (Int) -> Void = { _ in }
    /// Called with each rank that polls or flushes, which is when what it has posted leaves a device; and with each that says what it has touched.
    var onLeaving: (Int) -> Void = { _ in }
    var onTouch: (Int) -> Void = { _ in }

    init(topology: Topology, channels: Int, seed: UInt64, completesAtOnce: Bool = false) {
        self.topology = topology
        self.channels = channels
        self.completesAtOnce = completesAtOnce
        let ranks = topology.worldSize
        tracks = Array(repeating: Track(), count: ranks * ranks * channels)
        events = Array(repeating: [], count: ranks)
        unsafe memory = Array(repeating: [], count: ranks)
        random = SplitMix(state: seed)
    }

    deinit {
        for rank in unsafe memory.indices {
            for block in unsafe memory[rank].indices { unsafe memory[rank][block].deallocate() }
        }
    }

    func track(from sender: Int, to receiver: Int, _ index: Int) -> Int { (sender * topology.worldSize + receiver) * channels + index }

    /// Delivers or completes one write, chosen by the seed. False where there is none.
    func step() -> Bool {
        let first = random.below(tracks.count)
        let prefersCompletion = !completesLate && random.oneIn(2)
        for wantsCompletion in [prefersCompletion, !prefersCompletion] {
            for turn in tracks.indices {
                let track = (first + turn) % tracks.count
                if tracks[track].left == 0 { continue }
                if wantsCompletion ? !withholdsCompletions && complete(track) : deliver(track) { return true }
            }
        }
        return false
    }

    private func bytes(_ write: Write, _ sender: Int) -> [UInt8] {
        let source = unsafe memory[sender][Int(write.source.identifier)]
        return unsafe Array(source[write.sourceOffset..<write.sourceOffset + write.byteCount])
    }

    private func deliver(_ track: Int) -> Bool {
        let index = tracks[track].delivered
        guard index < tracks[track].left else { return false }
        let pending = tracks[track].writes[index]
        let (sender, receiver) = (track / channels / topology.worldSize, track / channels % topology.worldSize)
        let bytes = pending.bytes ?? bytes(pending.write, sender)
        let target = unsafe memory[receiver][Int(pending.write.destination.identifier)]
        unsafe bytes.withUnsafeBytes { unsafe target.baseAddress!.advanced(by: pending.write.destinationOffset).copyMemory(from: $0) }
        tracks[track].delivered += 1
        tracks[track].unread += 1
        append(.arrival(Channel(peer: sender, index: track % channels), immediate: pending.write.immediate), to: receiver, from: sender)
        forget(track)
        return true
    }

    private func complete(_ track: Int) -> Bool {
        let index = tracks[track].completed
        guard index < tracks[track].left else { return false }
        let (sender, receiver) = (track / channels / topology.worldSize, track / channels % topology.worldSize)
        if index >= tracks[track].delivered { tracks[track].writes[index].bytes = bytes(tracks[track].writes[index].write, sender) }
        tracks[track].completed += 1
        let ticket = tracks[track].writes[index].ticket
        if !completesAtOnce {
            append(.completion(Channel(peer: receiver, index: track % channels), through: ticket), to: sender, from: receiver)
        }
        forget(track)
        return true
    }

    private func append(_ event: FabricEvent, to rank: Int, from peer: Int) {
        for _ in 0..<leadingCompletions { events[rank].append(.completion(Channel(peer: peer), through: 0)) }
        events[rank].append(event)
    }

    /// Drops what is both delivered and completed, some at a time.
    private func forget(_ track: Int) {
        let done = min(tracks[track].delivered, tracks[track].completed)
        guard done == tracks[track].left || done >= 32 else { return }
        tracks[track].writes.removeFirst(done)
        tracks[track].left -= done
        tracks[track].delivered -= done
        tracks[track].completed -= done
    }

    func post(_ write: Write, from sender: Int) -> UInt64 {
        onPost(sender)
        let track = track(from: sender, to: write.channel.peer, write.channel.index)
        tracks[track].tickets += 1
        tracks[track].writes.append(Pending(write: write, ticket: tracks[track].tickets))
        let count = tracks[track].writes.count
        if completesAtOnce {
            tracks[track].writes[count - 1].bytes = bytes(write, sender)
            tracks[track].completed = count
            tracks[track].left = count
        }
        maxUnread = max(maxUnread, count - tracks[track].delivered + tracks[track].unread)
        maxIncomplete = max(maxIncomplete, count - tracks[track].completed)
        let incomplete = tracks[track].writes[tracks[track].completed...].map(\.write)
        maxIncompleteBytes = max(maxIncompleteBytes, incomplete.reduce(0) { $0 + (isCounted($1) ? $1.byteCount : 0) })
        return tracks[track].tickets
    }

    /// What a sender has posted may leave from now on.
    func release(_ sender: Int) {
        let first = sender * topology.worldSize * channels
        for track in first..<first + topology.worldSize * channels { tracks[track].left = tracks[track].writes.count }
    }
}

/// A rank's end of a `Network`.
struct ScrambledFabric: Fabric, ~Copyable {
    let network: Network
    let rank: Int
    let depth: Int
    var writeByteLimit = Int.max
    let name = "scrambled"
    let deviceName = "none"
    var worldSize: Int { network.topology.worldSize }
    var channelsPerPeer: Int { network.channels }
    var writeDepth: Int { depth }
    var arrivalDepth: Int { depth }
    var writesCompleteAtOnce: Bool { network.completesAtOnce }
    var endpoint: [UInt8] { [] }

    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {}

    mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, byteCount), alignment: 64)
        // Not zero: what nobody wrote must not look right.
        unsafe memset(block.baseAddress!, 0xEE, block.count)
        unsafe network.memory[rank].append(block)
        return unsafe Region(identifier: UInt32(network.memory[rank].count - 1), base: block.baseAddress!, byteCount: byteCount)
    }

    mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? { nil }
    mutating func release(_ region: Region) {}
    mutating func detach(_ region: RemoteRegion) {}

    @unsafe func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        let isNear = network.topology.node(of: rank) == network.topology.node(of: region.peer)
        return unsafe isNear ? network.memory[region.peer][Int(region.identifier)].baseAddress : nil
    }

    func descriptor(of region: Region) -> [UInt8] {
        var writer = WireWriter()
        writer.append(region.identifier)
        writer.append(UInt64(region.byteCount))
        return writer.bytes
    }

    mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        return RemoteRegion(peer: peer, identifier: reader.read()!, byteCount: Int(reader.read(UInt64.self)!))
    }

    mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let peer = write.channel.peer
        guard write.sourceOffset >= 0, write.sourceOffset + write.byteCount <= write.source.byteCount, write.destinationOffset >= 0,
            write.destinationOffset + write.byteCount <= write.destination.byteCount, write.destination.peer == peer
        else { throw FabricError(.outOfBounds, during: .write, peer: peer, detail: "test") }
        let track = network.tracks[network.track(from: rank, to: peer, write.channel.index)]
        guard track.writes.count - track.completed < depth else {
            throw FabricError(.queueFull, during: .write, peer: peer, detail: "test")
        }
        return network.post(write, from: rank)
    }

    /// Now and then it has seen nothing yet.
    mutating func poll() -> FabricEvent? {
        network.onLeaving(rank)
        if network.streamsCompletions { return .completion(Channel(peer: rank == 0 ? 1 : 0), through: 0) }
        network.release(rank)
        guard !network.events[rank].isEmpty, network.leadingCompletions > 0 || !network.random.oneIn(5) else { return nil }
        let event = network.events[rank].removeFirst()
        if case .arrival(let channel, _) = event { network.tracks[network.track(from: channel.peer, to: rank, channel.index)].unread -= 1 }
        return event
    }

    mutating func flush() { network.onLeaving(rank) }
    mutating func wait(until deadline: FabricInstant) {}
    func didTouch(byteCount: Int) { network.onTouch(rank) }
    func now() -> FabricInstant { FabricInstant(nanoseconds: network.clock) }
    func waker() -> Waker { Waker {} }
    mutating func close(deadline: FabricInstant) {}
}
