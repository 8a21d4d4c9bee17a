import Foundation
import Logging
import Trainer

@testable import Launch
@testable import Membership
@testable import Verbena

private let quiet = Logger(label: "trainer tests", factory: { _ in SwiftLogNoOpLogHandler() })

/// Runs `body` as each rank of a job on shared memory, every rank on a thread of this process, and closes the communicators.
///
/// The ranks find each other as those of `--ranks N` do: through a coordinator that is there before them, so its port is the system's.
/// - Returns: the answers in the order of ranks.
func onRanks<Value: Sendable>(_ count: Int, _ body: @escaping @Sendable (Communicator) throws -> Value) async throws -> [Value] {
    let secret = JobSecret.random()
    let coordinator = try Coordinator.start(
        host: "127.0.0.1", port: 0, worldSize: count, secret: secret, version: Communicator.version, hostedBy: .launcher,
        logger: quiet)
    defer { coordinator.stop() }
    let port = coordinator.port
    return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        for rank in 0..<count {
            group.addTask {
                let job = JobEnvironment(
                    rank: rank, worldSize: count, localRank: rank, localWorldSize: count, masterAddress: "127.0.0.1", masterPort: port,
                    secret: secret, source: .torchrun)
                let environment = job.variables.merging([LocalJob.launcherVariable: "\(getpid())"]) { $1 }
                return (rank, try await onThread { try asRank(environment, body) })
            }
        }
        var answers: [Int: Value] = [:]
        for try await (rank, answer) in group { answers[rank] = answer }
        return (0..<count).compactMap { answers[$0] }
    }
}

private func asRank<Value>(_ environment: [String: String], _ body: (Communicator) throws -> Value) throws -> Value {
    let communicator = try Communicator.join(Configuration(fabric: .sharedMemory, environment: environment), logger: quiet)
    do {
        let answer = try body(communicator)
        try communicator.close()
        return answer
    } catch {
        communicator.abort(reason: "\(error)")
        throw error
    }
}

/// Ranks wait for each other, and the tests' own threads are as few as cores: each gets a thread.
private nonisolated func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
