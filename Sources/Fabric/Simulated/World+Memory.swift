internal import Fabric

// SAFETY (whole file): the network owns every block from `allocate` to `release` or its own end; memory that was registered is its owner's, who keeps
// it until `release`. Offsets were checked against the regions when the write was posted, and regions given back are caught before they are touched.

extension World {
    /// Bytes on either side of a region that nobody may touch; checked at the region's end.
    private static var guardBytes: Int { 64 }
    private static var guardByte: UInt8 { 0xA5 }
    private static var page: Int { 4096 }

    // MARK: regions

    mutating func allocate(_ byteCount: Int, for rank: Int) throws(FabricError) -> RegionState {
        guard byteCount >= 0 else { throw FabricError(.resource, during: .allocate, detail: "\(byteCount) bytes") }
        if options.payload == .none {
            if scratch == nil { scratch = Scratch(byteCount: options.scratchByteLimit) }
            guard let scratch, byteCount <= options.scratchByteLimit else {
                throw FabricError(
                    .resource, during: .allocate, detail: "\(byteCount) bytes of scratch memory of \(options.scratchByteLimit)",
                    remedy: "raise scratchByteLimit")
            }
            return unsafe RegionState(base: scratch.base, byteCount: byteCount, block: nil)
        }
        let tail = options.isChecking ? Self.guardBytes : 0
        let head = options.isChecking ? Self.page : 0
        let block = UnsafeMutableRawPointer.allocate(byteCount: head + max(1, byteCount) + tail, alignment: Self.page)
        unsafe block.initializeMemory(as: UInt8.self, repeating: Self.guardByte, count: head)
        unsafe (block + head).initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
        unsafe (block + head + byteCount).initializeMemory(as: UInt8.self, repeating: Self.guardByte, count: tail)
        return unsafe RegionState(base: block + head, byteCount: byteCount, block: block)
    }

    mutating func releaseRegion(_ index: Int, of rank: Int) {
        guard ranks[rank].regions.indices.contains(index), ranks[rank].regions[index].isLive else { return }
        if options.isChecking {
            checkReleasing(index, of: rank)
            checkGuards(index, of: rank)
        }
        ranks[rank].regions[index].isLive = false
        ranks[rank].regions[index].keeper = nil
        if let block = unsafe ranks[rank].regions[index].block { unsafe block.deallocate() }
    }

    /// Whether the bytes beside a region are as they were.
    mutating func checkGuards(_ index: Int, of rank: Int) {
        let region = ranks[rank].regions[index]
        guard region.isLive, let block = unsafe region.block else { return }
        let before = unsafe UnsafeRawBufferPointer(start: block + Self.page - Self.guardBytes, count: Self.guardBytes)
        let after = unsafe UnsafeRawBufferPointer(start: region.base + region.byteCount, count: Self.guardBytes)
        if unsafe before.contains(where: { $0 != Self.guardByte }) || after.contains(where: { $0 != Self.guardByte }) {
            violate(.besideRegion, rank: rank, "bytes beside region \(index) of \(region.byteCount) bytes were changed")
        }
    }

    func deallocateAll() {
        for rank in ranks.indices {
            for index in ranks[rank].regions.indices where ranks[rank].regions[index].isLive {
                if let block = unsafe ranks[rank].regions[index].block { unsafe block.deallocate() }
            }
        }
    }

    // MARK: bytes

    /// Carries a write's bytes, once.
    mutating func placeBytes(of id: Int) {
        guard options.payload != .none, !messages[id].isPlaced else { return }
        messages[id].isPlaced = true
        let count = messages[id].byteCount
        guard count > 0 else { return }
        let link = links[Int(flows[Int(messages[id].owner)].link)]
        if options.isChecking, !mayPlace(id, from: Int(link.rank), to: Int(link.peer)) { return }
        let source = unsafe ranks[Int(link.rank)].regions[Int(messages[id].sourceRegion)].base + messages[id].sourceOffset
        let target = unsafe ranks[Int(link.peer)].regions[Int(messages[id].destinationRegion)].base + messages[id].destinationOffset
        unsafe target.copyMemory(from: source, byteCount: count)
        let host = Int(ranks[Int(link.peer)].host)
        if ranks[host].flips > 0 {
            ranks[host].flips -= 1
            let bit = random.below(8 * count)
            let place = unsafe target + bit / 8
            let byte = unsafe place.load(as: UInt8.self)
            unsafe place.storeBytes(of: byte ^ 1 << UInt8(bit % 8), as: UInt8.self)
        }
    }

    /// Of a write's source as it is now.
    func checksum(of id: Int, by rank: Int) -> UInt64 {
        let source = unsafe ranks[rank].regions[Int(messages[id].sourceRegion)].base + messages[id].sourceOffset
        return unsafe checksum(UnsafeRawBufferPointer(start: source, count: messages[id].byteCount))
    }

    private func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
            offset += 8
        }
        while offset < bytes.count {
            hash = (hash ^ UInt64(unsafe bytes[offset])) &* 0x100_0000_01b3
            offset += 1
        }
        return hash
    }
}
