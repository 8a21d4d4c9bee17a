public import Fabric
import Verbs

extension VerbsFabric {
    /// Pins whole pages, all of them touched: allocate at set-up, not between steps.
    /// - Throws: `.resource` with the remedy where the limit of locked memory is too low.
    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        guard byteCount >= 0 else { fatalError("VerbsFabric.allocate: byteCount \(byteCount) is negative") }
        let domain = domain
        return add(try wrapping(.allocate) { () throws(VerbsError) in try MemoryRegion(in: domain, byteCount: byteCount) })
    }

    /// Pins the caller's memory where it is: no copy on the way. The device that does it is this rank's own, so it serves mappings of any
    /// origin, those that other processes share included. Takes time in proportion to the pages: at set-up, not between steps.
    /// - Throws: `.resource` with the remedy where the limit of locked memory is too low.
    public mutating func register(_ memory: UnsafeMutableRawPointer, byteCount: Int) throws(FabricError) -> Region? {
        guard byteCount >= 0 else { fatalError("VerbsFabric.register: byteCount \(byteCount) is negative") }
        let domain = domain
        // SAFETY: the caller keeps the memory mapped until `release`.
        return add(
            try wrapping(.allocate) { () throws(VerbsError) in
                unsafe try MemoryRegion(in: domain, lent: memory, byteCount: byteCount)
            })
    }

    private mutating func add(_ owner: MemoryRegion) -> Region {
        let identifier = UInt32(regions.count)
        // SAFETY: the owner is kept in the table beside the entry, and both end in `release`.
        unsafe regions.append(LocalRegionEntry(base: UnsafeRawPointer(owner.base), byteCount: owner.byteCount, key: owner.localKey))
        regionOwners.append(owner)
        return unsafe Region(identifier: identifier, base: owner.base, byteCount: owner.byteCount)
    }

    public mutating func release(_ region: Region) {
        let index = indexOfRegion(region, in: "release")
        regions[index].isLive = false
        regionOwners[index] = nil
    }

    public func descriptor(of region: Region) -> [UInt8] {
        let index = indexOfRegion(region, in: "descriptor")
        guard let owner = regionOwners[index] else { fatalError("VerbsFabric.descriptor: region \(index) without memory") }
        let address = UInt64(UInt(bitPattern: unsafe owner.base))  // SAFETY: a number for the peer's device, not followed here.
        return RegionDescriptor(address: address, byteCount: owner.byteCount, key: owner.remoteKey).encoded
    }

    /// - Throws: `.wrongPeer` where the descriptor is not one.
    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        guard peers.indices.contains(peer), peer != rank else { fatalError("VerbsFabric.attach: rank \(peer) is not a peer") }
        guard let decoded = RegionDescriptor(decoding: descriptor) else {
            throw FabricError(
                .wrongPeer, during: .attach, peer: peer,
                detail: "a region's descriptor of \(descriptor.count) bytes is not one of this fabric",
                remedy: "run the same version and the same fabric on every rank")
        }
        let identifier = UInt32(remotes.count)
        remotes.append(RemoteRegionEntry(peer: peer, address: decoded.address, byteCount: decoded.byteCount, key: decoded.key))
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
