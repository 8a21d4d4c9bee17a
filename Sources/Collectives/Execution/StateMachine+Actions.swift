internal import Reduction

// SAFETY (whole file): the fabric owns all regions as long as the executor lives, and keeps the peers' mappings; an operation's ranges were checked
// at submission, slots lie in the receive buffers by its layout; and the schedule does nothing before a message said that it may.
extension StateMachine {
    mutating func perform(_ action: Action, _ lane: Int) {
        let size = lanes[lane].operation.type.byteCount
        let isStreaming = lanes[lane].isStreaming
        guard isCarriedOut(action, size) else { return }
        switch action {
        case .copy(let from, let to, let count):
            unsafe Kernels.copy(
                from: UnsafeRawPointer(pointer(from, lane)), to: pointer(to, lane), byteCount: count * size, streaming: isStreaming)
        case .spread(let source, let start, let exception, let count):
            unsafe spread(UnsafeRawPointer(pointer(source, lane)), to: start, except: exception, byteCount: count * size, lane)
        case .fold(let fold): perform(fold, lane, isStreaming: isStreaming)
        case .encode, .decode, .addUp: performEncoded(action, lane)
        }
    }

    /// Piece by piece, so that it is read once, and from the nearest cache for every further output.
    private mutating func spread(_ source: UnsafeRawPointer, to start: Int, except exception: Int?, byteCount: Int, _ lane: Int) {
        let topology = settings.topology
        let node = topology.node(of: rank)
        for piece in stride(from: 0, to: byteCount, by: Self.spreadPieceBytes) {
            let pieceBytes = min(Self.spreadPieceBytes, byteCount - piece)
            for local in 0..<topology.size(ofNode: node) {
                let peer = topology.rank(local, ofNode: node)
                if peer == exception { continue }
                let output = unsafe pointer(peer == rank ? .output(start) : .peerOutput(start, rank: peer), lane)
                unsafe Kernels.copy(
                    from: source + piece, to: output + piece, byteCount: pieceBytes, streaming: lanes[lane].isStreaming)
            }
        }
    }

    /// What a second-level cache holds beside what is stored, and long enough for stores past the caches.
    private static var spreadPieceBytes: Int { 64 << 10 }

    mutating func perform(_ combination: Move.Combination, _ lane: Int) {
        unsafe Kernels.combine(
            lanes[lane].operation.reduction, lanes[lane].operation.type, combination.left, combination.right, into: combination.target,
            count: combination.count, averaging: combination.averaging)
    }

    /// What a fold of two arrays into one comes to; nil for others, and in simulations.
    mutating func combination(of fold: Fold, _ lane: Int) -> Move.Combination? {
        let isPair = if case .pair = fold.sources { true } else { false }
        guard case .location(let target) = fold.target, fold.count > 0, settings.simulation == nil,
            isPair || !lanes[lane].isStreaming, gather(fold.sources, lane) == 2
        else { return nil }
        return unsafe Move.Combination(
            left: scratch.sources[0], right: scratch.sources[1], target: pointer(target, lane), count: fold.count,
            averaging: averaging(of: fold))
    }

    private mutating func averaging(of fold: Fold) -> Averaging {
        Averaging(ranks: worldSize, partials: isMutated(.unscaledParts) ? .max : fold.partials, isFinal: fold.isFinal)
    }

    private mutating func perform(_ fold: Fold, _ lane: Int, isStreaming: Bool) {
        guard fold.count > 0 else { return }
        let operation = lanes[lane].operation
        let sources = gather(fold.sources, lane)
        let destinations = gather(fold.target, lane)
        unsafe Kernels.reduce(
            operation.reduction, operation.type, sources: UnsafeBufferPointer(rebasing: scratch.sources[..<sources]),
            destinations: UnsafeBufferPointer(rebasing: scratch.destinations[..<destinations]), count: fold.count,
            averaging: averaging(of: fold), streaming: isStreaming)
    }

