import Foundation
import Synchronization
import Verbena

/// Ranks of one job on threads of this process, each with a communicator of its own, found by the usual variables.
enum LocalRanks {
    /// What each rank's body gave or threw, by rank.
    typealias Outcomes<R> = [Result<R, any Error>]

    /// Changes a rank's configuration.
    typealias Configure = @Sendable (inout Configuration, Int) -> Void

    /// Generous: what a test waits for so long hangs.
    static let patience: DispatchTimeInterval = .seconds(60)

    /// Runs `body` on every rank and waits for all. A body that throws leaves without closing, as a program would that ends.
    static func run<R: Sendable>(
        _ ranks: Int, fabric: FabricChoice, configure: @escaping @Sendable (inout Configuration, Int) -> Void = { _, _ in },
        _ body: @escaping @Sendable (Communicator) throws -> R
    ) -> Outcomes<R> {
        runJoining(ranks, fabric: fabric, configure: configure) { configuration in try work(configuration, body) }
    }

    /// The same for a body that joins by itself.
    static func runJoining<R: Sendable>(
        _ ranks: Int, fabric: FabricChoice, configure: @escaping @Sendable (inout Configuration, Int) -> Void = { _, _ in },
        _ body: @escaping @Sendable (Configuration) throws -> R
    ) -> Outcomes<R> {
        let port = freePort()
        let outcomes = Mutex<[Int: Result<R, any Error>]>([:])
        let ended = DispatchSemaphore(value: 0)
        let threads = (0..<ranks).map { rank in
            Thread {
                let outcome = Result { () throws -> R in
                    var configuration = try Configuration(
                        fabric: fabric,
                        environment: [
                            "RANK": "\(rank)", "WORLD_SIZE": "\(ranks)", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
                            "VERBENA_SECRET": "of this test",
                        ])
                    configure(&configuration, rank)
                    return try body(configuration)
                }
                outcomes.withLock { $0[rank] = outcome }
                ended.signal()
            }
        }
        for thread in threads { thread.start() }
        for _ in threads { ended.wait() }
        return outcomes.withLock { all in (0..<ranks).map { all[$0]! } }
    }

    private static func work<R>(_ configuration: Configuration, _ body: (Communicator) throws -> R) throws -> R {
        let communicator = try Communicator.join(configuration)
        do {
            let answer = try body(communicator)
            try communicator.close()
            return answer
        } catch {
            communicator.leave()
            throw error
        }
    }

    /// A port that was free a moment ago; the kernel does not give it to others soon.
    private static func freePort() -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the address lives on this stack for the length of both calls.
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = unsafe bind(descriptor, $0, length)
                _ = unsafe getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}

/// The fabrics that this machine has.
enum Fabrics {
    static let hasDevice: Bool = {
        guard let configuration = try? Configuration(fabric: .verbs, environment: [:]) else { return false }
        return (try? configuration.checkFabric()) != nil
    }()
    /// `Tests/rxe/run-all` says so: what shared memory does was seen outside the guest, at ten times the speed.
    static let areDevicesAlone = hasDevice && ProcessInfo.processInfo.environment["VERBENA_TEST_DEVICES_ALONE"] == "1"
    static let available: [FabricChoice] = areDevicesAlone ? [.verbs] : hasDevice ? [.sharedMemory, .verbs] : [.sharedMemory]
}

/// Runs `body` on so many threads at once, and waits for all.
/// - Throws: what one of them has thrown.
func onThreads(_ count: Int, _ body: @Sendable (Int) throws -> Void) throws {
    let failure = Mutex<(any Error)?>(nil)
    DispatchQueue.concurrentPerform(iterations: count) { thread in
        do { try body(thread) } catch { failure.withLock { $0 = error } }
    }
    if let error = failure.withLock({ $0 }) { throw error }
}

/// Gives every piece of a task a thread of its own: of Swift's pool, which has one a core, tests that wait hold all.
final class OwnThreads: TaskExecutor {
    static let shared = OwnThreads()

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // SAFETY: the thread keeps the executor.
        Thread.detachNewThread { [self] in unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
