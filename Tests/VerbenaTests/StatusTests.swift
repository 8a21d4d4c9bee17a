import Engine
import Foundation
import Testing

@testable import Verbena

/// What the face says of the job, without a call into the engine.
@Suite struct StatusTests {
    static let causes = FailureCause.allCases.filter { $0 != .closed }

    /// One rank's own error, of each cause: every rank's status and every call under way has that cause, and names that rank.
    @Test(arguments: causes) func everyCauseIsEveryRanks(cause: FailureCause) throws {
        let outcomes = LocalRanks.run(3, fabric: .sharedMemory) { communicator -> JobStatus in
            let buffer = try communicator.allocate(Int64.self, count: 5)
            let pending = try communicator.startReceive(buffer, count: 5, from: (communicator.rank + 1) % 3)
            guard communicator.status == .running else { throw Wrong("\(communicator.status)") }
            try communicator.barrier(label: "all have begun")
            if communicator.rank == 1 {
                let own = VerbenaError(cause, "told by the test").agreed(with: communicator.group, during: "the test")
                guard own.cause == cause, own.isKnownToAll else { throw Wrong("\(own)") }
            }
            expectError(Result { try pending.wait() }, cause, ["rank 1", "told by the test"])
            let seen = communicator.status
            communicator.leave()
            guard communicator.status == seen else { throw Wrong("\(seen), then \(communicator.status)") }
            return seen
        }
        let all = try outcomes.map { try $0.get() }
        guard case .failed(let verdict) = all[0] else { throw Wrong("\(all)") }
        #expect(verdict.cause == cause && verdict.rank == 1 && verdict.description.contains("told by the test"))
        #expect(all.allSatisfy { $0 == all[0] })
    }

    @Test func aClosedCommunicatorIsClosedAndItsParentRuns() throws {
        let outcomes = LocalRanks.run(2, fabric: .sharedMemory) { communicator in
            let child = try #require(try communicator.split(color: 0, key: 0))
            try child.close()
            #expect(child.status == .closed && communicator.status == .running)
            try communicator.close()
            #expect(communicator.status == .closed)
        }
        for outcome in outcomes { try outcome.get() }
    }

    @Test func aLostRankIsSeen() throws {
        let outcomes = LocalRanks.runJoining(2, fabric: .sharedMemory) { configuration -> JobStatus? in
            let communicator = try Communicator.join(configuration)
            // Rank 1's handle goes: to the others its process has ended.
            guard communicator.rank == 0 else { return nil }
            defer { communicator.leave() }
            try? communicator.barrier(label: "with nobody")
            return communicator.status
        }
        guard case .failed(let verdict)? = try outcomes[0].get() else { throw Wrong("\(outcomes)") }
        #expect(verdict.rank == 1 && verdict.cause == .died)
    }
}
