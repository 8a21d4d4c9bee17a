public import Fabric

/// One rank's end of a simulated world: the contract of a fabric in virtual time.
///
/// Threads and blocking: see `SimulatedNetwork`. In a driven world `wait` and `close` return at once: the driver runs the rank again when there is
/// something, at the latest at the deadline that `wait` was given. Destroying the fabric unclosed is the rank's crash.
public struct SimulatedFabric: Fabric, ~Copyable {
    public let name = "simulated"
    public let deviceName = "virtual"
    public let rank: Int
    public let network: SimulatedNetwork
    public var worldSize: Int { network.options.worldSize }
    public var channelsPerPeer: Int { network.options.channelsPerPeer }
    public var writeDepth: Int { network.options.writeDepth }
    public var arrivalDepth: Int { network.options.arrivalDepth }
    public var writesCompleteAtOnce: Bool { network.options.writesCompleteAtOnce }

    /// Marks endpoints and descriptors as ours.
    fileprivate static var magic: UInt32 { 0x5EED_FAB1 }

    /// - Parameter rank: of the network's world; each is opened once.
    public init(_ network: SimulatedNetwork, rank: Int) throws(FabricError) {
        guard 0..<network.options.worldSize ~= rank else {
            throw FabricError(
                .resource, during: .open, detail: "rank \(rank) of \(network.options.worldSize)", remedy: "ranks count from 0")
        }
        self.network = network
        self.rank = rank
    }

    deinit {
        let rank = rank
        network.withWorld { $0.crash(rank) }
    }

    // MARK: peers

    public var endpoint: [UInt8] { network.endpoint(of: rank) }

    public mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        for (peer, endpoint) in peers.sorted(by: { $0.key < $1.key }) {
            try check(endpoint, of: peer)
            let rank = rank
            try network.withWorld { (world) throws(FabricError) in
                let link = world.addLinks(rank, peer)
                guard !world.links[link].isOpen else {
                    throw FabricError(.wrongPeer, during: .connect, peer: peer, detail: "connected already")
                }
                guard !world.ranks[peer].isDead else {
                    throw FabricError(.peerDied, during: .connect, peer: peer, detail: "it is gone", remedy: "see its own output")
                }
                world.links[link].isOpen = true
            }
        }
    }

    private func check(_ endpoint: [UInt8], of peer: Int) throws(FabricError) {
        var reader = WireReader(endpoint)
        guard peer != rank, 0..<worldSize ~= peer, reader.read(UInt32.self) == Self.magic,
            reader.read(UInt64.self) == network.options.jobKey, reader.read(UInt32.self) == UInt32(worldSize),
            reader.read(UInt32.self) == UInt32(channelsPerPeer), reader.read(UInt32.self) == UInt32(peer), reader.isAtEnd
        else {
            throw FabricError(
                .wrongPeer, during: .connect, peer: peer, detail: "its endpoint is not that of this rank of this job",
                remedy: "start all ranks from the same build and job")
        }
    }

    public mutating func close(deadline: FabricInstant) {
        let rank = rank
        network.withWorld { $0.close(rank) }
    }

    // MARK: memory

    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let rank = rank
        return try network.withWorld { (world) throws(FabricError) in
            let region = try world.allocate(byteCount, for: rank)
            return world.add(region, to: rank)
        }
    }

    public mutating func register(_ memory: UnsafeMutableRawPointer, byteCount: Int) throws(FabricError) -> Region? {
        guard network.options.takesCallersMemory, network.options.payload != .none else { return nil }
        let rank = rank
        // SAFETY: the caller keeps the memory until `release`, as the contract says.
        return network.withWorld { world in
            world.add(unsafe RegionState(base: memory, byteCount: byteCount, block: nil), to: rank)
        }
    }

    public mutating func release(_ region: Region) {
        let rank = rank
        network.withWorld { $0.releaseRegion(Int(region.identifier), of: rank) }
    }

    public func descriptor(of region: Region) -> [UInt8] {
        var writer = WireWriter()
        writer.append(Self.magic)
        writer.append(UInt32(rank))
        writer.append(region.identifier)
        writer.append(UInt64(region.byteCount))
        return writer.bytes
    }

    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        guard reader.read(UInt32.self) == Self.magic, reader.read(UInt32.self) == UInt32(truncatingIfNeeded: peer),
            let region = reader.read(UInt32.self), let byteCount = reader.read(UInt64.self), reader.isAtEnd
        else {
            throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "not the descriptor of a region of this rank")
        }
        let rank = rank
        return try network.withWorld { (world) throws(FabricError) in
            guard world.ranks[peer].regions.indices.contains(Int(region)), world.ranks[peer].regions[Int(region)].isLive,
                UInt64(world.ranks[peer].regions[Int(region)].byteCount) == byteCount
            else { throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "region \(region) is not there") }
            world.ranks[rank].attachments.append(
                Attachment(peer: Int32(truncatingIfNeeded: peer), region: Int32(truncatingIfNeeded: Int(region)), isLive: true))
            return RemoteRegion(
                peer: peer, identifier: UInt32(world.ranks[rank].attachments.count - 1), byteCount: Int(byteCount))
        }
    }

    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        guard rank / network.options.ranksPerMachine == region.peer / network.options.ranksPerMachine else { return nil }
        let rank = rank
        // SAFETY: the network owns the region's memory, or its owner keeps it, until it is released.
        return unsafe network.withWorld { world in
            let attachment = world.ranks[rank].attachments[Int(region.identifier)]
            return unsafe attachment.isLive ? world.ranks[region.peer].regions[Int(attachment.region)].base : nil
        }
    }

    public mutating func detach(_ region: RemoteRegion) {
        let rank = rank
        network.withWorld { $0.ranks[rank].attachments[Int(region.identifier)].isLive = false }
    }

    // MARK: data

    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        let rank = rank
        return try network.withWorld { (world) throws(FabricError) in try world.post(write, by: rank) }
    }

    public mutating func poll() -> FabricEvent? { network.poll(rank) }

    public mutating func wait(until deadline: FabricInstant) { network.wait(rank, until: deadline.nanoseconds) }

    public func didTouch(byteCount: Int) {
        let rank = rank
        let cost = Double(byteCount) * network.options.touchNanosecondsPerByte
        if cost > 0 { network.withWorld { $0.spend(UInt64(cost), by: rank) } }
    }

    /// The rank's own present: later than the world's while it computes.
    public func now() -> FabricInstant {
        let rank = rank
        return network.withWorld { FabricInstant(nanoseconds: max($0.clock, $0.ranks[rank].busyUntil)) }
    }

    public func waker() -> Waker {
        let (network, rank) = (network, rank)
        return Waker {
            network.withWorld {
                $0.ranks[rank].isWoken = true
                $0.notify(rank)
            }
        }
    }
}

extension SimulatedNetwork {
    /// What `SimulatedFabric.endpoint` of a rank is, whether or not its fabric exists yet.
    public func endpoint(of rank: Int) -> [UInt8] {
        var writer = WireWriter()
        writer.append(SimulatedFabric.magic)
        writer.append(options.jobKey)
        writer.append(UInt32(options.worldSize))
        writer.append(UInt32(options.channelsPerPeer))
        writer.append(UInt32(rank))
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
