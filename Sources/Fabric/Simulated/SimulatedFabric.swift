public import Fabric

/// One rank's end of a simulated world: the contract of a fabric in virtual time.
///
/// Threads and blocking: see `SimulatedNetwork`. In a driven world `wait` and `close` return at once: the driver runs the rank again when there is
/// something, at the latest at the deadline that `wait` was given. Destroying the fabric unclosed is the rank's crash.
public struct SimulatedFabric: Fabric, ~Copyable {
    public let name = "simulated"
    public let deviceName = "virtual"
    public let rank: Int
    public let worldSize: Int
    public let network: SimulatedNetwork
    /// What the network and its driver call this rank: its own number in the world, and numbers after the world's for members of groups.
    public let place: Int
    public var channelsPerPeer: Int { network.options.channelsPerPeer }
    public let writeDepth: Int
    public let arrivalDepth: Int
    public let writesCompleteAtOnce: Bool

    /// Marks endpoints and descriptors as ours.
    fileprivate static var magic: UInt32 { 0x5EED_FAB1 }

    /// - Parameters:
    ///   - rank: in the network's world, or in the group; each is opened once.
    ///   - group: of `SimulationOptions.groups`; nil for the world.
    public init(_ network: SimulatedNetwork, rank: Int, group: Int? = nil) throws(FabricError) {
        let places = group.map { network.options.groups.indices.contains($0) } ?? true ? network.places(ofGroup: group) : 0..<0
        guard 0..<places.count ~= rank else {
            throw FabricError(.resource, during: .open, detail: "rank \(rank) of \(places.count)", remedy: "ranks count from 0")
        }
        self.network = network
        self.rank = rank
        worldSize = places.count
        place = places.lowerBound + rank
        let options = network.options
        writeDepth = group.map { options.groups[$0].writeDepth } ?? options.writeDepth
        arrivalDepth = group.map { options.groups[$0].arrivalDepth } ?? options.arrivalDepth
        writesCompleteAtOnce = group.map { options.groups[$0].writesCompleteAtOnce } ?? options.writesCompleteAtOnce
    }

    deinit {
        let place = place
        network.withWorld { $0.crash(place) }
    }

    /// Of the network, where this rank's peers are counted from.
    private var base: Int { place - rank }

    // MARK: peers

    public var endpoint: [UInt8] { network.endpoint(of: place) }

