import Collectives
import Fabric
import Testing

@testable import SimulatedFabric
@testable import Simulation

/// The times of an operation are those at which things happened, to the nanosecond of virtual time.
@Suite struct RecordTests {
    /// Two ranks on nodes of their own; a message takes 2,000 ns, and 1 ns for each byte.
    private final class Pair {
        final class Member {
            var executor: Executor<SimulatedFabric>
            var due: [(at: UInt64, number: Int, operation: Operation)] = []
            var finished: [Finished] = []

            init(_ executor: consuming Executor<SimulatedFabric>) { self.executor = executor }
        }

        let network: SimulatedNetwork
        let members: [Member]
        let buffer: SharedBuffer

        init() throws {
            var settings = ExecutorSettings(topology: .apart(worldSize: 2))
            (settings.chunkBytes, settings.eagerBytes, settings.messageBytes) = (4096, 64, 4096)
            var options = SimulationOptions(seed: 1, worldSize: 2)
            options.wire = .init(latencyNanoseconds: 2_000, bytesPerNanosecond: 1)
            (options.writeDepth, options.arrivalDepth) = (settings.arrivalDepth, settings.arrivalDepth)
            let network = SimulatedNetwork(options)
            let members = try (0..<2).map { rank in
                var fabric = try SimulatedFabric(network, rank: rank)
                try fabric.connect(to: [1 - rank: network.endpoint(of: 1 - rank)], deadline: .distantFuture)
                return Member(try Executor(fabric: fabric, settings: settings))
            }
            let added = try members.map { try $0.executor.addBuffer(byteCount: 16_384).0 }
            for buffer in [.receiveBuffers, added[0]] {
                let descriptors = members.map { $0.executor.descriptor(of: buffer) }
                for member in members { try member.executor.attach(buffer, descriptors: descriptors) }
            }
            (self.network, self.members, buffer) = (network, members, added[0])
        }

        func plan(_ rank: Int, at time: UInt64, number: Int = 0, _ collective: Collective, count: Int) {
            let operation = Operation(collective, input: Place(buffer), count: count, type: .float32)
            members[rank].due.append((time, number, operation))
            network.setAlarm(place: rank, at: FabricInstant(nanoseconds: members[rank].due[0].at))
        }

        /// - Parameter lead: how long before its submission an operation was asked for.
        func run(lead: UInt64 = 0) throws {
            while let rank = network.advance() {
                let member = members[rank]
                var moves = true
                while moves {
                    moves = member.executor.progress()
                    while let one = member.executor.takeFinished() { member.finished.append(one) }
                    while let next = member.due.first, next.at <= network.now.nanoseconds {
                        member.due.removeFirst()
                        try member.executor.submit(next.operation, number: next.number, recordedFrom: next.at - lead)
                        moves = true
                    }
                }
                if let next = member.due.first { network.setAlarm(place: rank, at: FabricInstant(nanoseconds: next.at)) }
            }
            #expect(network.violation == nil && members.allSatisfy { $0.due.isEmpty })
        }

        func times(_ rank: Int, _ number: Int = 0) throws -> [UInt64] {
            let finished = members[rank].finished.first { $0.number == number && !$0.isFailed }
            let record = try #require(finished?.record)
            return [record.submitted, record.started, record.firstArrival, record.lastArrival, record.ended]
        }
    }

    /// A transfer in three messages. Its sender comes late: the receiver's word where to write has been there for long.
    @Test func timesAreThoseOfWhatHappened() throws {
        let pair = try Pair()
        pair.plan(0, at: 100, .receive(from: 1), count: 3_072)
        pair.plan(1, at: 5_000, .send(to: 0), count: 3_072)
        try pair.run(lead: 90)
        let message: UInt64 = 4_096
        #expect(try pair.times(0) == [10, 100, 7_000 + message, 7_000 + 3 * message, 7_000 + 3 * message])
        let times = try pair.times(1)
        #expect(times.prefix(4) == [4_910, 5_000, 5_000, 5_000])
        #expect(times[4] > 7_000 + 3 * message, "its writes have completed")
    }

    /// An operation begins when a lane is free for it; one that awaits nobody has no arrivals but its start.
    @Test func whatWaitsForALaneStartsLater() throws {
        let pair = try Pair()
        let lanes = ExecutorSettings.lanes
        for number in 0...lanes { pair.plan(0, at: 0, number: number, .barrier, count: 0) }
        for number in 0...lanes { pair.plan(1, at: 10_000, number: number, .barrier, count: 0) }
        try pair.run()
        for number in 0..<lanes { #expect(try pair.times(0, number) == [0, 0, 12_000, 12_000, 12_000]) }
        let last = try pair.times(0, lanes)
        #expect(last[1] >= 12_000 && last[2] == last[3] && last[4] == last[3] && last[3] > 12_000)
        #expect(try pair.times(1) == Array(repeating: 10_000, count: 5))
    }

    /// No time, no record: then no clock is read.
    @Test func nobodyElseHasARecord() throws {
        let pair = try Pair()
        for member in pair.members {
            try member.executor.submit(Operation(.barrier, input: Place(pair.buffer), count: 0, type: .float32), number: 7)
        }
        try pair.run()
        for member in pair.members { #expect(member.finished.map(\.number) == [7] && member.finished[0].record == nil) }
    }
}