    /// Puts the addresses of a fold's sources into the scratch list.
    /// - Returns: how many.
    private mutating func gather(_ sources: Fold.Sources, _ lane: Int) -> Int {
        let topology = settings.topology
        var count = 0
        func add(_ address: UnsafeMutableRawPointer) {
            unsafe scratch.sources[count] = UnsafeRawPointer(address)
            count += 1
        }
        switch sources {
        case .pair(let left, let right):
            unsafe add(pointer(left, lane))
            unsafe add(pointer(right, lane))
        case .node(let partial, let start, let first):
            if let partial { unsafe add(pointer(partial, lane)) }
            let node = topology.node(of: rank)
            let ranks = topology.size(ofNode: node)
            for turn in 0..<ranks {
                let peer = topology.rank((first + turn) % ranks, ofNode: node)
                unsafe add(pointer(peer == rank ? .input(start) : .peerInput(start, rank: peer), lane))
            }
        case .eager(let first, let start, let inputStart):
            for turn in 0..<worldSize {
                let peer = (first + turn) % worldSize
                unsafe add(peer == rank ? pointer(.input(inputStart), lane) : eagerPointer(peer, start, lane))
            }
        case .eagerNodes(let first, let start):
            for turn in 0..<topology.nodeCount {
                let node = (first + turn) % topology.nodeCount
                for local in 0..<topology.size(ofNode: node) {
                    let peer = topology.rank(local, ofNode: node)
                    unsafe add(peer == rank ? pointer(.input(start), lane) : eagerPointer(peer, start, lane))
                }
            }
        case .inputAndSlots(let start, let slots):
            unsafe add(pointer(.input(start), lane))
            for slot in slots { unsafe add(pointer(.gated(slot: slot), lane)) }
        case .slotsAndInput(let slots, let start):
            for slot in slots { unsafe add(pointer(.gated(slot: slot), lane)) }
            unsafe add(pointer(.input(start), lane))
        }
        return count
    }

    private mutating func gather(_ target: Fold.Target, _ lane: Int) -> Int {
        switch target {
        case .location(let location):
            unsafe scratch.destinations[0] = pointer(location, lane)
            return 1
        case .node(let start):
            let node = settings.topology.node(of: rank)
            let ranks = settings.topology.size(ofNode: node)
            for local in 0..<ranks {
                let peer = settings.topology.rank(local, ofNode: node)
                unsafe scratch.destinations[local] = pointer(peer == rank ? .output(start) : .peerOutput(start, rank: peer), lane)
            }
            return ranks
        }
    }

    private mutating func eagerPointer(_ peer: Int, _ start: Int, _ lane: Int) -> UnsafeMutableRawPointer {
        unsafe pointer(.eager(rank: peer), lane) + start * lanes[lane].operation.type.byteCount
    }

    mutating func pointer(_ location: Location, _ lane: Int) -> UnsafeMutableRawPointer {
        let operation = lanes[lane].operation
        let size = operation.type.byteCount
        switch location {
        case .input(let start): return unsafe buffers[operation.input.buffer.index].region.base + lanes[lane].inputOffset + start * size
        case .output(let start): return unsafe buffers[operation.output.buffer.index].region.base + lanes[lane].outputOffset + start * size
        case .gated(let slot): return unsafe buffers[0].region.base + gatedOffset(lane, slot)
        case .gatedElement(let element): return unsafe buffers[0].region.base + gatedOffset(lane, 0) + element * size
        case .eager(let rank): return unsafe buffers[0].region.base + eagerOffset(lane, rank: rank)
        case .encoded(let byte): return unsafe buffers[0].region.base + encodedOffset(lane, byte)
        case .peerInput(let start, let peer):
            let offset = operation.input.byteOffset + (operation.extents(worldSize: worldSize).input(of: peer).lowerBound + start) * size
            return unsafe mapped(operation.input, peer, lane) + offset
        case .peerOutput(let start, let peer):
            let offset = operation.output.byteOffset + (operation.extents(worldSize: worldSize).output(of: peer).lowerBound + start) * size
            return unsafe mapped(operation.output, peer, lane) + offset
        }
    }

    private mutating func mapped(_ place: Place, _ peer: Int, _ lane: Int) -> UnsafeMutableRawPointer {
        invariant(!lanes[lane].operation.isPrivate, "peers reach nothing of private memory")
        guard let address = unsafe buffers[place.buffer.index].mapped[Int(positions[peer])] else {
            invariantFailure("ranks of one node see each other's memory")
        }
        return unsafe address
    }
}
