import Fabric
import Foundation

/// A peer that goes without a word is reported as died, once, after what it wrote; writes to it are refused; the others go on.
struct DeathCheck: ConformanceCheck {
    let worldSize = 3

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 4096, label: "region", in: world)
        func write(to peer: Int) -> Write {
            Write(
                channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remotes[peer]!, destinationOffset: 0,
                byteCount: 8,
                immediate: UInt32(fabric.rank))
        }
        if fabric.rank == 2 {
            for peer in 0..<2 {
                let ticket = try fabric.write(write(to: peer))
                _ = try fabric.complete(ticket, on: Channel(peer: peer))
            }
            throw Dies()  // The fabric is destroyed on the way out, unclosed.
        }
        let other = 1 - fabric.rank
        let events = try fabric.collect { if case .failure = $0 { true } else { false } }
        let ofTheDead = events.filter { !isArrival($0, from: other) }
        guard ofTheDead.count == 2, isArrival(ofTheDead[0], from: 2), case .failure(let error) = ofTheDead[1] else {
            throw Broken(description: "expected rank 2's arrival and then its failure, got \(events)")
        }
        try demand(error.peer == 2 && error.cause == .peerDied, "\(error)")
        do throws(FabricError) {
            _ = try fabric.write(write(to: 2))
            throw FabricError(.deviceFailed, during: .write, detail: "a write to a dead peer was taken")
        } catch {
            try demand(error.cause == .peerDied && error.peer == 2, "\(error)")
        }
        let ticket = try fabric.write(write(to: other))
        var seen = events.filter { isArrival($0, from: other) } + (try fabric.complete(ticket, on: Channel(peer: other)))
        if !seen.contains(where: { isArrival($0, from: other) }) { seen.append(try fabric.next()) }
        try demand(seen.count == 2 && seen.contains { isArrival($0, from: other) }, "only the living peer is heard of: \(seen)")
        try world.barrier("survived", rank: fabric.rank, of: 2)
    }

    private func isArrival(_ event: FabricEvent, from peer: Int) -> Bool {
        if case .arrival(let channel, _) = event { return channel.peer == peer }
        return false
    }
}

/// Thrown by a rank that plays dead.
struct Dies: Error {}

/// A peer that closes is reported as closed, after everything that it wrote; writes to it are refused, those that it has taken are completed.
struct CloseCheck: ConformanceCheck {
    let worldSize = 2

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        let (region, remotes) = try fabric.shareRegion(byteCount: 4096, label: "region", in: world)
        let peer = 1 - fabric.rank
        let write = Write(
            channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remotes[peer]!, destinationOffset: 0,
            byteCount: 100,
            immediate: 5)
        if fabric.rank == 1 {
            for _ in 1..<5 { _ = try fabric.write(write) }
            var events = try fabric.complete(try fabric.write(write), on: Channel(peer: peer))
            while !events.contains(where: { if case .arrival = $0 { true } else { false } }) { events = [try fabric.next()] }
            fabric.close(deadline: fabric.now().advanced(milliseconds: World.patienceMilliseconds))
            return
        }
        var arrivals = 0
        while arrivals < 5 {
            guard case .arrival = try fabric.next() else { throw Broken(description: "not an arrival after \(arrivals)") }
            arrivals += 1
        }
        let ticket = try fabric.write(write)
        var (isClosed, isCompleted) = (false, fabric.writesCompleteAtOnce)
        while !isClosed || !isCompleted {
            switch try fabric.next() {
            case .completion(_, let through) where through >= ticket: isCompleted = true
            case .closed(peer: 1): isClosed = true
            case let event: throw Broken(description: "expected the leave, and the completion of what was taken before, got \(event)")
            }
        }
        do throws(FabricError) {
            _ = try fabric.write(write)
            throw FabricError(.deviceFailed, during: .write, detail: "a write to a closed peer was taken")
        } catch {
            try demand(error.cause == .peerClosed, "\(error)")
        }
    }
}

/// `wait` ends by its deadline where nothing happens, and by a waker from another thread.
struct WaitCheck: ConformanceCheck {
    let worldSize = 2

    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws {
        while fabric.poll() != nil {}
        let start = fabric.now()
        let short = start.advanced(milliseconds: 30)
        while fabric.now() < short { fabric.wait(until: short) }
        try demand(fabric.poll() == nil, "nothing happened")
        // Woken again and again, so that the order of sleeping and waking does not matter: without wakers this lasts till the deadline.
        let waker = fabric.waker()
        let thread = Thread {
            while !Thread.current.isCancelled {
                waker.wake()
                sched_yield()
            }
        }
        thread.start()
        let long = fabric.now().advanced(milliseconds: World.patienceMilliseconds)
        fabric.wait(until: long)
        thread.cancel()
        try demand(fabric.now() < long, "a waker did not end the wait")
    }
}
