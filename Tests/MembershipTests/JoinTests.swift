import Foundation
import Logging
import NIOPosix
import Synchronization
import Testing

@testable import Membership

@Suite struct JoinTests {
    /// What one process among right ones does wrong, and what all are told.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var rank = 2
        var worldSize = 3
        var version = "1.2.3"
        var words: [String]

        var testDescription: String { words.joined(separator: ", ") }
    }

    @Test(arguments: [
        Mistake(worldSize: 4, words: ["rank 2", "world of 4", "of 3", "WORLD_SIZE"]),
        Mistake(version: "9.9", words: ["rank 2", "9.9", "1.2.3", "same version"]),
        Mistake(rank: 3, words: ["rank 3", "world of 3", "RANK"]),
        Mistake(rank: -1, words: ["rank -1", "world of 3", "RANK"]),
        Mistake(rank: 1, words: ["rank 1", "127.0.0.1", "RANK"]),
    ])
    func aMistakeOfOneIsToldToEveryRank(mistake: Mistake) async throws {
        let world = try World(3)
        let found = try errors(
            await onThreads(3) { index throws(RendezvousError) in
                index < 2
                    ? try world.join(index)
                    : try world.join(mistake.rank, worldSize: mistake.worldSize, version: mistake.version)
            })
        #expect(found.allSatisfy { $0 == found[0] })
        #expect(found[0].cause == .configuration)
        for word in mistake.words { #expect(found[0].description.contains(word), "\(found[0])") }
        // Who comes late hears the same.
        let late = #expect(throws: RendezvousError.self) { try world.join(0) }
        #expect(late == found[0])
        #expect(world.coordinator.stop(waitingAtMostSeconds: patience))
    }

    /// A second job with the same address and port, or a rank that was started twice: it alone is refused.
    @Test func aSecondProcessOfARankDoesNotDisturbTheRunningJob() async throws {
        let world = try World(2)
        let ranks = try await world.joinAll()
        let second = #expect(throws: RendezvousError.self) { try world.join(1) }
        #expect(second?.cause == .configuration)
        let other = #expect(throws: RendezvousError.self) { try world.join(3, worldSize: 5) }
        #expect(other?.cause == .configuration)
        let results = await onThreads(2) { rank throws(RendezvousError) in
            try ranks[rank].barrier(label: "undisturbed", timeoutSeconds: patience)
        }
        for result in results { try result.get() }
        #expect(world.coordinator.failure == nil)
        world.end(ranks)
    }

    @Test func theCoordinatorsTimeoutsCountForAll() async throws {
        // By its own the rank would give up after 10 s and the grace of 5 s.
        let world = try World(2, bounds: RendezvousBounds(joinTimeoutSeconds: 20))
        let identity = ClientIdentity(
            rank: 0, worldSize: 2, host: "127.0.0.1", port: world.coordinator.port, version: "1.2.3",
            handshake: Handshake(secret: world.secret))
        let found = try errors(
            await onThreads(1) { _ throws(RendezvousError) in
                let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
                defer { group.end() }
                var joining = Joining(identity: identity, group: group, timeoutSeconds: 10, logger: quiet, announce: { _ in })
                joining.graceSeconds = 5
                _ = try joining.run()
            })
        #expect(found[0].cause == .unreachable && found[0].verdict?.rank == 1, "\(found)")
        world.coordinator.stop()
    }

    /// Whom a rank waits for is said in the log of the coordinator, where it looks for the coordinator in its own.
    @Test func waitingIsSaid() async throws {
        let (log, lines) = Lines.logger()
        var bounds = RendezvousBounds(joinTimeoutSeconds: 10 * patience, livenessTimeoutSeconds: 10 * patience)
        bounds.noticeSeconds = 0.2
        let coordinator = try Coordinator.start(
            host: "127.0.0.1", port: 0, expectedAt: "node1", worldSize: 2, secret: "x", version: "1", bounds: bounds, logger: log)
        let port = coordinator.port
        let join: @Sendable (Int) throws(RendezvousError) -> ControlPlaneClient = { rank throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: rank, worldSize: 2, host: "127.0.0.1", port: port, secret: "x", version: "1", joinTimeoutSeconds: 10 * patience,
                logger: quiet, onVerdict: { _ in })
        }
        let first = onThreadsLater(1) { _ throws(RendezvousError) in try join(0) }
        // After 0.2, 0.8, 3.2, 13, 51 s ...; the first times rank 0 may not be there either.
        let isSaid = try await offPool {
            Monitor(()).wait(until: .after(seconds: 5 * patience)) { _ in
                lines.all.count { $0.contains("1 of 2, expected at node1 port \(port)") } >= 2 ? true : nil
            }
        }
        #expect(isSaid == true, "\(lines.all)")
        let second = await onThreads(1) { _ throws(RendezvousError) in try join(1) }
        for result in await first.value + second { try result.get().leave() }
        coordinator.stop()
    }

    @Test func namesTheRanksThatNeverCome() async throws {
        let world = try World(8, bounds: RendezvousBounds(joinTimeoutSeconds: 15))
        let here = [0, 1, 3, 4]
        let found = try errors(await onThreads(here.count) { index throws(RendezvousError) in try world.join(here[index]) })
        #expect(found.allSatisfy { $0 == found[0] && $0.cause == .unreachable })
        #expect(found[0].detail == "rank 2: ranks 2, 5-7 did not arrive within 15 s (during joining)")
        let late = #expect(throws: RendezvousError.self) { try world.join(5) }
        #expect(late == found[0])
        world.coordinator.stop()
    }

    @Test func aWrongSecretIsRefusedAtOnceAndNamedToTheOthers() async throws {
        let world = try World(2, bounds: RendezvousBounds(joinTimeoutSeconds: 15))
        let found = try errors(
            await onThreads(2) { rank throws(RendezvousError) in
                rank == 0 ? try world.join(0) : try world.join(1, secret: JobSecret("another"))
            })
        let (waiting, refused) = (found[0], found[1])
        #expect(refused.cause == .configuration)
        #expect(refused.description.contains("VERBENA_SECRET"))
        #expect(waiting.cause == .unreachable)
        #expect(waiting.detail.contains("rank 1: it did not arrive within 15 s; a connection from 127.0.0.1:"), "\(waiting)")
        #expect(waiting.detail.contains("claiming rank 1, failed authentication (during"), "\(waiting)")
        #expect(waiting.detail.components(separatedBy: "failed authentication").count == 2, "it was tried once only: \(waiting)")
        #expect(waiting.remedy.contains("VERBENA_SECRET"))
        world.coordinator.stop()
    }

    @Test func aRankThatDiesWhileJoiningIsToldToTheOthers() async throws {
        let world = try World(3)
        var dying: RawRank? = try RawRank(1, in: world)
        #expect(dying != nil)
        dying = nil
        let found = try errors(await onThreads(1) { _ throws(RendezvousError) in try world.join(0) })
        #expect(found[0].verdict?.rank == 1)
        #expect(found[0].verdict?.operation == "joining")
        world.coordinator.stop()
    }

    @Test func waitsForACoordinatorThatStartsLater() async throws {
        let place = try RawListener(isListening: false)
        let port = place.port
        let started = Mutex<Coordinator?>(nil)
        let starter = Starter {
            // The first attempt has failed: now it starts.
            let coordinator = try? Coordinator.start(
                host: "127.0.0.1", port: port, worldSize: 1, secret: "late", version: "1", logger: quiet)
            started.withLock { $0 = coordinator }
        }
        let result = await onThreads(1) { _ throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: 0, worldSize: 1, host: "127.0.0.1", port: port, secret: "late", version: "1", joinTimeoutSeconds: patience,
                logger: Logger(label: "starter", factory: { _ in starter }), onVerdict: { _ in })
        }
        try result[0].get().leave()
        #expect(started.withLock { $0 }?.stop(waitingAtMostSeconds: patience) == true)
        withExtendedLifetime(place) {}
    }

    @Test func saysWhereNobodyAnswers() async throws {
        let place = try RawListener(isListening: false)
        let refused = await onThreads(1) { _ throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: 0, worldSize: 2, host: "127.0.0.1", port: place.port, secret: "x", version: "1", joinTimeoutSeconds: 0.3,
                logger: quiet, onVerdict: { _ in })
        }
        let error = try errors(refused)[0]
        #expect(error.cause == .unreachable)
        for word in ["rank 0", "127.0.0.1 port \(place.port)", "0.3 s", "last attempt: connection refused", "MASTER_ADDR", "MASTER_PORT"] {
            #expect(error.description.contains(word), "\(error)")
        }
        let nowhere = await onThreads(1) { _ throws(RendezvousError) in
            try ControlPlaneClient.join(
                rank: 0, worldSize: 2, host: "no-such-host.invalid", port: 1, secret: "x", version: "1", joinTimeoutSeconds: 0.1,
                logger: quiet, onVerdict: { _ in })
        }
        #expect(try errors(nowhere)[0].detail.contains("cannot resolve no-such-host.invalid"), "\(nowhere)")
    }

    @Test func saysThatAnotherServerAnswers() async throws {
        let listener = try RawListener()
        let found = await onThreads(2) { index throws(RendezvousError) -> ControlPlaneClient? in
            if index == 0 {
                do {
                    let connection = try listener.accept()
                    connection.send(Array("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".utf8))
                    try connection.waitUntilClosed()
                } catch { Issue.record(error) }
                return nil
            }
            return try ControlPlaneClient.join(
                rank: 0, worldSize: 2, host: "127.0.0.1", port: listener.port, secret: "x", version: "1",
                joinTimeoutSeconds: patience, logger: quiet, onVerdict: { _ in })
        }
        #expect(try errors([found[1]])[0].cause == .configuration)
    }

    @Test func aTakenPortIsNamed() throws {
        let first = try World(1)
        let port = first.coordinator.port
        let error = #expect(throws: RendezvousError.self) {
            try Coordinator.start(host: "127.0.0.1", port: port, worldSize: 1, secret: "x", version: "1", logger: quiet)
        }
        #expect(error?.cause == .configuration)
        for word in ["MASTER_PORT", "\(port)", "free port"] { #expect(error?.description.contains(word) == true) }
        first.coordinator.stop()
    }

    @Test func anAddressOfAnotherMachineIsNamed() throws {
        // 192.0.2.0/24 is kept for documentation: no machine has it.
        let error = #expect(throws: RendezvousError.self) {
            try Coordinator.start(host: "192.0.2.1", port: 0, worldSize: 1, secret: "x", version: "1", logger: quiet)
        }
        #expect(error?.cause == .configuration)
        #expect(error?.description.contains("192.0.2.1") == true)
    }
}

/// Calls `action` at the first line that is logged.
private struct Starter: LogHandler {
    private let action: Once
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(_ action: @escaping @Sendable () -> Void) { self.action = Once(action) }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) { action.run() }

    private final class Once: Sendable {
        private let action: Mutex<(@Sendable () -> Void)?>

        init(_ action: @escaping @Sendable () -> Void) { self.action = Mutex(action) }

        func run() { action.withLock { $0.take() }?() }
    }
}

/// What is logged at the level that users see.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    static func logger() -> (Logger, Lines) {
        let lines = Lines()
        return (Logger(label: "lines", factory: { _ in Handler(lines: lines) }), lines)
    }

    private struct Handler: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.warning

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }

        func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.message)") } }
    }
}
