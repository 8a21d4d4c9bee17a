public import Fabric
import Verbs

extension VerbsFabric {
    /// Pins whole pages, all of them touched: allocate at set-up, not between steps.
    /// - Throws: `.resource` with the remedy where the limit of locked memory is too low.
    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        guard byteCount >= 0 else { fatalError("VerbsFabric.allocate: byteCount \(byteCount) is negative") }
        let pieces = configuration.limits.pieces
        return try add { (domain) throws(VerbsError) in try MemoryRegion(in: domain, byteCount: byteCount, pieces: pieces) }
    }

    /// Pins the memory where it is: no copy on the way. The device that does it is this rank's own, so it serves mappings of any
    /// origin, those that other processes share included. Takes time in proportion to the pages: at set-up, not between steps.
    /// - Throws: `.resource` with the remedy where the limit of locked memory is too low.
    public mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? {
        guard memory.byteCount >= 0 else { fatalError("VerbsFabric.register: byteCount \(memory.byteCount) is negative") }
        let pieces = configuration.limits.pieces
        // SAFETY: the memory stays mapped until `release`, because of its keeper or by its owner's promise.
        return try add { (domain) throws(VerbsError) in
            unsafe try MemoryRegion(in: domain, lent: memory.base, byteCount: memory.byteCount, keeper: memory.keeper, pieces: pieces)
        }
    }

    /// Makes a region on the first device, and registers its memory with the others.
    private mutating func add(_ make: (ProtectionDomain) throws(VerbsError) -> MemoryRegion) throws(FabricError) -> Region {
        let (devices, pieces) = (devices, configuration.limits.pieces)
        let owners = try wrapping(.allocate) { () throws(VerbsError) in
            var owners = [try make(devices[0].domain)]
            for device in devices.dropFirst() { owners.append(try MemoryRegion(in: device.domain, sharing: owners[0], pieces: pieces)) }
            return owners
        }
        let owner = owners[0]
        let identifier = UInt32(regions.count)
        // Where one device takes it in pieces only, all have a key for each.
        let exponent = owners.map(\.strideExponent).min() ?? RegistrationPieces.wholeExponent
        // SAFETY: the owner is kept in the table beside the entry, and both end in `release`.
        unsafe regions.append(
            LocalRegionEntry(
                base: UnsafeRawPointer(owner.base), byteCount: owner.byteCount, firstKey: localKeys.count, strideExponent: exponent))
        for piece in 0..<RegistrationPieces.count(byteCount: owner.byteCount, strideExponent: exponent) {
            localKeys += owners.map { $0.localKey(piece) }
        }
        regionOwners.append(owners)
        return unsafe Region(identifier: identifier, base: owner.base, byteCount: owner.byteCount)
    }

    public mutating func release(_ region: Region) {
        let index = indexOfRegion(region, in: "release")
        regions[index].isLive = false
        regionOwners[index] = []
    }

    public func descriptor(of region: Region) -> [UInt8] {
        let index = indexOfRegion(region, in: "descriptor")
        // SAFETY: a number for the peer's devices, not followed here.
        let address = UInt64(UInt(bitPattern: unsafe regions[index].base))
        let (byteCount, exponent) = (regions[index].byteCount, regions[index].strideExponent)
        let owners = regionOwners[index]
        let keys = (0..<RegistrationPieces.count(byteCount: byteCount, strideExponent: exponent)).flatMap { piece in
            owners.map { $0.remoteKey(piece) }
        }
        return RegionDescriptor(address: address, byteCount: byteCount, strideExponent: exponent, keys: keys).encoded
    }

    /// - Throws: `.wrongPeer` where the descriptor is not one.
    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        guard peers.indices.contains(peer), peer != rank else { fatalError("VerbsFabric.attach: rank \(peer) is not a peer") }
        guard let decoded = RegionDescriptor(decoding: descriptor), decoded.isComplete(devices: devices.count) else {
            throw FabricError(
                .wrongPeer, during: .attach, peer: peer,
                detail: "a region's descriptor of \(descriptor.count) bytes is not one of this fabric",
                remedy: "run the same version, the same fabric and as many devices on every rank")
        }
        let identifier = UInt32(remotes.count)
        remotes.append(
            RemoteRegionEntry(
                peer: peer, address: decoded.address, byteCount: decoded.byteCount, firstKey: remoteKeys.count,
                strideExponent: decoded.strideExponent))
        remoteKeys += decoded.keys
        return RemoteRegion(peer: peer, identifier: identifier, byteCount: decoded.byteCount)
    }

    /// Nil: only the device reaches a peer's memory.
    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? { nil }

    public mutating func detach(_ region: RemoteRegion) {
        let index = Int(region.identifier)
        guard remotes.indices.contains(index), remotes[index].isLive else {
            fatalError("VerbsFabric.detach: region \(index) is not attached")
        }
        remotes[index].isLive = false
    }

    private func indexOfRegion(_ region: Region, in caller: String) -> Int {
        let index = Int(region.identifier)
        guard regions.indices.contains(index), regions[index].isLive else {
            fatalError("VerbsFabric.\(caller): region \(index) is not one of this fabric's, or was released")
        }
        return index
    }
}
