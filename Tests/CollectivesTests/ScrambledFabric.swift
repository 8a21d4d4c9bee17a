import Fabric

/// A fabric in one thread whose only freedom is order, taken from a seed: a write's bytes are read when it is delivered, which is as late as the
/// contract allows; its completion comes later still. What it does not have: loss, time (the clock is a counter), several machines.
// SAFETY (whole file): a region's memory belongs to the network, which every fabric of a test holds; all on one thread.
@safe
final class Network {
    var inFlight: [[Channel: [Pending]]]
    var events: [[FabricEvent]]
    var memory: [[UnsafeMutableRawBufferPointer]]
    var tickets: [[Channel: UInt64]]
    var clock: UInt64 = 0
    var random: SplitMix
    var delivered = 0
    /// Unread arrivals and undelivered writes on any one channel, at most seen.
    var deepest = 0

    struct Pending {
        var write: Write
        var ticket: UInt64
        var isDelivered = false
    }

    init(worldSize: Int, seed: UInt64) {
        inFlight = Array(repeating: [:], count: worldSize)
        events = Array(repeating: [], count: worldSize)
        unsafe memory = Array(repeating: [], count: worldSize)
        tickets = Array(repeating: [:], count: worldSize)
        random = SplitMix(state: seed)
    }

    deinit {
        for rank in unsafe memory.indices {
            for block in unsafe memory[rank].indices { unsafe memory[rank][block].deallocate() }
        }
    }

    /// Delivers or completes one write, chosen by the seed. False where there is none.
    func step() -> Bool {
        var choices: [(sender: Int, channel: Channel, deliver: Bool)] = []
        for sender in inFlight.indices {
            for (channel, writes) in inFlight[sender].sorted(by: { ($0.key.peer, $0.key.index) < ($1.key.peer, $1.key.index) }) {
                guard let first = writes.first else { continue }
                if writes.contains(where: { !$0.isDelivered }) { choices.append((sender, channel, true)) }
                if first.isDelivered { choices.append((sender, channel, false)) }
            }
        }
        guard !choices.isEmpty else { return false }
        let choice = choices[Int(random.next() % UInt64(choices.count))]
        choice.deliver ? deliver(choice.sender, choice.channel) : complete(choice.sender, choice.channel)
        return true
    }

    private func deliver(_ sender: Int, _ channel: Channel) {
        let index = inFlight[sender][channel]!.firstIndex { !$0.isDelivered }!
        let write = inFlight[sender][channel]![index].write
        inFlight[sender][channel]![index].isDelivered = true
        let source = unsafe memory[sender][Int(write.source.identifier)].baseAddress! + write.sourceOffset
        let target = unsafe memory[channel.peer][Int(write.destination.identifier)].baseAddress! + write.destinationOffset
        unsafe target.copyMemory(from: source, byteCount: write.byteCount)
        events[channel.peer].append(.arrival(Channel(peer: sender, index: channel.index), immediate: write.immediate))
        delivered += 1
    }

    private func complete(_ sender: Int, _ channel: Channel) {
        let ticket = inFlight[sender][channel]!.removeFirst().ticket
        events[sender].append(.completion(channel, through: ticket))
    }
}

struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

struct ScrambledFabric: Fabric, ~Copyable {
    let network: Network
    let name = "scrambled"
    let deviceName = "none"
    let rank: Int
    let worldSize: Int
    let channelsPerPeer: Int
    var depth: Int
    var writeDepth: Int { depth }
    var arrivalDepth: Int { depth }
    var endpoint: [UInt8] { [] }

    init(network: Network, rank: Int, worldSize: Int, channelsPerPeer: Int = 1, depth: Int) {
        self.network = network
        self.rank = rank
        self.worldSize = worldSize
        self.channelsPerPeer = channelsPerPeer
        self.depth = depth
    }

    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {}

    mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, byteCount), alignment: 64)
        // Not zero: what nobody wrote must not look right.
        unsafe block.initializeMemory(as: UInt8.self, repeating: 0xEE)
        unsafe network.memory[rank].append(block)
        return unsafe Region(
            identifier: UInt32(network.memory[rank].count - 1), base: block.baseAddress!, byteCount: byteCount)
    }

    mutating func register(_ memory: UnsafeMutableRawPointer, byteCount: Int) throws(FabricError) -> Region? { nil }
    @unsafe func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? { nil }
    mutating func release(_ region: Region) {}
    mutating func detach(_ region: RemoteRegion) {}

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
        guard write.destinationOffset >= 0, write.destinationOffset + write.byteCount <= write.destination.byteCount else {
            throw FabricError(.outOfBounds, during: .write, peer: write.channel.peer, detail: "test")
        }
        let flying = network.inFlight[rank][write.channel, default: []].count
        guard flying < depth else { throw FabricError(.queueFull, during: .write, peer: write.channel.peer, detail: "test") }
        network.deepest = max(network.deepest, flying + 1)
        let ticket = network.tickets[rank][write.channel, default: 0] + 1
        network.tickets[rank][write.channel] = ticket
        network.inFlight[rank][write.channel, default: []].append(.init(write: write, ticket: ticket))
        return ticket
    }

    mutating func poll() -> FabricEvent? { network.events[rank].isEmpty ? nil : network.events[rank].removeFirst() }
    mutating func wait(until deadline: FabricInstant) {}
    func now() -> FabricInstant { FabricInstant(nanoseconds: network.clock) }
    func waker() -> Waker { Waker {} }
    mutating func close(deadline: FabricInstant) {}
}