    public mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        for (peer, endpoint) in peers.sorted(by: { $0.key < $1.key }) {
            try check(endpoint, of: peer)
            let (place, peerPlace) = (place, base + peer)
            try network.withWorld { (world) throws(FabricError) in
                let link = world.addLinks(place, peerPlace)
                guard !world.links[link].isOpen else {
                    throw FabricError(.wrongPeer, during: .connect, peer: peer, detail: "connected already")
                }
                guard !world.ranks[peerPlace].isDead else {
                    throw FabricError(.peerDied, during: .connect, peer: peer, detail: "it is gone", remedy: "see its own output")
                }
                world.links[link].isOpen = true
            }
        }
    }

    private func check(_ endpoint: [UInt8], of peer: Int) throws(FabricError) {
        guard peer != rank, 0..<worldSize ~= peer, endpoint == network.endpoint(of: base + peer) else {
            throw FabricError(
                .wrongPeer, during: .connect, peer: peer, detail: "its endpoint is not that of this rank of this job",
                remedy: "start all ranks from the same build and job")
        }
    }

    public mutating func close(deadline: FabricInstant) {
        let place = place
        network.withWorld { $0.close(place) }
    }

    // MARK: memory

    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let place = place
        return try network.withWorld { (world) throws(FabricError) in
            let region = try world.allocate(byteCount, for: place)
            return world.add(region, to: place)
        }
    }

    public mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? {
        guard network.options.payload != .none else { return nil }
        let place = place
        // SAFETY: the state holds the memory's keeper until `release`, as the contract says.
        return network.withWorld { world in
            world.add(unsafe RegionState(base: memory.base, byteCount: memory.byteCount, block: nil, keeper: memory.keeper), to: place)
        }
    }

    public mutating func release(_ region: Region) {
        let place = place
        network.withWorld { $0.releaseRegion(Int(region.identifier), of: place) }
    }

    public func descriptor(of region: Region) -> [UInt8] {
        var writer = WireWriter()
        writer.append(Self.magic)
        writer.append(UInt32(place))
        writer.append(region.identifier)
        writer.append(UInt64(region.byteCount))
        return writer.bytes
    }

    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        guard reader.read(UInt32.self) == Self.magic, reader.read(UInt32.self) == UInt32(truncatingIfNeeded: base + peer),
            let region = reader.read(UInt32.self), let byteCount = reader.read(UInt64.self), reader.isAtEnd
        else {
            throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "not the descriptor of a region of this rank")
        }
        let (place, owner) = (place, base + peer)
        return try network.withWorld { (world) throws(FabricError) in
            guard world.ranks[owner].regions.indices.contains(Int(region)), world.ranks[owner].regions[Int(region)].isLive,
                UInt64(world.ranks[owner].regions[Int(region)].byteCount) == byteCount
            else { throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "region \(region) is not there") }
            world.ranks[place].attachments.append(
                Attachment(peer: Int32(truncatingIfNeeded: owner), region: Int32(truncatingIfNeeded: Int(region)), isLive: true))
            return RemoteRegion(
                peer: peer, identifier: UInt32(world.ranks[place].attachments.count - 1), byteCount: Int(byteCount))
        }
    }

    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        let (place, owner) = (place, base + region.peer)
        // SAFETY: the network owns the region's memory, or its owner keeps it, until it is released.
        return unsafe network.withWorld { world in
            guard world.node(of: place) == world.node(of: owner) else { return nil }
            let attachment = world.ranks[place].attachments[Int(region.identifier)]
            return unsafe attachment.isLive ? world.ranks[owner].regions[Int(attachment.region)].base : nil
        }
    }

    public mutating func detach(_ region: RemoteRegion) {
        let place = place
        network.withWorld { $0.ranks[place].attachments[Int(region.identifier)].isLive = false }
    }

    // MARK: data

    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let place = place
        return try network.withWorld { (world) throws(FabricError) in try world.post(write, by: place) }
    }

    public mutating func poll() -> FabricEvent? { network.poll(place) }

    public mutating func wait(until deadline: FabricInstant) { network.wait(place, until: deadline.nanoseconds) }

    public func didTouch(byteCount: Int) {
        let place = place
        let cost = Double(byteCount) * network.options.touchNanosecondsPerByte
        if cost > 0 { network.withWorld { $0.spend(UInt64(cost), by: place) } }
    }

    /// The rank's own present: later than the world's while it computes.
    public func now() -> FabricInstant {
        let place = place
        return network.withWorld { FabricInstant(nanoseconds: max($0.clock, $0.ranks[place].busyUntil)) }
    }

    public func waker() -> Waker {
        let (network, place) = (network, place)
        return Waker {
            network.withWorld {
                $0.ranks[place].isWoken = true
                $0.notify(place)
            }
        }
    }
}

extension SimulatedNetwork {
    /// What `SimulatedFabric.endpoint` of the rank at a place is, whether or not its fabric exists yet.
    public func endpoint(of place: Int) -> [UInt8] {
        var writer = WireWriter()
        writer.append(SimulatedFabric.magic)
        writer.append(options.jobKey)
        writer.append(UInt32(options.worldSize))
        writer.append(UInt32(options.channelsPerPeer))
        writer.append(UInt32(place))
        return writer.bytes
    }
}

extension World {
    mutating func add(_ region: RegionState, to rank: Int) -> Region {
        ranks[rank].regions.append(region)
        // SAFETY: the network keeps the memory until the region is released, or its owner does.
        return unsafe Region(
            identifier: UInt32(ranks[rank].regions.count - 1), base: region.base, byteCount: region.byteCount)
    }
}
