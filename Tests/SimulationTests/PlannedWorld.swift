import Fabric
import SimulatedFabric

/// A driven world whose ranks do what was planned for them, and note what they are told and when. All are connected and have one region each.
///
/// Writes are counted in the order of `write`; each goes to bytes of its own. All times are virtual nanoseconds.
final class PlannedWorld {
    struct Completion: Equatable {
        var at: UInt64
        var channel = 0
        var through: UInt64
    }

    /// A peer that is gone.
    struct Loss: Equatable {
        var at: UInt64
        var peer: Int
        /// Nil where it took leave in order.
        var cause: FabricError.Cause?
    }

    final class Seat {
        var fabric: SimulatedFabric
        let region: Region
        var remotes: [Int: RemoteRegion] = [:]

        init(_ network: SimulatedNetwork, rank: Int) throws {
            fabric = try SimulatedFabric(network, rank: rank)
            region = try fabric.allocate(byteCount: PlannedWorld.regionByteCount)
        }
    }

    private struct Plan {
        var at: UInt64
        var number: Int
        var act: (Seat) throws -> Void
    }

    private static let regionByteCount = 256 << 10

    let network: SimulatedNetwork
    let seats: [Seat]
    /// When each write was taken; nil where it was not.
    private(set) var arrivals: [UInt64?] = []
    /// The writes in the order in which they were taken.
    private(set) var order: [Int] = []
    /// What each rank was told.
    private(set) var completions: [[Completion]]
    private(set) var losses: [[Loss]]
    private var plans: [[Plan]]
    private var nextOffset = 0

    /// - Parameter change: of options that else are those of the default.
    init(_ ranks: Int, faults: [Fault] = [], _ change: (inout SimulationOptions) -> Void = { _ in }) throws {
        var options = SimulationOptions(seed: 1, worldSize: ranks)
        change(&options)
        let network = SimulatedNetwork(options, faults: faults)
        self.network = network
        seats = try (0..<ranks).map { try Seat(network, rank: $0) }
        completions = Array(repeating: [], count: ranks)
        losses = Array(repeating: [], count: ranks)
        plans = Array(repeating: [], count: ranks)
        for (rank, seat) in seats.enumerated() {
            for peer in 0..<ranks where peer != rank {
                try seat.fabric.connect(to: [peer: network.endpoint(of: peer)], deadline: .distantFuture)
                seat.remotes[peer] = try seat.fabric.attach(seats[peer].fabric.descriptor(of: seats[peer].region), of: peer)
            }
        }
    }

    // MARK: plans

    func plan(at time: UInt64 = 0, rank: Int, _ act: @escaping (Seat) throws -> Void) {
        plans[rank].append(Plan(at: time, number: plans[rank].count, act: act))
    }

    /// - Returns: where the bytes go in the peer's region.
    @discardableResult
    func write(_ byteCount: Int, from rank: Int, to peer: Int, channel: Int = 0, at time: UInt64 = 0) -> Range<Int> {
        let number = UInt32(arrivals.count)
        let bytes = nextOffset..<nextOffset + byteCount
        arrivals.append(nil)
        nextOffset = bytes.upperBound
        plan(at: time, rank: rank) { seat in
            guard let remote = seat.remotes[peer] else { return }
            _ = try seat.fabric.write(
                Write(
                    channel: Channel(peer: peer, index: channel), source: seat.region, sourceOffset: bytes.lowerBound, destination: remote,
                    destinationOffset: bytes.lowerBound, byteCount: byteCount, immediate: number))
        }
        return bytes
    }

    // MARK: time

    /// Until nothing happens any more.
    func run() throws {
        for rank in plans.indices {
            plans[rank].sort { ($0.at, $0.number) < ($1.at, $1.number) }
            setAlarm(rank)
        }
        while let rank = network.advance() {
            while let event = seats[rank].fabric.poll() { note(event, by: rank) }
            while let plan = plans[rank].first, plan.at <= network.now.nanoseconds {
                plans[rank].removeFirst()
                try plan.act(seats[rank])
            }
            setAlarm(rank)
        }
        if let violation = network.violation { throw violation }
    }

    private func setAlarm(_ rank: Int) {
        guard let next = plans[rank].first else { return }
        network.setAlarm(place: rank, at: FabricInstant(nanoseconds: next.at))
    }

    private func note(_ event: FabricEvent, by rank: Int) {
        let now = network.now.nanoseconds
        switch event {
        case .arrival(_, let number):
            arrivals[Int(number)] = now
            order.append(Int(number))
        case .completion(let channel, let ticket): completions[rank].append(Completion(at: now, channel: channel.index, through: ticket))
        case .closed(let peer): losses[rank].append(Loss(at: now, peer: peer, cause: nil))
        case .failure(let error): losses[rank].append(Loss(at: now, peer: error.peer ?? -1, cause: error.cause))
        }
    }
}

extension SimulationOptions {
    /// Nothing is checked or traced: the short cuts that large worlds take.
    mutating func makePlain() {
        isChecking = false
        traceDepth = 0
    }
}
