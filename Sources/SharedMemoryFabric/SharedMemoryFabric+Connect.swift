internal import CPlatform
public import Fabric

extension SharedMemoryFabric {
    /// Protocol version of the endpoint and of the control segment's layout.
    private static var version: UInt16 { 1 }

    public var endpoint: [UInt8] {
        var writer = WireWriter()
        writer.append(Self.version)
        writer.append(UInt32(rank))
        writer.append(UInt32(worldSize))
        writer.append(UInt32(channelsPerPeer))
        writer.append(UInt32(control.layout.depth))
        control.mapping.description.encode(into: &writer)
        writer.append(UInt8(configuration.jobKey.count))
        writer.append(configuration.jobKey)
        return writer.bytes
    }

    public mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) throws(FabricError) {
        for (peer, endpoint) in peers.sorted(by: { $0.key < $1.key }) {
            guard peer != rank, 0..<worldSize ~= peer, slots[peer] < 0 else {
                throw FabricError(.wrongPeer, during: .connect, peer: peer, detail: "connected already, or not a rank of this job")
            }
            let opened = try open(endpoint, of: peer)
            slots[peer] = self.peers.count
            self.peers.append(opened)
            posted += Array(repeating: 0, count: channelsPerPeer)
            reported += Array(repeating: 0, count: channelsPerPeer)
        }
    }

    private func open(_ endpoint: [UInt8], of peer: Int) throws(FabricError) -> Peer {
        let description = try check(endpoint, of: peer)
        let mapping = try SharedMapping(opening: description, of: peer, during: .connect)
        guard let control = ControlSegment(opened: mapping, layout: control.layout) else {
            throw FabricError(.wrongPeer, during: .connect, peer: peer, detail: "its memory is not a control segment of this version")
        }
        let process = platform_process_descriptor(description.process)
        guard process >= 0 else {
            throw FabricError(
                .peerDied, during: .connect, peer: peer, detail: "its process \(description.process) is gone (errno \(-process))")
        }
        return Peer(rank: peer, control: control, processDescriptor: process)
    }

    /// Everything in a peer's endpoint must be what ours would be in its place.
    private func check(_ endpoint: [UInt8], of peer: Int) throws(FabricError) -> SharedMapping.Description {
        func mismatch(_ detail: String) -> FabricError {
            FabricError(.wrongPeer, during: .connect, peer: peer, detail: detail, remedy: "start all ranks from the same build and job")
        }
        var reader = WireReader(endpoint)
        guard let version: UInt16 = reader.read(), version == Self.version else {
            throw mismatch("its endpoint is not of protocol version \(Self.version)")
        }
        guard let theirRank: UInt32 = reader.read(), let world: UInt32 = reader.read(), let channels: UInt32 = reader.read(),
            let depth: UInt32 = reader.read(), let description = SharedMapping.Description(from: &reader),
            let keyLength: UInt8 = reader.read(), let key = reader.read(count: Int(keyLength)), reader.isAtEnd
        else { throw mismatch("its endpoint has the wrong length") }
        guard Int(theirRank) == peer, Int(world) == worldSize else {
            throw mismatch("it says that it is rank \(theirRank) of \(world), expected \(peer) of \(worldSize)")
        }
        guard Int(channels) == channelsPerPeer, Int(depth) == control.layout.depth else {
            throw mismatch("it has \(channels) channels of depth \(depth), we have \(channelsPerPeer) of \(control.layout.depth)")
        }
        guard key == configuration.jobKey else { throw mismatch("it belongs to another job") }
        return description
    }

    // MARK: regions

    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let mapping = try SharedMapping(allocating: byteCount)
        regions.append(mapping)
        // SAFETY: `regions` keeps the mapping until `release` or the fabric's end, as the handle's contract says.
        return unsafe Region(identifier: UInt32(regions.count - 1), base: mapping.base, byteCount: byteCount)
    }

    public mutating func release(_ region: Region) { regions[Int(region.identifier)] = nil }

    public func descriptor(of region: Region) -> [UInt8] {
        guard let mapping = regions[Int(region.identifier)] else { return [] }
        var writer = WireWriter()
        writer.append(UInt64(region.byteCount))
        mapping.description.encode(into: &writer)
        return writer.bytes
    }

    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        guard let byteCount: UInt64 = reader.read(), let description = SharedMapping.Description(from: &reader), reader.isAtEnd,
            byteCount <= description.byteCount
        else { throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "its region's descriptor is malformed") }
        attachments.append(try SharedMapping(opening: description, of: peer, during: .attach))
        return RemoteRegion(peer: peer, identifier: UInt32(attachments.count - 1), byteCount: Int(byteCount))
    }

    /// Nil: a peer can only map what has a file behind it.
    public mutating func register(_ memory: UnsafeMutableRawPointer, byteCount: Int) throws(FabricError) -> Region? { nil }

    // SAFETY: the mapping is held by the table until `detach`, as the contract says.
    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? { unsafe attachments[Int(region.identifier)]?.base }

    public mutating func detach(_ region: RemoteRegion) { attachments[Int(region.identifier)] = nil }

    static func closeDescriptor(_ descriptor: Int32) { _ = CPlatform.close(descriptor) }
}
