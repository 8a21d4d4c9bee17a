public import Fabric
internal import Foundation

/// The world that simulated fabrics live in: virtual clock, event queue, nodes, wires and memory, all from one seed.
///
/// *Driven* (the usual way): one thread asks `advance` which rank is to run, lets that rank's program take its events, and asks again. Nothing
/// blocks; the fabrics' `wait` only sets an alarm. The same options, faults and calls give the same events, byte for byte.
///
/// *Threaded*: each rank is a thread that calls its fabric as it would any other; `wait` blocks. A lock keeps them apart, whoever has nothing to do
/// lets time pass, and the clock never falls behind the real one, so that deadlines come. Not reproducible, since the system's scheduler takes
/// part: it is there so that the simulated fabric can be held to the same promises as the others.
///
/// *Scheduled*: each rank is a thread as well, but a scheduler that the caller hands in lets one of them run at a time and says when time passes:
/// reproducible, for programs of several threads a rank.
///
/// Memory: some 350 bytes a rank, 600 a channel of a connected pair (both directions) and 150 a write in flight, and the regions.
// Sendable without the compiler's proof: `world` is touched under `turn` where threads share it, and by the driver's thread alone otherwise.
public final class SimulatedNetwork: @unchecked Sendable {
    public enum Driving: Sendable {
        case driven, threaded
        case scheduled(any FabricScheduler)
    }

    var world: World
    let options: SimulationOptions
    private let turn: NSCondition?
    private let scheduler: (any FabricScheduler)?
    private let birth = DispatchTime.now().uptimeNanoseconds

    /// Longest sleep of a waiting thread before it looks again: a bound, not a rhythm.
    private static let longestSleepSeconds = 0.05

    /// - Parameter faults: in any order; for ranks of the world.
    public init(_ options: SimulationOptions, faults: [Fault] = [], driving: Driving = .driven) {
        self.options = options
        world = World(options: options, faults: faults)
        turn = if case .threaded = driving { NSCondition() } else { nil }
        scheduler = if case .scheduled(let scheduler) = driving { scheduler } else { nil }
    }

    deinit { world.deallocateAll() }

    /// Ranks of the world, members of groups not counted.
    public var worldSize: Int { options.worldSize }

    // MARK: driving

    /// Lets time pass until a rank has something to do.
    /// - Returns: that rank's place (`SimulatedFabric.place`), whose program is to take events until there are none; nil where nothing happens any more
    ///   before `limit`, or a promise was broken.
    public func advance(until limit: FabricInstant = .distantFuture) -> Int? { world.advance(until: limit.nanoseconds) }

    /// The ranks that the next two events concern, as far as can be foreseen: for a driver of thousands, to fetch their memory in time.
    public var comingRanks: (first: Int?, second: Int?) {
        (world.queue.next.map { world.rank(concernedBy: $0) }, world.queue.second.map { world.rank(concernedBy: $0) })
    }

    /// Where the members of a group stand among all: group g is `options.groups[g]`, nil the world.
    public func places(ofGroup group: Int?) -> Range<Int> {
        guard let group else { return 0..<options.worldSize }
        let first = options.groups[..<group].reduce(options.worldSize) { $0 + $1.members.count }
        return first..<first + options.groups[group].members.count
    }

    /// What reports call the rank at a place.
    public func name(ofPlace place: Int) -> String { world.name(ofRank: place) }

    /// Lets the rank at a place run at this time even if nothing happens to it.
    public func setAlarm(place: Int, at time: FabricInstant) { world.setAlarm(place, at: time.nanoseconds) }

    /// Scheduled: lets everything happen up to this time, which becomes the present.
    public func pass(to time: UInt64) {
        while let next = world.queue.next?.time, next <= time {
            world.step()
            world.runnableCount = 0
        }
        world.clock = max(world.clock, time)
    }

    /// Scheduled: when the next thing happens.
    public var nextTime: UInt64? { world.queue.next?.time }

    /// Scheduled: whether a thread that waits at this place is to go on.
    public func isReady(place: Int) -> Bool { world.ranks[place].readyHead != none || world.ranks[place].isWoken }

