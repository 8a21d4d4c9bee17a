internal import Fabric
internal import SimulatedFabric

/// A rank of a large world of which a few nodes are simulated: all others are their images, so many nodes further on.
///
/// A rank that writes to its neighbour's image writes to the neighbour; what a rank takes, it takes as from the image that the large world has there. That is
/// exact where all nodes do the same at the same time, as on rings over nodes that are alike: what node n-1 sends to n is what n sends to n+1.
///
/// Without images it is the simulated fabric itself.
struct ImageFabric: Fabric, ~Copyable {
    private var real: SimulatedFabric
    let worldSize: Int
    /// By rank of the simulated nodes: what the large world calls it, as seen from here. Empty without images.
    private var imageOfRank: [Int] = []
    private var rankOfImage: [Int: Int] = [:]

    /// - Parameter peers: of the large world, by their ranks; those that are simulated for each.
    init(_ network: SimulatedNetwork, rank: Int, worldSize: Int, peers: [(image: Int, rank: Int)]) throws(FabricError) {
        real = try SimulatedFabric(network, rank: rank)
        self.worldSize = worldSize
        guard worldSize > network.worldSize else { return }
        imageOfRank = Array(0..<network.worldSize)
        for peer in peers {
            imageOfRank[peer.rank] = peer.image
            rankOfImage[peer.image] = peer.rank
        }
    }

    private func rank(of image: Int) -> Int { imageOfRank.isEmpty ? image : rankOfImage[image] ?? image }
    private func image(of channel: Channel) -> Channel {
        imageOfRank.isEmpty ? channel : Channel(peer: imageOfRank[channel.peer], index: channel.index)
    }
    private func real(_ region: RemoteRegion) -> RemoteRegion {
        RemoteRegion(peer: rank(of: region.peer), identifier: region.identifier, byteCount: region.byteCount)
    }

    var name: String { real.name }
    var deviceName: String { real.deviceName }
    var rank: Int { real.rank }
    var channelsPerPeer: Int { real.channelsPerPeer }
    var writeDepth: Int { real.writeDepth }
    var arrivalDepth: Int { real.arrivalDepth }
    var writesCompleteAtOnce: Bool { real.writesCompleteAtOnce }
    var endpoint: [UInt8] { real.endpoint }

    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        var endpoints: [Int: [UInt8]] = [:]
        for (image, endpoint) in peers { endpoints[rank(of: image)] = endpoint }
        try real.connect(to: endpoints, deadline: deadline)
    }

    mutating func allocate(byteCount: Int) throws(FabricError) -> Region { try real.allocate(byteCount: byteCount) }
    mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? { try real.register(memory) }
    mutating func release(_ region: Region) { real.release(region) }
    func descriptor(of region: Region) -> [UInt8] { real.descriptor(of: region) }

    mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        let region = try real.attach(descriptor, of: rank(of: peer))
        return RemoteRegion(peer: peer, identifier: region.identifier, byteCount: region.byteCount)
    }

    @unsafe
    func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        // SAFETY: as the simulated fabric says; no byte of it is touched, since actions are not carried out.
        unsafe real.address(of: real(region))
    }

    mutating func detach(_ region: RemoteRegion) { real.detach(real(region)) }

    @inline(__always)
    mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        guard !imageOfRank.isEmpty else { return try real.write(write) }
        var write = write
        write.channel.peer = rank(of: write.channel.peer)
        write.destination = real(write.destination)
        return try real.write(write)
    }

    @inline(__always)
    mutating func poll() -> FabricEvent? {
        guard let event = real.poll() else { return nil }
        guard !imageOfRank.isEmpty else { return event }
        return switch event {
        case .arrival(let channel, let immediate): .arrival(image(of: channel), immediate: immediate)
        case .completion(let channel, let ticket): .completion(image(of: channel), through: ticket)
        case .closed(let peer): .closed(peer: imageOfRank[peer])
        case .failure: event
        }
    }

    mutating func wait(until deadline: FabricInstant) { real.wait(until: deadline) }
    func now() -> FabricInstant { real.now() }
    func didTouch(byteCount: Int) { real.didTouch(byteCount: byteCount) }
    func waker() -> Waker { real.waker() }
    mutating func close(deadline: FabricInstant) { real.close(deadline: deadline) }
}
