public import Fabric

/// A region of ours or of a peer's, as the data path needs it: no reference to count. The mapping is held beside it.
// SAFETY: `base` is good as long as the fabric's table holds the mapping; a region given back leaves no bytes here.
@safe
struct MappedMemory {
    var base: UnsafeMutableRawPointer?
    var byteCount: Int
    /// The region's number in its owner's table.
    var ownersNumber: UInt32
    /// Whether peers may write into it.
    var isTarget = true

    static var none: MappedMemory { unsafe MappedMemory(base: nil, byteCount: -1, ownersNumber: 0) }

    /// The range's first byte, or nil where the range leaves the memory.
    @inline(__always)
    func address(offset: Int, byteCount: Int) -> UnsafeMutableRawPointer? {
        guard let base = unsafe base, byteCount >= 0, offset >= 0, offset <= self.byteCount - byteCount else { return nil }
        return unsafe base + offset
    }
}

extension SharedMemoryFabric {
    public mutating func allocate(byteCount: Int) throws(FabricError) -> Region {
        add(try SharedMapping.allocate(byteCount: byteCount).lent(byteCount: byteCount))
    }

    /// Nil where no file is behind the memory, by which peers map it; a rank without peers takes any.
    public mutating func register(_ memory: LentMemory) throws(FabricError) -> Region? {
        memory.file != nil || worldSize == 1 ? add(memory) : nil
    }

    /// A write over an emulated link is on its way for longer than its source stays as it is.
    public mutating func registerSource(_ memory: LentMemory) -> Region? { isLinked ? nil : add(memory, isTarget: false) }

    private mutating func add(_ memory: LentMemory, isTarget: Bool = true) -> Region {
        let identifier = UInt32(regions.count)
        regions.append(memory)
        // SAFETY: `regions` holds the memory's keeper until `release` or the fabric's end, as the handle's contract says.
        unsafe regionMemory.append(
            MappedMemory(base: memory.base, byteCount: memory.byteCount, ownersNumber: identifier, isTarget: isTarget))
        return unsafe Region(identifier: identifier, base: memory.base, byteCount: memory.byteCount)
    }

    public mutating func release(_ region: Region) {
        regionMemory[Int(region.identifier)] = .none
        regions[Int(region.identifier)] = nil
    }

    public func descriptor(of region: Region) -> [UInt8] {
        guard let memory = regions[Int(region.identifier)] else { return [] }
        var writer = WireWriter()
        writer.append(region.identifier)
        writer.append(UInt64(region.byteCount))
        memory.file?.encode(into: &writer)
        return writer.bytes
    }

    public mutating func attach(_ descriptor: [UInt8], of peer: Int) throws(FabricError) -> RemoteRegion {
        var reader = WireReader(descriptor)
        guard let number: UInt32 = reader.read(), let byteCount: UInt64 = reader.read(),
            let file = MemoryFile(from: &reader), reader.isAtEnd, byteCount <= file.byteCount
        else { throw FabricError(.wrongPeer, during: .attach, peer: peer, detail: "its region's descriptor is malformed") }
        let mapping = try SharedMapping(opening: file, of: peer, during: .attach)
        try mapping.takeAll(during: .attach, peer: peer)
        mapping.closeFile()
        attachments.append(mapping)
        // SAFETY: `attachments` keeps the mapping until `detach`.
        unsafe attachedMemory.append(MappedMemory(base: mapping.base, byteCount: Int(byteCount), ownersNumber: number))
        return RemoteRegion(peer: peer, identifier: UInt32(attachments.count - 1), byteCount: Int(byteCount))
    }

    // SAFETY: the mapping is held by the table until `detach`, as the contract says.
    @unsafe
    public func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? {
        isLinked ? nil : unsafe attachedMemory[Int(region.identifier)].base
    }

    public mutating func detach(_ region: RemoteRegion) {
        attachedMemory[Int(region.identifier)] = .none
        attachments[Int(region.identifier)] = nil
    }
}
