import Fabric
import Foundation
import SharedMemoryFabric

// SAFETY (whole file): regions live until the fabric's end, and lent memory until the check's; each byte is touched by one side at a time,
// as the contract of arrivals and completions says.

/// Writes leave at the writer's next `poll` or `wait`, whatever may have been held back until then, and every ticket is covered by a
/// completion without a further write: for every number of writes up to what a channel takes.
struct ChainsCheck: ConformanceCheck {
    let worldSize = 2

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 4096, label: "region", in: world)
        let channels = fabric.channelsPerPeer
        let deepest = min(fabric.writeDepth, fabric.arrivalDepth)
        let counts = Array(1...20) + [33, deepest - 1, deepest].filter { $0 > 20 }
        var ticket: UInt64 = 0
        for (round, count) in counts.enumerated() where count <= deepest {
            if fabric.rank == 0 {
                for index in 0..<channels {
                    for number in 0..<count {
                        ticket = try fabric.write(
                            Write(
                                channel: Channel(peer: 1, index: index), source: region, sourceOffset: 0, destination: remotes[1]!,
                                destinationOffset: 0, byteCount: number % 3 == 0 ? 0 : 40 * number, immediate: UInt32(number)))
                    }
                }
                var completions: [FabricEvent] = []
                // One call of either kind, and then none until everything is there: what that call did not let go stays away.
                if round.isMultiple(of: 2) {
                    if let event = fabric.poll() { completions.append(event) }
                } else {
                    fabric.wait(until: fabric.now())
                }
                try world.barrier("arrived \(round)", rank: fabric.rank)
                try covers(ticket, from: completions, on: &fabric)
            } else {
                var arrived = Array(repeating: UInt32(0), count: channels)
                for _ in 0..<count * channels {
                    guard case .arrival(let channel, let immediate) = try fabric.next() else { throw Broken(description: "no arrival") }
                    try demand(immediate == arrived[channel.index], "\(immediate) on \(channel), wanted \(arrived[channel.index])")
                    arrived[channel.index] += 1
                }
                try world.barrier("arrived \(round)", rank: fabric.rank)
            }
            try world.barrier("covered \(round)", rank: fabric.rank)
        }
    }

    /// Waits until the completions cover `ticket` on every channel.
    private func covers<F: Fabric & ~Copyable>(_ ticket: UInt64, from first: [FabricEvent], on fabric: inout F) throws {
        var open = fabric.channelsPerPeer
        var events = first
        while open > 0 {
            let event = try events.popLast() ?? fabric.next()
            guard case .completion(let channel, let through) = event else { throw Broken(description: "\(event) is no completion") }
            try demand(through <= ticket, "\(channel) completed \(through) of \(ticket)")
            if through == ticket { open -= 1 }
        }
    }
}

