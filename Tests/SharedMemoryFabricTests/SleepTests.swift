import Fabric
import Foundation
import Synchronization
import Testing

@testable import SharedMemoryFabric

@Suite struct SleepTests {
    /// Two ranks that go to sleep at every turn wake each other thousands of times. Nothing but a wake-up ends a sleep here, the
    /// liveness check being put off, so a single one that is lost ends the test.
    @Test(arguments: [0, 3], [false, true]) func losesNoWakeUp(yields: Int, onDescriptor: Bool) throws {
        let turns = 30_000
        let patience: UInt64 = 30_000
        try together(yields: yields, onDescriptor: onDescriptor) { fabric, region, remote in
            fabric.livenessIntervalMilliseconds = 10 * patience
            let peer = 1 - fabric.rank
            let write = Write(
                channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remote, destinationOffset: 64, byteCount: 8,
                immediate: 0)
            var arrivals = 0
            if fabric.rank == 0 { _ = try fabric.write(write) }
            var idle = 0
            var deadline = fabric.now().advanced(milliseconds: patience)
            while arrivals < turns {
                switch fabric.poll() {
                case .arrival:
                    arrivals += 1
                    if fabric.rank == 1 || arrivals < turns { _ = try fabric.write(write) }
                    deadline = fabric.now().advanced(milliseconds: patience)
                    idle = 0
                case .completion: break
                case nil:
                    // Each turn a little later to bed, so that the other's write meets every moment of it.
                    idle += 1
                    if idle < arrivals % 331 { continue }
                    fabric.wait(until: deadline)
                    if fabric.now() >= deadline { throw Unexpected(what: "no wake-up after \(arrivals) arrivals") }
                case .some(let other): throw Unexpected(what: "\(other)")
                }
            }
        }
    }

    /// The same over links, on which most sleeps end by the time at which something is due, and some by a write that is due earlier.
    @Test(arguments: ["1000Gbit,0us", "1000Gbit,40us", "10Gbit,5us"], [false, true])
    func losesNoWakeUpOverALink(text: String, isPatient: Bool) throws {
        let turns = 5_000
        let patience: UInt64 = 30_000
        try together(yields: 0, onDescriptor: false, link: emulatedLink(text)) { fabric, region, remote in
            fabric.livenessIntervalMilliseconds = 10 * patience
            var (arrivals, completions, posted) = (0, UInt64(0), UInt64(0))
            let deadline = fabric.now().advanced(milliseconds: patience)
            while arrivals < turns || completions < posted {
                if posted < turns, posted <= arrivals {
                    posted = try fabric.write(
                        Write(
                            channel: Channel(peer: 1 - fabric.rank), source: region, sourceOffset: 0, destination: remote,
                            destinationOffset: 2048, byteCount: arrivals % 2000, immediate: 0))
                }
                switch fabric.poll() {
                case .arrival: arrivals += 1
                case .completion(_, let through): completions = through
                case nil:
                    if isPatient { fabric.waitPatiently(until: deadline) } else { fabric.wait(until: deadline) }
                    if fabric.now() >= deadline { throw Unexpected(what: "no wake-up after \(arrivals) arrivals") }
                case .some(let other): throw Unexpected(what: "\(other)")
                }
            }
        }
    }

    /// A write and one `poll`, and then silence: the peer wakes by that alone, however it was about to fall asleep.
    @Test(arguments: [false, true]) func wakesWhoSleeps(onDescriptor: Bool) throws {
        try together(yields: 0, onDescriptor: onDescriptor) { fabric, region, remote in
            if fabric.rank == 0 {
                _ = try fabric.write(
                    Write(
                        channel: Channel(peer: 1), source: region, sourceOffset: 0, destination: remote, destinationOffset: 64,
                        byteCount: 0, immediate: 3))
                _ = fabric.poll()
            } else {
                let patience: UInt64 = 30_000
                fabric.livenessIntervalMilliseconds = 10 * patience
                let deadline = fabric.now().advanced(milliseconds: patience)
                while true {
                    if case .arrival(_, 3) = fabric.poll() { break }
                    fabric.wait(until: deadline)
                    if fabric.now() >= deadline { throw Unexpected(what: "no wake-up") }
                }
            }
        }
    }

    struct Unexpected: Error { var what: String }

    /// Two ranks on threads of their own; the first error is thrown on.
    private func together(
        yields: Int, onDescriptor: Bool, link: EmulatedLink? = nil,
        _ body: @escaping @Sendable (inout SharedMemoryFabric, Region, RemoteRegion) throws -> Void
    ) throws {
        let board = Mutex<[[Int: [UInt8]]]>([[:], [:], [:]])
        let results = Mutex<[Result<Void, any Error>]>([])
        let ended = DispatchSemaphore(value: 0)
        @Sendable func swap(_ bytes: [UInt8], _ round: Int, _ rank: Int) -> [UInt8] {
            board.withLock { $0[round][rank] = bytes }
            while true {
                if let others = board.withLock({ $0[round][1 - rank] }) { return others }
                sched_yield()
            }
        }
        for rank in 0..<2 {
            let thread = Thread {
                let result = Result {
                    var configuration = SharedMemoryConfiguration(
                        rank: rank, worldSize: 2, jobKey: [], waits: WaitPolicy(yields: yields), sleepsOnDescriptor: onDescriptor)
                    configuration.link = link
                    var fabric = try SharedMemoryFabric(configuration)
                    try fabric.connect(to: [1 - rank: swap(fabric.endpoint, 0, rank)], deadline: .distantFuture)
                    let region = try fabric.allocate(byteCount: 4096)
                    let remote = try fabric.attach(swap(fabric.descriptor(of: region), 1, rank), of: 1 - rank)
                    try body(&fabric, region, remote)
                    _ = swap([], 2, rank)
                    fabric.close(deadline: .distantFuture)
                }
                results.withLock { $0.append(result) }
                ended.signal()
            }
            thread.start()
        }
        for _ in 0..<2 { ended.wait() }
        for result in results.withLock({ $0 }) { try result.get() }
    }
}
