import Fabric

// SAFETY (whole file): regions live until the fabric's end, which is after the check; each byte is touched by one side at a time, as the
// contract of arrivals and completions says.

private func bytes(_ region: Region) -> UnsafeMutableBufferPointer<UInt8> {
    unsafe UnsafeMutableBufferPointer(start: region.base.assumingMemoryBound(to: UInt8.self), count: region.byteCount)
}

/// Writes on a channel arrive once, in order, with their bytes and all 32 bits of immediate data; lengths from nothing to many packets.
struct OrderCheck: ConformanceCheck {
    let worldSize = 2
    static let lengths = [0, 1, 3, 64, 0, 4095, 4096, 4097, 65536, 100_003]
    static let immediates: [UInt32] = [0, .max, 0x8000_0000, 1, 0x1234_5678]

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let slot = 128 << 10
        let count = Self.lengths.count
        let (region, remotes) = try fabric.shareRegion(byteCount: slot * count * fabric.channelsPerPeer, label: "region", in: world)
        let peer = 1 - fabric.rank
        if fabric.rank == 0 {
            for index in unsafe bytes(region).indices { unsafe bytes(region)[index] = UInt8(truncatingIfNeeded: index &* 31 >> 3) }
            for round in 0..<count {
                for index in 0..<fabric.channelsPerPeer {
                    let offset = (index * count + round) * slot
                    let ticket = try fabric.write(
                        Write(
                            channel: Channel(peer: peer, index: index), source: region, sourceOffset: offset + 1,
                            destination: remotes[peer]!,
                            destinationOffset: offset + 1, byteCount: Self.lengths[round],
                            immediate: Self.immediates[round % Self.immediates.count] &+ UInt32(index)))
                    try demand(ticket == UInt64(round + 1), "tickets count from 1 on each channel, got \(ticket)")
                }
            }
            var open = fabric.channelsPerPeer
            while open > 0 {
                if case .completion(_, let through) = try fabric.next(), through == UInt64(count) { open -= 1 }
            }
        } else {
            var rounds = Array(repeating: 0, count: fabric.channelsPerPeer)
            for _ in 0..<count * fabric.channelsPerPeer {
                guard case .arrival(let channel, let immediate) = try fabric.next() else { throw Broken(description: "not an arrival") }
                let round = rounds[channel.index]
                rounds[channel.index] += 1
                try demand(channel.peer == 0, "the arrival names its sender")
                let wanted = Self.immediates[round % Self.immediates.count] &+ UInt32(channel.index)
                try demand(immediate == wanted, "immediate \(immediate), wanted \(wanted): lost, doubled or out of order")
                let start = (channel.index * count + round) * slot + 1
                for offset in start..<start + Self.lengths[round] {
                    try demand(
                        unsafe bytes(region)[offset] == UInt8(truncatingIfNeeded: offset &* 31 >> 3),
                        "byte \(offset) was not there at its arrival")
                }
                let after = start + Self.lengths[round]
                try demand(unsafe bytes(region)[after] == 0 && bytes(region)[start - 1] == 0, "bytes beside the write were touched")
            }
        }
    }
}

/// Everyone writes to everyone at once, more than the queues hold; a full queue is refused, drains, and nothing is lost.
struct PressureCheck: ConformanceCheck {
    let worldSize = 4

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let total = fabric.writeDepth * 2 + 17
        let (region, remotes) = try fabric.shareRegion(byteCount: 4096 * worldSize, label: "region", in: world)
        let peers = (0..<worldSize).filter { $0 != fabric.rank }
        var posted = Array(repeating: 0, count: worldSize)
        var completed = posted
        var arrived = posted
        while peers.contains(where: { arrived[$0] < total || completed[$0] < total }) {
            for peer in peers where posted[peer] < total {
                let write = Write(
                    channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remotes[peer]!,
                    destinationOffset: 4096 * fabric.rank, byteCount: 64, immediate: UInt32(posted[peer]))
                guard let ticket = try postUnlessFull(write, on: &fabric) else { continue }
                try demand(Int(ticket) == posted[peer] + 1, "tickets are consecutive, refused writes take none")
                posted[peer] += 1
            }
            while let event = fabric.poll() {
                switch event {
                case .arrival(let channel, let immediate):
                    try demand(Int(immediate) == arrived[channel.peer], "from \(channel): \(immediate), wanted \(arrived[channel.peer])")
                    arrived[channel.peer] += 1
                case .completion(let channel, let through):
                    try demand(
                        Int(through) > completed[channel.peer] && Int(through) <= posted[channel.peer],
                        "completions only grow, up to what was posted")
                    completed[channel.peer] = Int(through)
                default: throw Broken(description: "unexpected \(event)")
                }
            }
        }
    }
}

/// The ticket, or nil where the queue is full.
private func postUnlessFull<F: Fabric & ~Copyable>(_ write: Write, on fabric: inout F) throws -> UInt64? {
    do throws(FabricError) {
        return try fabric.write(write)
    } catch {
        if error.cause == .queueFull { return nil }
        throw error
    }
}

/// A write that leaves a region on either side is refused, nothing moves, and the channel goes on.
struct BoundsCheck: ConformanceCheck {
    let worldSize = 2

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 1000, label: "region", in: world)
        let peer = 1 - fabric.rank
        let channel = Channel(peer: peer)
        func write(_ source: Int, _ destination: Int, _ count: Int) -> Write {
            Write(
                channel: channel, source: region, sourceOffset: source, destination: remotes[peer]!, destinationOffset: destination,
                byteCount: count, immediate: 7)
        }
        if fabric.rank == 0 {
            for bad in [
                write(0, 1, 1000), write(1, 0, 1000), write(0, 0, 1001), write(-1, 0, 1), write(0, -1, 1), write(0, 0, -1),
                write(2000, 0, 0),
            ] {
                do throws(FabricError) {
                    _ = try fabric.write(bad)
                    throw FabricError(.deviceFailed, during: .write, detail: "a write outside its region was taken")
                } catch {
                    try demand(error.cause == .outOfBounds, "\(error)")
                }
            }
            let ticket = try fabric.write(write(999, 999, 1))
            try demand(ticket == 1, "refused writes take no ticket")
            _ = try fabric.complete(ticket, on: channel)
        } else {
            guard case .arrival(_, 7) = try fabric.next() else { throw Broken(description: "the good write did not arrive first") }
        }
    }
}

/// Two regions of one rank are told apart, and one given back leaves the other alone.
struct RegionsCheck: ConformanceCheck {
    let worldSize = 2

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (first, firstRemotes) = try fabric.shareRegion(byteCount: 4096, label: "first", in: world)
        let (second, secondRemotes) = try fabric.shareRegion(byteCount: 10_000, label: "second", in: world)
        let peer = 1 - fabric.rank
        let channel = Channel(peer: peer)
        try demand(unsafe bytes(second).allSatisfy { $0 == 0 }, "new memory is zero")
        fabric.detach(firstRemotes[peer]!)
        try world.barrier("detached", rank: fabric.rank)
        fabric.release(first)
        unsafe bytes(second)[5000 + fabric.rank] = 42
        _ = try fabric.write(
            Write(
                channel: channel, source: second, sourceOffset: 5000 + fabric.rank, destination: secondRemotes[peer]!,
                destinationOffset: 9999,
                byteCount: 1, immediate: 1))
        _ = try fabric.collect { if case .arrival = $0 { true } else { false } }
        try demand(unsafe bytes(second)[9999] == 42, "the byte is in the second region")
    }
}
