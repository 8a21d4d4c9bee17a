import Fabric
import Foundation
import SharedMemoryFabric
import Synchronization

enum Bench {
    static func report(_ name: String, _ nanoseconds: [Double]) {
        let sorted = nanoseconds.sorted()
        print(
            name.padding(toLength: 40, withPad: " ", startingAt: 0), String(format: "%10.1f ns least", sorted[0]),
            String(format: "%10.1f ns median", sorted[sorted.count / 2]))
    }

    static func nanoseconds(of count: Int, _ body: () -> Void) -> Double {
        let start = ContinuousClock.now
        body()
        let time = (ContinuousClock.now - start).components
        return (Double(time.seconds) * 1e9 + Double(time.attoseconds) / 1e9) / Double(count)
    }

    static func emptyPoll(peers: Int) -> [Double] {
        let world = World(size: peers + 1)
        let samples = Samples()
        world.run(spins: 0) { fabric, _, _ in
            if fabric.rank > 0 { return }
            for _ in 0..<rounds {
                samples.add(nanoseconds(of: 100_000) { for _ in 0..<100_000 where fabric.poll() != nil { fatalError("nobody wrote") } })
            }
        }
        return samples.all
    }

    /// Two threads hand one word to and fro: what the cores need at least.
    static func rawPingPong() -> [Double] {
        let lines = Lines()
        let count = 20_000
        let total = UInt32(count * rounds)
        let other = Thread {
            for turn in 1...total {
                while lines.ping.load(ordering: .acquiring) != turn {}
                lines.pong.store(turn, ordering: .releasing)
            }
        }
        other.start()
        var turn: UInt32 = 0
        return (0..<rounds).map { _ in
            nanoseconds(of: count) {
                for _ in 0..<count {
                    turn += 1
                    lines.ping.store(turn, ordering: .releasing)
                    while lines.pong.load(ordering: .acquiring) != turn {}
                }
            }
        }
    }

    /// All ranks write to all others and wait for them: at once, or (of two) in turn.
    static func exchange(ranks: Int, byteCount: Int, inTurn: Bool, spins: Int) -> [Double] {
        let world = World(size: ranks)
        let samples = Samples()
        let count = 2_000
        world.run(spins: spins) { fabric, region, remotes in
            let rank = fabric.rank
            func writeAll() {
                for peer in 0..<ranks where peer != rank {
                    let write = Write(
                        channel: Channel(peer: peer), source: region, sourceOffset: 0, destination: remotes[peer]!,
                        destinationOffset: 8192 * (1 + rank), byteCount: byteCount, immediate: 0)
                    do throws(FabricError) { _ = try fabric.write(write) } catch { fatalError("\(error)") }
                }
            }
            var early = 0
            for _ in 0..<rounds {
                let time = nanoseconds(of: count) {
                    for _ in 0..<count {
                        if !inTurn || rank == 0 { writeAll() }
                        awaitArrivals(&fabric, ranks - 1, &early)
                        if inTurn && rank != 0 { writeAll() }
                    }
                }
                if rank == 0 { samples.add(time) }
            }
        }
        return samples.all
    }

    /// One rank writes as fast as it can, the other reads.
    static func stream(byteCount: Int) -> [Double] {
        let world = World(size: 2)
        let samples = Samples()
        let count = 20_000
        world.run(spins: 1_000_000) { fabric, region, remotes in
            var early = 0
            for _ in 0..<rounds {
                guard fabric.rank == 0 else {
                    awaitArrivals(&fabric, count, &early)
                    continue
                }
                let write = Write(
                    channel: Channel(peer: 1), source: region, sourceOffset: 0, destination: remotes[1]!, destinationOffset: 8192,
                    byteCount: byteCount, immediate: 0)
                samples.add(
                    nanoseconds(of: count) {
                        var posted = 0
                        while posted < count {
                            do throws(FabricError) {
                                _ = try fabric.write(write)
                                posted += 1
                            } catch {
                                guard error.cause == .queueFull else { fatalError("\(error)") }
                                while fabric.poll() != nil {}
                            }
                        }
                    })
                while fabric.poll() != nil {}
            }
        }
        return samples.all
    }

    /// - Parameter early: arrivals that came before they were asked for.
    static func awaitArrivals(_ fabric: inout SharedMemoryFabric, _ count: Int, _ early: inout Int) {
        while early < count {
            switch fabric.poll() {
            case .arrival: early += 1
            case .completion: break
            case nil: fabric.wait(until: .distantFuture)
            case .some(let other): fatalError("\(other)")
            }
        }
        early -= count
    }
}

/// Words on lines of their own.
final class Lines: Sendable {
    let ping = Atomic<UInt32>(0)
    let padding = Padding()
    let pong = Atomic<UInt32>(0)

    struct Padding: Sendable { let words = InlineArray<32, UInt64>(repeating: 0) }
}

final class Samples: Sendable {
    private let values = Mutex<[Double]>([])

    func add(_ value: Double) { values.withLock { $0.append(value) } }

    var all: [Double] { values.withLock { $0 } }
}

/// Ranks as threads; what they would swap by the rendezvous goes through memory.
final class World: Sendable {
    let size: Int
    private let board = Mutex<[String: [Int: [UInt8]]]>([:])

    init(size: Int) { self.size = size }

    func run(spins: Int, _ body: @escaping @Sendable (inout SharedMemoryFabric, Region, [RemoteRegion?]) -> Void) {
        let ended = DispatchSemaphore(value: 0)
        for rank in 0..<size {
            let thread = Thread { [self] in
                do throws(FabricError) { try runRank(rank, spins, body) } catch { fatalError("\(error)") }
                ended.signal()
            }
            thread.start()
        }
        for _ in 0..<size { ended.wait() }
    }

    private func runRank(
        _ rank: Int, _ spins: Int, _ body: (inout SharedMemoryFabric, Region, [RemoteRegion?]) -> Void
    ) throws(FabricError) {
        var configuration = SharedMemoryConfiguration(rank: rank, worldSize: size, arrivalDepth: 256, jobKey: [])
        configuration.waits = WaitPolicy(spins: spins, yields: 1000)
        var fabric = try SharedMemoryFabric(configuration)
        let endpoints = gather(fabric.endpoint, "endpoints", rank)
        try fabric.connect(to: endpoints.filter { $0.key != rank }, deadline: .distantFuture)
        let region = try fabric.allocate(byteCount: 8192 * (1 + size))
        let descriptors = gather(fabric.descriptor(of: region), "region", rank)
        var remotes: [RemoteRegion?] = Array(repeating: nil, count: size)
        for (peer, descriptor) in descriptors where peer != rank { remotes[peer] = try fabric.attach(descriptor, of: peer) }
        _ = gather([], "attached", rank)
        body(&fabric, region, remotes)
        _ = gather([], "ended", rank)
        fabric.close(deadline: .distantFuture)
    }

    private func gather(_ bytes: [UInt8], _ label: String, _ rank: Int) -> [Int: [UInt8]] {
        board.withLock { $0[label, default: [:]][rank] = bytes }
        while true {
            if let all = board.withLock({ $0[label] }), all.count == size { return all }
            usleep(1000)
        }
    }
}
