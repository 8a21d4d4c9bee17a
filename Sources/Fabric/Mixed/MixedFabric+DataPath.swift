internal import CPlatform
public import Fabric

extension MixedFabric where Near: ~Copyable, Far: ~Copyable {
    public mutating func write(_ write: Write) throws(FabricError) -> UInt64 {
        guard isNear.indices.contains(write.channel.peer), let source = regions[Int(write.source.identifier)],
            let destination = remotes[Int(write.destination.identifier)]
        else { throw Self.refusal(write) }
        var inner = write
        inner.destination = destination
        holdsWrites = true
        if isNear[write.channel.peer] {
            inner.source = source.near
            return try near.write(inner)
        }
        inner.source = source.far
        return try far.write(inner)
    }

    @inline(never)
    private static func refusal(_ write: Write) -> FabricError {
        FabricError(
            .outOfBounds, during: .write, peer: write.channel.peer, detail: "a region that was given back, or no rank of this job")
    }

    /// Asks the two in turn, so that neither keeps the other from being heard.
    public mutating func poll() -> FabricEvent? {
        flush()
        asksFarFirst.toggle()
        if asksFarFirst {
            if let event = far.poll() { return event }
            return near.poll()
        }
        if let event = near.poll() { return event }
        return far.poll()
    }

    /// One of the two may have an event, and the other hold writes back until it is asked.
    @inline(__always)
    public mutating func flush() {
        guard holdsWrites else { return }
        holdsWrites = false
        near.flush()
        far.flush()
    }

    public mutating func wait(until deadline: FabricInstant) {
        flush()
        if near.isAwaited() || far.isAwaited() { return }
        for _ in 0..<configuration.waits.spins where near.isAwaited() || far.isAwaited() { return }
        for _ in 0..<configuration.waits.yields {
            platform_yield()
            if near.isAwaited() || far.isAwaited() { return }
        }
        let start = now()
        guard deadline > start, near.prepareToSleep() else { return }
        if far.prepareToSleep() {
            // What happened is asked of the fabrics, not of the descriptors.
            let longest = min(near.longestSleepMilliseconds, far.longestSleepMilliseconds)
            sleepers.wait(nanoseconds: min(longest * 1_000_000, deadline.since(start)))
            far.rise()
        }
        near.rise()
    }
}
