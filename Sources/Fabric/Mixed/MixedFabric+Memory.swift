public import Fabric

extension MixedFabric where Near: ~Copyable, Far: ~Copyable {
    /// - Throws: what either fabric says; `.resource` where the far one cannot take memory that is not its own.
    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        let nearRegion = try near.allocate(byteCount: byteCount)
        // SAFETY: the near fabric keeps the memory until its own `release`, which comes after the far one's.
        if let region = unsafe try addFar(nearRegion, LentMemory(nearRegion.base, byteCount: byteCount)) { return region }
        throw FabricError(
            .resource, during: .allocate, detail: "\(far.name) takes only memory of its own, \(near.name) has it shared between processes",
            remedy: "use one of the two fabrics for all ranks")
    }

    /// Nil where either fabric cannot take such memory.
    public mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? {
        guard let nearRegion = try near.register(memory) else { return nil }
        return try addFar(nearRegion, memory)
    }

    /// Registers the near region's memory with the far fabric, too.
    /// - Returns: nil where that cannot take it; the near region is given back then.
    private mutating func addFar(_ nearRegion: Region, _ memory: LentMemory) throws(FabricError) -> Region? {
        do throws(FabricError) {
            if let farRegion = try far.register(memory) {
                regions.append((nearRegion, farRegion))
                // SAFETY: the same memory under a number of our own.
                return unsafe Region(identifier: UInt32(regions.count - 1), base: nearRegion.base, byteCount: nearRegion.byteCount)
            }
        } catch {
            near.release(nearRegion)
            throw error
        }
        near.release(nearRegion)
        return nil
    }

    public mutating func release(_ region: Region) {
        guard let pair = regions[Int(region.identifier)] else { return }
        regions[Int(region.identifier)] = nil
        // The device must have let go before the memory goes.
        far.release(pair.far)
        near.release(pair.near)
    }

    public func descriptor(of region: Region) -> [UInt8] {
        guard let pair = regions[Int(region.identifier)] else { return [] }
        return Pair(near: near.descriptor(of: pair.near), far: far.descriptor(of: pair.far)).encoded
    }

    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        guard isNear.indices.contains(peer), let pair = Pair(decoding: descriptor) else {
            throw FabricError(
                .wrongPeer, during: .attach, peer: peer, detail: "its region's descriptor is not one of this fabric",
                remedy: "run the same version and the same fabric on every rank")
        }
        let inner = isNear[peer] ? try near.attach(pair.near, of: peer) : try far.attach(pair.far, of: peer)
        remotes.append(inner)
        return RemoteRegion(peer: peer, identifier: UInt32(remotes.count - 1), byteCount: inner.byteCount)
    }

    /// The peer's memory where it is near, nil where it is far.
    // SAFETY: as for the near fabric.
    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        guard let inner = remotes[Int(region.identifier)], isNear[inner.peer] else { return nil }
        return unsafe near.address(of: inner)
    }

    public mutating func detach(_ region: RemoteRegion) {
        guard let inner = remotes[Int(region.identifier)] else { return }
        remotes[Int(region.identifier)] = nil
        if isNear[inner.peer] { near.detach(inner) } else { far.detach(inner) }
    }
}
