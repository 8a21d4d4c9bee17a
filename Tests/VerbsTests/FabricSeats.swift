import Fabric
import Foundation
import Synchronization
import Testing

@testable import VerbsFabric

/// Another event than the test is about.
struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A fabric that threads of a test hand to each other.
final class Seat: Sendable {
    let rank: Int
    let endpoint: [UInt8]
    /// Of which the tests know how much a completion queue takes.
    let isSoftRoCE: Bool
    private let fabric: Mutex<VerbsFabric?>

    init(_ configuration: VerbsFabricConfiguration) throws {
        let fabric = try VerbsFabric(configuration)
        rank = configuration.rank
        endpoint = fabric.endpoint
        isSoftRoCE = fabric.deviceName.hasPrefix("rxe")
        self.fabric = Mutex(consume fabric)
    }

    func use<R: Sendable>(_ body: (inout VerbsFabric) throws(FabricError) -> R) throws(FabricError) -> R {
        try fabric.withLock { (fabric) throws(FabricError) in
            guard fabric != nil else { fatalError("a crashed fabric was used") }
            return try body(&fabric!)
        }
    }

    /// Posts a write to the other's region, and lets it leave.
    @discardableResult
    func write(
        _ source: Region, at sourceOffset: Int = 0, to destination: RemoteRegion, at destinationOffset: Int = 0, channel: Int = 0,
        byteCount: Int, immediate: UInt32 = 0
    ) throws(FabricError) -> UInt64 {
        try use { (fabric) throws(FabricError) in
            let ticket = try fabric.write(
                Write(
                    channel: Channel(peer: destination.peer, index: channel), source: source, sourceOffset: sourceOffset,
                    destination: destination, destinationOffset: destinationOffset, byteCount: byteCount, immediate: immediate))
            fabric.wait(until: fabric.now())
            return ticket
        }
    }

    /// What a crash looks like to the peers.
    func crash() { fabric.withLock { $0 = nil } }

    /// Closes, and waits until the peer knows of the end of every channel and has read nothing of what came before.
    func leaveUnheard(by peer: Seat) throws {
        try use { (fabric) throws(FabricError) in fabric.close(deadline: fabric.now().advanced(milliseconds: 20_000)) }
        let connected = try peer.use { (fabric) throws(FabricError) in
            let deadline = fabric.now().advanced(milliseconds: 20_000)
            while fabric.channels.contains(where: { !$0.isDisconnected }), fabric.now() < deadline { fabric.checkControl() }
            return fabric.channels.filter { !$0.isDisconnected }.map(\.channel)
        }
        try #require(connected.isEmpty)
    }

    /// The next event, waiting no longer than a bound that only a failure reaches.
    func next() throws -> FabricEvent {
        let event = try use { (fabric) throws(FabricError) in
            let deadline = fabric.now().advanced(milliseconds: 20_000)
            while fabric.now() < deadline {
                if let event = fabric.poll() { return Optional(event) }
                fabric.wait(until: deadline)
            }
            return nil
        }
        return try #require(event, "rank \(rank) saw nothing for 20 s")
    }
}

func configuration(
    _ rank: Int, of world: Int, _ change: (inout VerbsFabricConfiguration) -> Void = { _ in }
) -> VerbsFabricConfiguration {
    var configuration = VerbsFabricConfiguration(rank: rank, worldSize: world, localRank: 0, jobKey: [UInt8](repeating: 42, count: 16))
    change(&configuration)
    return configuration
}

/// Connects all seats to each other, each on a thread of its own, because `connect` blocks.
/// - Returns: what each threw, by position.
func connect(_ seats: [Seat], milliseconds: UInt64 = 20_000) -> [FabricError?] {
    let errors = Mutex<[FabricError?]>(Array(repeating: nil, count: seats.count))
    let done = DispatchGroup()
    for (position, seat) in seats.enumerated() {
        done.enter()
        let endpoints = Dictionary(uniqueKeysWithValues: seats.filter { $0.rank != seat.rank }.map { ($0.rank, $0.endpoint) })
        Thread.detachNewThread {
            do throws(FabricError) {
                try seat.use { (fabric) throws(FabricError) in
                    try fabric.connect(to: endpoints, deadline: fabric.now().advanced(milliseconds: milliseconds))
                }
            } catch {
                errors.withLock { $0[position] = error }
            }
            done.leave()
        }
    }
    done.wait()
    return errors.withLock { $0 }
}

func connected(_ world: Int, _ change: (inout VerbsFabricConfiguration) -> Void = { _ in }) throws -> [Seat] {
    let seats = try (0..<world).map { try Seat(configuration($0, of: world, change)) }
    for error in connect(seats) { #expect(error == nil) }
    return seats
}

/// A region at each of two seats, and the first's view of the second's.
func regions(_ writer: Seat, _ reader: Seat, byteCount: Int) throws -> (source: Region, receiveBuffers: Region, remote: RemoteRegion) {
    let source = try writer.use { (fabric) throws(FabricError) in try fabric.allocate(byteCount: byteCount) }
    let (receiveBuffers, descriptor) = try reader.use { (fabric) throws(FabricError) in
        let region = try fabric.allocate(byteCount: byteCount)
        return (region, fabric.descriptor(of: region))
    }
    let remote = try writer.use { (fabric) throws(FabricError) in try fabric.attach(descriptor, of: reader.rank) }
    return (source, receiveBuffers, remote)
}
