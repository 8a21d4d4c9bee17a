import Collectives
import Testing

@testable import SimulatedFabric
@testable import Simulation

/// Who may be blamed for what: the judge accepts what a fault explains, and nothing else.
@Suite struct JudgingTests {
    static let ranks = 6

    /// Six ranks on three nodes with two NICs each; one fault before anything begins.
    private static func scenario(_ fault: Fault.Kind, rank: Int) -> Scenario {
        var world = SimulationOptions(seed: 1, worldSize: ranks)
        world.ranksPerNode = 2
        world.nicsPerNode = 2
        world.retryNanoseconds = 100_000_000
        let settings = ExecutorSettings(
            topology: Topology(nodeOfRank: [0, 0, 1, 1, 2, 2]), stallMilliseconds: 3000, receiveBufferByteLimit: 1 << 20)
        var program = Program(seed: 1, members: Array(0..<ranks), settings: settings)
        program.startNanoseconds = 10_000
        program.operations = [
            .init(
                number: 0, kind: .collective(.allReduce), type: .float32, reduction: .sum, count: 1000, isInPlace: false, algorithm: .ring,
                place: 0, isExact: true)
        ]
        var scenario = Scenario(seed: 1, world: world, program: program)
        scenario.faults = [Fault(fault, rank: rank, atNanoseconds: 100, forNanoseconds: fault == .cableCut ? 1_000_000_000 : 0)]
        return scenario
    }

    /// What the judge says when a rank has failed with this error before it did anything.
    private static func finding(_ scenario: Scenario, of rank: Int, _ error: CollectiveError) throws -> Finding? {
        let job = try Job(scenario)
        job.seats[rank].executor.fail(error)
        do {
            _ = try job.run()
            return nil
        } catch let finding as Finding {
            return finding
        }
    }

    private static func lost(_ peer: Int?) -> CollectiveError {
        CollectiveError(.fabric(.peerUnreachable), peer: peer, operation: "test", detail: "told by the test")
    }

    /// By fault of rank 2: whom rank 4, on another node, may call lost.
    @Test(arguments: [(Fault.Kind.crash, [2]), (.nodeDeath, [2, 3]), (.cableCut, [2]), (.pause, [])])
    func onlyWhomAFaultConcernsIsToBlame(fault: Fault.Kind, lost: [Int]) throws {
        let scenario = Self.scenario(fault, rank: 2)
        let job = try Job(scenario)
        _ = try job.run()
        #expect(job.seats.contains { $0.executor.failure != nil && job.network.isAlive(place: $0.place) } == !lost.isEmpty)
        for blamed in 0..<Self.ranks {
            let finding = try Self.finding(scenario, of: 4, Self.lost(blamed))
            #expect((finding == nil) == lost.contains(blamed), "4 blames \(blamed) for \(fault): \(finding.map { "\($0)" } ?? "")")
        }
        #expect(try Self.finding(scenario, of: 4, Self.lost(nil))?.kind == .wrongFailure)
    }

    /// Whoever is behind a cut cable loses all others but those of its node.
    @Test func behindTheCutEveryoneElseIsLost() throws {
        for blamed in 0..<Self.ranks where blamed != 2 {
            let finding = try Self.finding(Self.scenario(.cableCut, rank: 2), of: 2, Self.lost(blamed))
            #expect((finding == nil) == (blamed != 3), "2 blames \(blamed): \(finding.map { "\($0)" } ?? "")")
        }
    }

    @Test func aVerdictOfOnesOwnIsNone() throws {
        let verdict = CollectiveError(.verdict, peer: 2, operation: "test", detail: "told by the test")
        let finding = try Self.finding(Self.scenario(.crash, rank: 2), of: 4, verdict)
        #expect(finding?.kind == .wrongFailure && finding?.detail.contains("another verdict") == true)
    }
}
