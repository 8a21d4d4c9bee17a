import Testing
import Verbena

/// A job over an emulated link runs as on a network, and says that it does.
// SAFETY (whole file): buffers are read and written between collectives only, while their communicator is open.
@Suite(.serialized) struct EmulatedLinkTests {
    typealias Configure = @Sendable (inout Configuration, Int) -> Void

    @Test(arguments: [2, 3, 4]) func ranksActAsIfApart(ranks: Int) throws {
        let link = try #require(EmulatedLink("1Gbit,50us"))
        let count = 100_003
        let configure: Configure = { configuration, _ in configuration.link = link }
        let outcomes = LocalRanks.run(ranks, fabric: .automatic, configure: configure) { communicator in
            #expect(communicator.deviceName == "emulated link 1 Gbit/s 50 us")
            #expect(!communicator.algorithms(for: .allReduce, byteCount: 4 * count).contains(.direct))
            let explanation = communicator.explain(.allReduce, byteCount: 4 * count, type: .float32)
            #expect(explanation.algorithm == .ring && explanation.why.contains("\(ranks) ranks over an emulated link of 1 Gbit/s 50 us"))
            // What was measured over the link cannot be less than the link takes.
            #expect(communicator.costs.far.latency >= 50 && communicator.costs.near == Costs.typical.near)
            let buffer = try communicator.allocate(Float.self, count: count)
            for index in 0..<count { unsafe buffer.elements[index] = Float(index % 1000 * (communicator.rank + 1)) }
            try communicator.allReduce(buffer)
            for index in 0..<count where unsafe buffer.elements[index] != Float(index % 1000 * ranks * (ranks + 1) / 2) {
                throw Wrong("\(unsafe buffer.elements[index]) at \(index)")
            }
        }
        for outcome in outcomes { try outcome.get() }
    }

    /// The communicators that `split` makes have links, too.
    @Test func childrenHaveLinks() throws {
        let configure: Configure = { configuration, _ in configuration.link = EmulatedLink("1Gbit,50us") }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: configure) { communicator in
            let child = try #require(try communicator.split(color: 0, key: communicator.rank))
            try child.barrier()
            return child.deviceName
        }
        for outcome in outcomes { #expect(try outcome.get() == "emulated link 1 Gbit/s 50 us") }
    }

    @Test(arguments: [nil, "10Gbit,6us"]) func ranksMustAgreeOnIt(other: String?) {
        let configure: Configure = { configuration, rank in
            configuration.link = rank == 0 ? EmulatedLink("10Gbit,5us") : other.flatMap { EmulatedLink($0) }
        }
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory, configure: configure) { _ in }
        for outcome in outcomes {
            expectError(outcome, .configuration, ["emulated link 10 Gbit/s 5 us", "give all ranks the same options"])
        }
    }

    @Test func verbsHasNone() {
        let configure: Configure = { configuration, _ in configuration.link = EmulatedLink("10Gbit,5us") }
        let outcomes = LocalRanks.run(2, fabric: .verbs, configure: configure) { _ in }
        for outcome in outcomes { expectError(outcome, .configuration, ["shared memory only", "leave out --link"]) }
    }

    @Test func severalMachinesHaveNone() {
        let configure: Configure = { configuration, rank in
            configuration.link = EmulatedLink("10Gbit,5us")
            configuration.node = "node \(rank)"
        }
        let outcomes = LocalRanks.run(2, fabric: .automatic, configure: configure) { _ in }
        for outcome in outcomes { expectError(outcome, .configuration, ["leave out --link"]) }
    }
}
