import Foundation
import Logging
import Synchronization
import Testing

@testable import Membership

/// Generous: a test that waits for so long has failed. On two busy cores the pool's threads come to a test's next step after more than a minute.
let patience = 240.0

let quiet = Logger(label: "rendezvous tests", factory: { _ in SwiftLogNoOpLogHandler() })

/// A coordinator on loopback, and ranks of this process that join it from threads of their own.
struct World: Sendable {
    let coordinator: Coordinator
    let size: Int
    var secret = JobSecret("the secret of the tests")

    init(_ size: Int, host: Coordinator.Host = .rank(0), bounds: RendezvousBounds = RendezvousBounds(livenessTimeoutSeconds: 10 * patience))
        throws
    {
        self.size = size
        coordinator = try Coordinator.start(
            host: "127.0.0.1", port: 0, worldSize: size, secret: secret, version: "1.2.3", hostedBy: host, bounds: bounds, logger: quiet)
    }

    func join(
        _ rank: Int, worldSize: Int? = nil, secret: JobSecret? = nil, version: String = "1.2.3", timeoutSeconds: Double = patience,
        onVerdict: @escaping @Sendable (Verdict) -> Void = { _ in }
    ) throws(RendezvousError) -> ControlPlaneClient {
        try ControlPlaneClient.join(
            rank: rank, worldSize: worldSize ?? size, host: "127.0.0.1", port: coordinator.port, secret: secret ?? self.secret,
            version: version, joinTimeoutSeconds: timeoutSeconds, logger: quiet, onVerdict: onVerdict)
    }

    /// All ranks, joined, in order.
    func joinAll(onVerdict: @escaping @Sendable (_ rank: Int, Verdict) -> Void = { _, _ in }) async throws -> [ControlPlaneClient] {
        try await onThreads(size) { rank throws(RendezvousError) in
            try join(rank) { onVerdict(rank, $0) }
        }.map { try $0.get() }
    }

    func end(_ ranks: [ControlPlaneClient]) {
        for rank in ranks { rank.leave() }
        coordinator.stop()
    }
}

/// Runs `body` for 0 ..< count, each on a thread of its own as ranks are, without blocking the tests' own threads.
func onThreads<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws(RendezvousError) -> Value
) async -> [Result<Value, RendezvousError>] {
    await onThreadsLater(count, body).value
}

/// `onThreads`, begun before this returns and awaited later.
func onThreadsLater<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws(RendezvousError) -> Value
) -> Running<Value> {
    let running = Running<Value>(count)
    for index in 0..<count {
        startThread {
            do throws(RendezvousError) {
                running.ended(index, .success(try body(index)))
            } catch {
                running.ended(index, .failure(error))
            }
        }
    }
    return running
}

/// Runs what waits long on a thread of its own: the tests' own threads are as few as cores.
func offPool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    let outcome = await onThreads(1) { _ throws(RendezvousError) in Result { try body() } }
    return try outcome[0].get().get()
}

/// Threads that have been started, and what becomes of them.
final class Running<Value: Sendable>: Sendable {
    private struct State {
        var results: [Int: Result<Value, RendezvousError>] = [:]
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let count: Int
    private let state = Mutex(State())

    init(_ count: Int) { self.count = count }

    func ended(_ index: Int, _ result: Result<Value, RendezvousError>) {
        let waiter = state.withLock { state in
            state.results[index] = result
            return state.results.count == count ? state.waiter.take() : nil
        }
        waiter?.resume()
    }

    /// The results in order, once all threads have ended. Awaited once.
    var value: [Result<Value, RendezvousError>] {
        get async {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isDone = state.withLock { state in
                    if state.results.count < count { state.waiter = continuation }
                    return state.results.count == count
                }
                if isDone { continuation.resume() }
            }
            return state.withLock { state in (0..<count).compactMap { state.results[$0] } }
        }
    }
}

/// The error of each rank; a rank without one fails the test.
func errors<Value>(_ results: [Result<Value, RendezvousError>]) throws -> [RendezvousError] {
    try results.map { result in
        switch result {
        case .success: throw Unexpected(text: "a rank succeeded")
        case .failure(let error): error
        }
    }
}

struct Unexpected: Error {
    var text: String
}

private nonisolated func startThread(_ body: @escaping @Sendable () -> Void) { Thread.detachNewThread(body) }

/// Values that several threads put down, by number.
final class Collected<Value: Sendable>: Sendable {
    private let values = Mutex<[Int: Value]>([:])

    /// - Returns: how many there are now.
    @discardableResult
    func put(_ value: Value, at index: Int) -> Int {
        values.withLock { values in
            values[index] = value
            return values.count
        }
    }

    subscript(index: Int) -> Value? { values.withLock { $0[index] } }
    var count: Int { values.withLock { $0.count } }
}