/// Memory of the caller's own, where a fabric takes it: data leaves from it and arrives in it, at any alignment; its bounds hold; and after
/// `release` it is the caller's alone again. Memory of a file every fabric of real ranks takes, and the region alone keeps it mapped.
struct RegisteredCheck: ConformanceCheck {
    let worldSize = 2
    var isPooled = false
    static let byteCount = 10_001

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        var mapping = isPooled ? try SharedMapping.allocate(byteCount: Self.byteCount + 64) : nil
        weak let keeper = mapping
        let memory =
            unsafe mapping.map { unsafe UnsafeMutableRawBufferPointer(start: $0.base, count: Self.byteCount + 64) }
            ?? .allocate(byteCount: Self.byteCount + 64, alignment: 4096)
        defer { if !isPooled { unsafe memory.deallocate() } }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xEE)
        let start = isPooled ? 0 : 3 + fabric.rank
        let lent = unsafe memory.baseAddress! + start
        let registered = unsafe try fabric.register(
            mapping?.lent(byteCount: Self.byteCount) ?? LentMemory(lent, byteCount: Self.byteCount))
        guard let region = registered else { return try demand(!isPooled || fabric.name == "simulated", "memory of a file was refused") }
        mapping = nil
        try demand(unsafe region.base == lent && region.byteCount == Self.byteCount, "the region is the memory that was lent")
        let descriptors = try world.gather(fabric.descriptor(of: region), label: "lent", rank: fabric.rank)
        let peer = 1 - fabric.rank
        let remote = try fabric.attach(descriptors[peer], of: peer)
        try demand(remote.byteCount == Self.byteCount, "the peer's region is as long as what it lent")
        for offset in 0..<Self.byteCount / 2 { unsafe memory[start + offset] = UInt8(truncatingIfNeeded: offset &* 7 &+ fabric.rank) }
        func write(_ source: Int, _ destination: Int, _ count: Int) -> Write {
            Write(
                channel: Channel(peer: peer), source: region, sourceOffset: source, destination: remote, destinationOffset: destination,
                byteCount: count, immediate: 9)
        }
        do throws(FabricError) {
            _ = try fabric.write(write(1, 0, Self.byteCount))
            throw FabricError(.deviceFailed, during: .write, detail: "a write past the end of lent memory was taken")
        } catch {
            try demand(error.cause == .outOfBounds, "\(error)")
        }
        let half = Self.byteCount / 2
        let ticket = try fabric.write(write(0, half, half))
        var isThere = false
        var isCovered = false
        while !isThere || !isCovered {
            switch try fabric.next() {
            case .arrival(_, immediate: 9): isThere = true
            case .completion(_, let through): isCovered = through == ticket
            case let event: throw Broken(description: "unexpected \(event)")
            }
        }
        for offset in 0..<half {
            let wanted = UInt8(truncatingIfNeeded: offset &* 7 &+ peer)
            try demand(unsafe memory[start + half + offset] == wanted, "byte \(offset) did not arrive in the lent memory")
        }
        let outside = unsafe Array(memory[..<start]) + Array(memory[(start + Self.byteCount)...])
        try demand(outside.allSatisfy { $0 == 0xEE }, "bytes beside the lent memory were touched")
        try world.barrier("written", rank: fabric.rank)
        fabric.detach(remote)
        try world.barrier("detached", rank: fabric.rank)
        fabric.release(region)
        if isPooled { return try demand(keeper == nil, "the region has gone, and its memory is still kept") }
        try demand(unsafe memory[start + half] == UInt8(truncatingIfNeeded: peer), "the memory outlives its region")
    }
}

/// Where a fabric shows a peer's memory, its bytes are the peer's own: what is stored there is there for the peer after a write's arrival.
/// A fabric may show some peers' memory and not others'.
struct AddressesCheck: ConformanceCheck {
    let worldSize = 3

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 9000, label: "region", in: world)
        let right = (fabric.rank + 1) % worldSize
        let left = (fabric.rank + 2) % worldSize
        let shown = unsafe fabric.address(of: remotes[right]!)
        unsafe shown?.storeBytes(of: UInt8(fabric.rank + 1), toByteOffset: 8999, as: UInt8.self)
        let ticket = try fabric.write(
            Write(
                channel: Channel(peer: right), source: region, sourceOffset: 0, destination: remotes[right]!, destinationOffset: 0,
                byteCount: 0, immediate: unsafe shown == nil ? 0 : 1))
        var wasStored: Bool?
        var isCovered = false
        while wasStored == nil || !isCovered {
            switch try fabric.next() {
            case .arrival(Channel(peer: left), let immediate): wasStored = immediate == 1
            case .completion(_, let through): isCovered = through == ticket
            case let event: throw Broken(description: "unexpected \(event)")
            }
        }
        let found = unsafe region.base.load(fromByteOffset: 8999, as: UInt8.self)
        try demand(Int(found) == (wasStored == true ? left + 1 : 0), "rank \(left) stored or not (\(wasStored == true)): \(found) is there")
        unsafe region.base.storeBytes(of: 77, toByteOffset: 0, as: UInt8.self)
        try world.barrier("stored", rank: fabric.rank)
        try demand(unsafe shown == nil || shown?.load(as: UInt8.self) == 77, "the peer's own bytes are shown")
        try world.barrier("read", rank: fabric.rank)
    }
}
