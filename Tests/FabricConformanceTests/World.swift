import Fabric
import Foundation
import Synchronization

/// Several ranks of one fabric in one process, each on its own thread; what ranks would swap by the rendezvous goes through memory.
final class World: Sendable {
    /// Every wait of the suite ends here; generous, because the machine may be loaded and the device emulated.
    static let patienceMilliseconds: UInt64 = 60_000

    let size: Int
    private let state = Mutex<[String: [Int: [UInt8]]]>([:])

    private let errors = Mutex<[any Error]>([])

    init(size: Int) { self.size = size }

    /// A rank that plays dead is no error, and nobody needs to wait for it at the end.
    private func fail(_ error: any Error) {
        if error is Dies {
            state.withLock { $0["checked", default: [:]][size - 1] = [] }
        } else {
            errors.withLock { $0.append(error) }
        }
    }

    struct Impatience: Error { var what: String }

    /// What every rank put under `label`, by rank. Does not wait for a rank that has failed.
    func gather(_ bytes: [UInt8], label: String, rank: Int, of ranks: Int? = nil) throws -> [[UInt8]] {
        state.withLock { $0[label, default: [:]][rank] = bytes }
        let deadline = Date(timeIntervalSinceNow: Double(Self.patienceMilliseconds) / 1000)
        while Date() < deadline {
            let all = state.withLock { $0[label] ?? [:] }
            if all.count == ranks ?? size { return (0..<size).map { all[$0] ?? [] } }
            if !errors.withLock(\.isEmpty) { break }
            sched_yield()
        }
        throw Impatience(what: "\(label) at rank \(rank)")
    }

    func barrier(_ label: String, rank: Int, of ranks: Int? = nil) throws { _ = try gather([], label: label, rank: rank, of: ranks) }

    /// Makes, connects and hands out one fabric a rank; every rank's error is thrown on.
    static func run<F: Fabric & ~Copyable>(
        size: Int, make: @escaping @Sendable (Int) throws -> F, check: some ConformanceCheck
    ) throws {
        let world = World(size: size)
        let ended = DispatchSemaphore(value: 0)
        let threads = (0..<size).map { rank in
            Thread {
                do { try world.runRank(rank, make: make, check: check) } catch { world.fail(error) }
                ended.signal()
            }
        }
        for thread in threads { thread.start() }
        for _ in threads { ended.wait() }
        if let first = world.errors.withLock({ $0.first }) { throw first }
    }

    private func runRank<F: Fabric & ~Copyable>(_ rank: Int, make: (Int) throws -> F, check: some ConformanceCheck) throws {
        var fabric = try make(rank)
        let endpoints = try gather(fabric.endpoint, label: "endpoints", rank: rank)
        let peers = Dictionary(uniqueKeysWithValues: endpoints.enumerated().filter { $0.offset != rank }.map { ($0.offset, $0.element) })
        try fabric.connect(to: peers, deadline: fabric.now().advanced(milliseconds: Self.patienceMilliseconds))
        try check.run(&fabric, in: self)
        try barrier("checked", rank: rank)
        fabric.close(deadline: fabric.now().advanced(milliseconds: Self.patienceMilliseconds))
    }
}

/// One promise of the contract, carried out by every rank of a world.
protocol ConformanceCheck: Sendable {
    var worldSize: Int { get }
    func run<F: Fabric & ~Copyable>(_ fabric: inout F, in world: World) throws
}

/// What a check says when the fabric breaks a promise.
struct Broken: Error, CustomStringConvertible {
    var description: String
}

func demand(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Broken(description: what()) }
}

extension Fabric where Self: ~Copyable {
    /// The next event, waited for.
    mutating func next() throws -> FabricEvent {
        let deadline = now().advanced(milliseconds: World.patienceMilliseconds)
        while now() < deadline {
            if let event = poll() { return event }
            wait(until: deadline)
        }
        throw Broken(description: "no event at rank \(rank) for \(World.patienceMilliseconds) ms")
    }

    /// Events until `isLast` says so; the last included.
    mutating func collect(until isLast: (FabricEvent) -> Bool) throws -> [FabricEvent] {
        var events: [FabricEvent] = []
        while true {
            events.append(try next())
            if isLast(events[events.count - 1]) { return events }
        }
    }

    /// Waits until every write up to `ticket` on `channel` has completed. Arrivals in between are returned.
    mutating func complete(_ ticket: UInt64, on channel: Channel) throws -> [FabricEvent] {
        try collect {
            if case .completion(let done, let through) = $0 { return done == channel && through >= ticket }
            return false
        }
    }

    /// Allocates a region on every rank and attaches everyone's.
    mutating func shareRegion(byteCount: Int, label: String, in world: World) throws -> (Region, [RemoteRegion?]) {
        let region = try allocate(byteCount: byteCount)
        let descriptors = try world.gather(descriptor(of: region), label: label, rank: rank)
        var remotes: [RemoteRegion?] = []
        for peer in 0..<worldSize { remotes.append(peer == rank ? nil : try attach(descriptors[peer], of: peer)) }
        try world.barrier("\(label) attached", rank: rank)
        return (region, remotes)
    }
}
