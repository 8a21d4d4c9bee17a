import Fabric
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Launch
@testable import Membership
@testable import Verbena

/// The launcher in a host program that has children and signals of its own.
@Suite struct LocalJobTests {
    private static func spawn(_ script: String) throws -> pid_t {
        // SAFETY: the C strings live until they are freed below, after the call that reads them.
        let words: [String] = ["sh", "-c", script]
        var arguments: [UnsafeMutablePointer<CChar>?] = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var child: pid_t = 0
        guard unsafe posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0 else { throw Wrong("posix_spawn: \(errno)") }
        return child
    }

    private static func wait(for scripts: [String]) throws -> (status: Int32, ends: [Int: String]) {
        var children = ChildProcesses()
        for (rank, script) in scripts.enumerated() { children.add(try spawn(script), rank: rank) }
        var ends: [Int: String] = [:]
        let status = LocalJob.wait(for: &children) { ends[$0] = $1 }
        return (status, ends)
    }

    @Test func waitsForItsOwnChildrenOnly() throws {
        let other = try Self.spawn("exit 5")
        // It has ended, and waits to be reaped, before the first rank does.
        var info = unsafe siginfo_t()
        // SAFETY: the structure outlives the call.
        #expect(unsafe waitid(P_PID, id_t(other), &info, WEXITED | WNOWAIT) == 0)
        let (status, ends) = try Self.wait(for: ["exit 0", "exit 0"])
        #expect(status == 0 && ends.count == 2)
        var left: Int32 = 0
        // SAFETY: the variable outlives the call.
        let reaped = unsafe waitpid(other, &left, WNOHANG)
        #expect(reaped == other && left == 5 << 8)
    }

    @Test(arguments: [(["exit 0", "exit 7"], 7), (["kill -9 $$", "exit 0"], 1), (["exit 3"], 3), ([], 0)] as [([String], Int32)])
    func theFirstFailureIsTheStatus(scripts: [String], wanted: Int32) throws {
        let (status, ends) = try Self.wait(for: scripts)
        #expect(status == wanted && ends.count == scripts.count)
        if wanted == 1 { #expect(ends[0]?.contains("signal 9") == true) }
    }

    @Test func aRankThatSomebodyElseReapsIsNoSuccess() throws {
        var children = ChildProcesses()
        let child = try Self.spawn("exit 0")
        children.add(child, rank: 0)
        children.add(try Self.spawn("exit 0"), rank: 1)
        #expect(waitpid(child, nil, 0) == child)
        let ended = Mutex<[Int]>([])
        #expect(LocalJob.wait(for: &children) { rank, _ in ended.withLock { $0.append(rank) } } == 1)
        #expect(ended.withLock { $0.sorted() } == [0, 1])
    }

    @Test func anIgnoredChildSignalIsIgnoredAgainAfterwards() async {
        await #expect(processExitsWith: .success) {
            signal(SIGCHLD, SIG_IGN)
            let childSignal = ChildSignal.keepingEnds()
            let (status, _) = try LocalJobTests.wait(for: ["exit 7"])
            guard status == 7 else { exit(1) }
            childSignal.restore()
            // The kernel reaps this one.
            let child = try LocalJobTests.spawn("exit 0")
            guard waitpid(child, nil, 0) < 0, errno == ECHILD else { exit(2) }
            exit(0)
        }
    }

    @Test func aHandlerOfTheChildSignalStays() async {
        await #expect(processExitsWith: .success) {
            signal(SIGCHLD) { _ in }
            let childSignal = ChildSignal.keepingEnds()
            _ = try LocalJobTests.wait(for: ["exit 0"])
            childSignal.restore()
            var now = sigaction()
            // SAFETY: the structure outlives the call.
            guard unsafe sigaction(SIGCHLD, nil, &now) == 0, unsafe now.__sigaction_handler.sa_handler != nil else { exit(1) }
            exit(0)
        }
    }
}

@Suite struct VerdictListenersTests {
    /// Two threads split different communicators: both are told, also where one has connected meanwhile.
    @Test func aVerdictWakesEveryFabricThatConnects() {
        let listeners = VerdictListeners()
        let woken = Mutex<[Int]>([])
        func waker(_ number: Int) -> Waker { Waker { woken.withLock { $0.append(number) } } }
        for number in 0..<3 { _ = listeners.beginConnecting(waker(number), .running) }
        listeners.endConnecting(2)
        let verdict = Verdict(rank: 1, cause: .died, "gone", during: "test")
        listeners.hear(verdict)
        #expect(woken.withLock { $0.sorted() } == [0, 2])
        _ = listeners.beginConnecting(waker(3), .failed(verdict))
        #expect(woken.withLock { $0.sorted() } == [0, 2, 3])
    }
}
