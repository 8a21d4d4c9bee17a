public import Fabric
internal import Platform

/// Two fabrics as one: peers on this machine through the near one (shared memory), all others through the far one (verbs).
///
/// A region lives in both: the near fabric allocates it, so that peers of the machine can map it, and the far fabric registers the same
/// bytes. Each peer is reached through one of the two only, so order, tickets, events and failures are those of that fabric.
///
/// Threads and blocking: as for any fabric. `wait` sleeps on the descriptors of both, and wakes on either side.
public struct MixedFabric<Near: DescriptorWaiting & ~Copyable, Far: DescriptorWaiting & ~Copyable>: Fabric, ~Copyable {
    public let name = "mixed"
    public var deviceName: String { "\(far.deviceName)+\(near.deviceName)" }
    public let rank: Int
    public let worldSize: Int
    public let channelsPerPeer: Int
    public let writeDepth: Int
    public let arrivalDepth: Int
    public let writeByteLimit: Int

    let configuration: MixedFabricConfiguration
    /// By rank; this rank itself is near.
    let isNear: [Bool]
    // Properties end in their order of declaration: the far fabric forgets the memory before the near one gives it back.
    var far: Far
    var near: Near
    /// By identifier; nil once given back. Identifiers are never reused.
    var regions: [(near: Region, far: Region)?] = []
    var remotes: [RemoteRegion?] = []
    /// Which fabric `poll` asks first.
    var asksFarFirst = false
    /// Whether writes were posted since both fabrics were last told to let them go.
    var holdsWrites = false
    /// What to sleep on; all of it once connected.
    var sleepers: SleepSet
    private var isConnected = false

    /// - Parameters:
    ///   - near: sleeps on descriptors (`sleepDescriptors` is not empty), and has room for every rank though it reaches some only.
    ///   - far: of the same rank, world and channels.
    ///   - configuration: which ranks are near, and how `wait` goes about it.
    /// - Throws: `.resource` where the two do not fit together.
    public init(near: consuming Near, far: consuming Far, _ configuration: MixedFabricConfiguration) throws(FabricError) {
        guard near.rank == far.rank, near.worldSize == far.worldSize, near.channelsPerPeer == far.channelsPerPeer else {
            throw FabricError(
                .resource, during: .open,
                detail: "\(near.name) is rank \(near.rank) of \(near.worldSize) with \(near.channelsPerPeer) channels, "
                    + "\(far.name) is rank \(far.rank) of \(far.worldSize) with \(far.channelsPerPeer)",
                remedy: "open both for the same rank")
        }
        guard !near.sleepDescriptors.isEmpty, !far.sleepDescriptors.isEmpty else {
            throw FabricError(
                .resource, during: .open, detail: "\(near.name) or \(far.name) cannot sleep on a descriptor",
                remedy: "open it with sleepsOnDescriptor")
        }
        rank = near.rank
        worldSize = near.worldSize
        channelsPerPeer = near.channelsPerPeer
        writeDepth = min(near.writeDepth, far.writeDepth)
        arrivalDepth = min(near.arrivalDepth, far.arrivalDepth)
        writeByteLimit = min(near.writeByteLimit, far.writeByteLimit)
        let rank = near.rank
        isNear = (0..<near.worldSize).map { $0 == rank || configuration.nearRanks.contains($0) }
        self.configuration = configuration
        sleepers = SleepSet(near.sleepDescriptors + far.sleepDescriptors)
        self.near = near
        self.far = far
    }

    public var endpoint: [UInt8] { Pair(near: near.endpoint, far: far.endpoint).encoded }

    public mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        var (nearPeers, farPeers): ([Int: [UInt8]], [Int: [UInt8]]) = ([:], [:])
        for (peer, endpoint) in peers {
            guard isNear.indices.contains(peer), let pair = Pair(decoding: endpoint) else {
                throw FabricError(
                    .wrongPeer, during: .connect, peer: peer, detail: "its endpoint is not one of this fabric",
                    remedy: "run the same version and the same fabric on every rank")
            }
            if isNear[peer] { nearPeers[peer] = pair.near } else { farPeers[peer] = pair.far }
        }
        try near.connect(to: nearPeers, deadline: deadline)
        try far.connect(to: farPeers, deadline: deadline)
        isConnected = true
        sleepers = SleepSet(near.sleepDescriptors + far.sleepDescriptors)
    }

    /// Both fabrics' clock: CLOCK_MONOTONIC.
    public func now() -> FabricInstant { near.now() }

    /// While it connects, each of the two sleeps alone and hears its own waker only; afterwards the near one's wakes both, and one call is enough.
    public func waker() -> Waker {
        let (near, far) = (near.waker(), far.waker())
        guard !isConnected else { return near }
        return Waker {
            near.wake()
            far.wake()
        }
    }

    public mutating func close(deadline: FabricInstant) {
        near.close(deadline: deadline)
        far.close(deadline: deadline)
    }
}

/// Two fabrics' opaque bytes in one: the length of the first in 32 bits, the first, the second.
struct Pair: Equatable {
    var near: [UInt8]
    var far: [UInt8]
}

extension Pair {
    init?(decoding bytes: [UInt8]) {
        var reader = WireReader(bytes)
        guard let length: UInt32 = reader.read(), let near = reader.read(count: Int(length)),
            let far = reader.read(count: bytes.count - near.count - 4)
        else { return nil }
        self.init(near: near, far: far)
    }

    var encoded: [UInt8] {
        var writer = WireWriter()
        writer.append(UInt32(near.count))
        writer.append(near)
        writer.append(far)
        return writer.bytes
    }
}
