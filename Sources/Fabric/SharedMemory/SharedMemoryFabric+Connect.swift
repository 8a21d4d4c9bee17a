internal import CPlatform
public import Fabric

extension SharedMemoryFabric {
    /// Protocol version of the endpoint and of the control segment's layout.
    private static var version: UInt16 { 4 }

    public var endpoint: [UInt8] {
        var writer = WireWriter()
        writer.append(Self.version)
        writer.append(UInt32(rank))
        writer.append(UInt32(worldSize))
        writer.append(UInt32(channelsPerPeer))
        writer.append(getpid())
        writer.append(UInt32(control.layout.ring.depth))
        control.mapping.file?.encode(into: &writer)
        writer.append(control.pipe?.descriptor ?? -1)
        writer.append(control.pipe?.inode ?? 0)
        writer.append(configuration.link?.bitsPerSecond ?? 0)
        writer.append(configuration.link?.latencyNanoseconds ?? 0)
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
            try control.take(ringsOf: peer, peer: peer)
            try opened.control.take(ringsOf: rank, peer: peer)
            opened.control.mapping.closeFile()
            slots[peer] = self.peers.count
            self.peers.append(opened)
            for channel in 0..<channelsPerPeer {
                channels.append(
                    writer: opened.control.writer(rank: rank, channel: channel), bell: opened.control.bell,
                    reader: control.reader(rank: peer, channel: channel))
            }
        }
    }

    private func open(_ endpoint: [UInt8], of peer: Int) throws(FabricError) -> Peer {
        let claims = try check(endpoint, of: peer)
        let mapping = try SharedMapping(opening: claims.memory, of: peer, during: .connect)
        let pipe =
            claims.pipe < 0
            ? nil : try WakePipe(opening: claims.pipe, inode: claims.pipeInode, process: claims.memory.process, of: peer)
        guard let control = ControlSegment(opened: mapping, layout: control.layout, pipe: pipe) else {
            throw FabricError(.wrongPeer, during: .connect, peer: peer, detail: "its memory is not a control segment of this version")
        }
        let descriptor = platform_process_descriptor(claims.process)
        guard descriptor >= 0 else {
            throw descriptor == -ESRCH
                ? FabricError(
                    .peerDied, during: .connect, peer: peer, detail: "its process \(claims.process) is gone", remedy: "see its own output")
                : SharedMapping.resourceError(.connect, errno: -descriptor, what: "a descriptor of its process (pidfd_open)", peer: peer)
        }
        return Peer(rank: peer, control: control, processDescriptor: descriptor)
    }

    /// What an endpoint says about its rank alone.
    private struct Claims {
        /// In the PID namespace that the ranks have in common; not always the number that /proc has for it.
        var process: Int32
        var memory: MemoryFile
        /// -1 where the rank sleeps on a futex.
        var pipe: Int32
        var pipeInode: UInt64
    }

    /// Everything else in a peer's endpoint must be what ours would be in its place.
    private func check(_ endpoint: [UInt8], of peer: Int) throws(FabricError) -> Claims {
        func mismatch(_ detail: String) -> FabricError {
            FabricError(.wrongPeer, during: .connect, peer: peer, detail: detail, remedy: "start all ranks from the same build and job")
        }
        var reader = WireReader(endpoint)
        guard let version: UInt16 = reader.read(), version == Self.version else {
            throw mismatch("its endpoint is not of protocol version \(Self.version)")
        }
        guard let theirRank: UInt32 = reader.read(), let world: UInt32 = reader.read(), let channels: UInt32 = reader.read(),
            let process: Int32 = reader.read(), let depth: UInt32 = reader.read(),
            let memory = MemoryFile(from: &reader),
            let pipe: Int32 = reader.read(), let pipeInode: UInt64 = reader.read(),
            let bits: UInt64 = reader.read(), let latency: UInt64 = reader.read(), let keyLength: UInt8 = reader.read(),
            let key = reader.read(count: Int(keyLength)), reader.isAtEnd
        else { throw mismatch("its endpoint has the wrong length") }
        guard Int(theirRank) == peer, Int(world) == worldSize else {
            throw mismatch("it says that it is rank \(theirRank) of \(world), expected \(peer) of \(worldSize)")
        }
        guard Int(channels) == channelsPerPeer, Int(depth) == control.layout.ring.depth else {
            throw mismatch("it has \(channels) channels of depth \(depth), we have \(channelsPerPeer) of \(control.layout.ring.depth)")
        }
        guard bits == configuration.link?.bitsPerSecond ?? 0, latency == configuration.link?.latencyNanoseconds ?? 0 else {
            throw mismatch("it emulates another link, or none")
        }
        guard key == configuration.jobKey else { throw mismatch("it belongs to another job") }
        return Claims(process: process, memory: memory, pipe: pipe, pipeInode: pipeInode)
    }

    static func closeDescriptor(_ descriptor: Int32) { _ = CPlatform.close(descriptor) }
}
