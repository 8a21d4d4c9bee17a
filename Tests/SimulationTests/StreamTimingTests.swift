import Fabric
import Testing

@testable import Collectives
@testable import SimulatedFabric
@testable import Simulation

/// How long urgent collectives take beside bulk, in virtual time on a link of 10 Gbit/s and 5 us.
@Suite struct StreamTimingTests {
    /// Ranks on nodes of their own; no bytes move.
    private final class World {
        final class Member {
            var executor: Executor<SimulatedFabric>
            init(_ executor: consuming Executor<SimulatedFabric>) { self.executor = executor }
        }

        static let bytesPerNanosecond = 1.25
        let network: SimulatedNetwork
        let members: [Member]
        let buffer: SharedBuffer
        /// When an operation has ended on the last rank so far, and on how many, by number.
        private(set) var ends: [Int: UInt64] = [:]
        private var endCounts: [Int: Int] = [:]

        init(ranks: Int) throws {
            var settings = ExecutorSettings(topology: .apart(worldSize: ranks))
            settings.costs.far = .init(latency: 5, perByte: 1e-3 / Self.bytesPerNanosecond)
            settings.simulation = SimulationHook()
            settings.simulation?.touchesMemory = false
            var options = SimulationOptions(seed: 1, worldSize: ranks)
            options.wire = .init(latencyNanoseconds: 5_000, bytesPerNanosecond: Self.bytesPerNanosecond)
            (options.payload, options.isChecking, options.traceDepth) = (.none, false, 0)
            options.touchNanosecondsPerByte = 0.01
            (options.writeDepth, options.arrivalDepth) = (settings.arrivalDepth, settings.arrivalDepth)
            let network = SimulatedNetwork(options)
            let members = try (0..<ranks).map { rank in
                var fabric = try SimulatedFabric(network, rank: rank)
                let peers = (0..<ranks).filter { $0 != rank }
                try fabric.connect(to: .init(uniqueKeysWithValues: peers.map { ($0, network.endpoint(of: $0)) }), deadline: .distantFuture)
                return Member(try Executor(fabric: fabric, settings: settings))
            }
            let added = try members.map { try $0.executor.addBuffer(byteCount: 256 << 20).0 }
            for buffer in [.receiveBuffers, added[0]] {
                let descriptors = members.map { $0.executor.descriptor(of: buffer) }
                for member in members { try member.executor.attach(buffer, descriptors: descriptors) }
            }
            (self.network, self.members, buffer) = (network, members, added[0])
        }

        func submit(_ stream: Collectives.Stream, byteCount: Int, number: Int) throws {
            let operation = Operation(
                .allReduce, input: Place(buffer), count: byteCount / 4, type: .float32, algorithm: .ring, stream: stream)
            for member in members { try member.executor.submit(operation, number: number) }
        }

        /// Lets everything happen until `time`, or until the operation has ended.
        func run(until time: UInt64 = .max, orEndOf number: Int = -1) {
            while endCounts[number] != members.count, let rank = network.advance(until: FabricInstant(nanoseconds: time)) {
                while members[rank].executor.progress() {}
                while let one = members[rank].executor.takeFinished() {
                    ends[one.number] = network.now.nanoseconds
                    endCounts[one.number, default: 0] += 1
                }
            }
        }
    }

    /// An urgent message has two windows of bulk before it at most, and its own ring three hops: an invitation, a part, a sum. Bulk loses nothing of
    /// the wire: all ends when it would without windows, but for what is urgent.
    @Test func overtakesBulk() throws {
        let (urgentBytes, bulkBytes) = (256 << 10, 32 << 20)
        func microseconds(isBusy: Bool, hasWindows: Bool) throws -> (urgent: Double, all: Double) {
            let world = try World(ranks: 2)
            if hasWindows {
                try world.submit(.urgent, byteCount: 4, number: 0)
                world.run(orEndOf: 0)
            }
            let start = world.network.now.nanoseconds
            if isBusy { for number in 1...4 { try world.submit(.bulk, byteCount: bulkBytes, number: number) } }
            // In the middle, as a rule.
            world.run(until: start + 20_000_000)
            let begun = world.network.now.nanoseconds
            try world.submit(.urgent, byteCount: urgentBytes, number: 9)
            world.run(orEndOf: 9)
            let urgent = world.ends[9]! - begun
            world.run()
            return (Double(urgent) / 1000, Double(world.network.now.nanoseconds - start) / 1000)
        }
        let alone = try microseconds(isBusy: false, hasWindows: true)
        let beside = try microseconds(isBusy: true, hasWindows: true)
        let without = try microseconds(isBusy: true, hasWindows: false)
        let window = Double(max(256 << 10, 600_000)) / World.bytesPerNanosecond / 1000
        #expect(beside.urgent < alone.urgent + 3 * 2 * window)
        #expect(beside.all < without.all * 1.02)
    }
}