    /// The present of the whole world; a rank's own may be later, see `SimulatedFabric.now`.
    public var now: FabricInstant { FabricInstant(nanoseconds: world.clock) }

    /// Whether the rank at a place has neither died nor taken leave.
    public func isAlive(place: Int) -> Bool { !world.ranks[place].isDead && !world.ranks[place].isClosed }

    /// How many events have happened.
    public var eventCount: Int { world.eventCount }

    // MARK: checking

    /// The first broken promise; nothing happens after it.
    public var violation: Violation? { world.violation }

    /// The last events, one line each; the oldest first.
    public var trace: [String] { world.trace.lines(names: world.names) }

    /// A hash of all events since the beginning, and how many there were.
    public var fingerprint: UInt64 { world.trace.fingerprint }

    /// Says that a part of a region of the rank at a place is the trainer's: no write may start from it or go to it until `disclaim`.
    public func claim(place: Int, region: Region, range: Range<Int>) {
        world.ranks[place].claims.append(Claim(region: Int32(truncatingIfNeeded: Int(region.identifier)), range: range))
    }

    public func disclaim(place: Int, region: Region, range: Range<Int>) {
        let claim = Claim(region: Int32(truncatingIfNeeded: Int(region.identifier)), range: range)
        if let known = world.ranks[place].claims.firstIndex(of: claim) { world.ranks[place].claims.remove(at: known) }
    }

    /// Looks at the bytes beside every region, and lists what is still under way between living ranks: nothing, once everyone is done.
    public func leftovers() -> [String] {
        for rank in world.ranks.indices {
            for index in world.ranks[rank].regions.indices { world.checkGuards(index, of: rank) }
        }
        return world.leftovers()
    }

    // MARK: for the fabrics

    /// The world, to one thread at a time.
    @inline(__always)
    func withWorld<R, E: Error>(_ body: (inout World) throws(E) -> R) throws(E) -> R {
        guard let turn else { return try body(&world) }
        turn.lock()
        defer {
            turn.broadcast()
            turn.unlock()
        }
        world.clock = max(world.clock, DispatchTime.now().uptimeNanoseconds - birth)
        return try body(&world)
    }

    func poll(_ rank: Int) -> FabricEvent? {
        scheduler?.point()
        guard turn != nil else { return world.poll(rank) }
        return withWorld { world in
            if let event = world.poll(rank) { return event }
            world.passTime(for: rank)
            return world.poll(rank)
        }
    }

    /// Blocks where threads drive the world; otherwise says when to come back.
    func wait(_ rank: Int, until deadline: UInt64) {
        if let scheduler {
            world.flush(rank)
            if !isReady(place: rank) { scheduler.sleep(place: rank, until: deadline) }
            world.ranks[rank].isWoken = false
            return
        }
        guard let turn else { return world.setAlarm(rank, at: deadline) }
        turn.lock()
        defer { turn.unlock() }
        world.flush(rank)
        while true {
            world.clock = max(world.clock, DispatchTime.now().uptimeNanoseconds - birth)
            world.passTime(for: rank)
            if world.ranks[rank].readyHead != none || world.ranks[rank].isWoken || world.clock >= deadline { break }
            let seconds = min(Self.longestSleepSeconds, Double(deadline - world.clock) / 1e9)
            turn.broadcast()
            _ = turn.wait(until: Date(timeIntervalSinceNow: seconds))
        }
        world.ranks[rank].isWoken = false
    }
}

/// Says which of a scheduled network's threads runs.
public protocol FabricScheduler: Sendable {
    /// Another thread may run here.
    func point()
    /// Until the network has something for the place (`SimulatedNetwork.isReady`), or this time of its clock.
    func sleep(place: Int, until deadline: UInt64)
}

extension World {
    mutating func setAlarm(_ rank: Int, at time: UInt64) {
        guard time != .max, !ranks[rank].isDead, !ranks[rank].isClosed else { return }
        schedule(alarmSlot(rank), at: max(clock, time))
    }

    /// Lets things happen until one concerns the rank, or all have.
    mutating func passTime(for rank: Int) {
        while ranks[rank].readyHead == none, queue.next != nil {
            step()
            runnableCount = 0
        }
    }
}
