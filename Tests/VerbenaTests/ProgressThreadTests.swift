import Collectives
import Engine
import Fabric
import Foundation
import Membership
import Synchronization
import Testing

/// What the progress thread sleeps through and what wakes it, on a fabric where nothing ever comes and by a clock that the test alone moves: so whatever ends
/// a sleep is what the test has done.
@Suite(.timeLimit(.minutes(2))) struct ProgressThreadTests {
    static let barrier = Operation(.barrier, input: Place(.receiveBuffers), type: .uint8)
    static let death = Verdict(rank: 1, cause: .died, "its process ended", during: "the test")

    typealias Running = ProgressEngine<SilentFabric, HeldHost>

    static func engine(_ fabric: FabricSleeps, _ host: HeldHost, usesHooks: Bool) throws -> Running {
        var settings = ExecutorSettings(topology: Topology(nodeOfRank: [0, 1]), receiveBufferByteLimit: 1 << 16)
        settings.messageBytes = 1 << 20
        var executor = try Executor(fabric: SilentFabric(sleeps: fabric, depth: settings.arrivalDepth), settings: settings)
        try executor.attach(.receiveBuffers, descriptors: [[], []])
        let engine = Running(executor: executor, group: Alone(), waits: WaitPolicy(), usesHooks: usesHooks, host: host)
        engine.start()
        return engine
    }

    // MARK: a fabric that gathers events

    /// A thread that begins to wait for an operation ends a patient sleep, and the next one is none; when it waits no more, patience is back.
    @Test func whoBeginsToWaitEndsPatience() throws {
        let (sleeps, host) = (FabricSleeps(), HeldHost())
        let engine = try Self.engine(sleeps, host, usesHooks: false)
        let number = try engine.submit(Self.barrier)
        #expect(sleeps.next() == .patient)
        // Who only asks waits for nothing.
        #expect(try engine.wait(number, until: 0) == nil && sleeps.isAsleep)

        let ended = DispatchSemaphore(value: 0)
        let givesUp = Atomic(false)
        let deadline = host.now() + 1_000_000
        Thread.detachNewThread {
            givesUp.store((try? engine.wait(number, until: deadline)) == .some(nil), ordering: .relaxed)
            ended.signal()
        }
        #expect(sleeps.next() == .hurried)
        host.pass(nanoseconds: 1_000_000)
        ended.wait()
        #expect((givesUp.load(ordering: .relaxed)) == true)
        sleeps.wake()
        #expect(sleeps.next() == .patient)

        engine.deliver(Self.death)
        #expect(throws: VerbenaError.self) { try engine.wait(number) }
        engine.release(number)
        engine.stop(orderly: false)
    }

    // MARK: naps, with hooks

    /// A nap twice as long follows one in which a thread has looked, whatever ended that: the time, a call or a started operation.
    @Test func napsGrowWhileThreadsLook() throws {
        let host = HeldHost()
        let engine = try Self.engine(FabricSleeps(), host, usesHooks: true)
        #expect(host.nextNap() == 200)
        // It looks, and rings.
        let number = try engine.submit(Self.barrier)
        #expect(host.nextNap() == 4)
        engine.look()
        #expect(try engine.isInUse(.receiveBuffers))
        #expect(host.nextNap() == 8)
        for _ in 0..<3 {
            engine.look()
            host.passNap()
            #expect(host.nextNap() == 16)
        }
        end(engine, number)
    }

    /// The shortest nap follows one in which nobody has looked, whatever ended that: the time, or a call, which is answered at once.
    @Test(arguments: [false, true]) func napsAreShortWhereNobodyLooks(isCalled: Bool) throws {
        let host = HeldHost()
        let engine = try Self.engine(FabricSleeps(), host, usesHooks: true)
        #expect(host.nextNap() == 200)
        let number = try engine.submit(Self.barrier)
        #expect(host.nextNap() == 4)
        engine.look()
        host.passNap()
        #expect(host.nextNap() == 8)
        if isCalled { #expect(try engine.isInUse(.receiveBuffers)) } else { host.passNap() }
        #expect(host.nextNap() == 2)
        end(engine, number)
    }

    /// A verdict ends what is under way in the middle of the longest nap, and nobody looks.
    @Test func aVerdictEndsANap() throws {
        let host = HeldHost()
        let engine = try Self.engine(FabricSleeps(), host, usesHooks: true)
        #expect(host.nextNap() == 200)
        let number = try engine.submit(Self.barrier)
        #expect(host.nextNap() == 4)
        for wanted: UInt64 in [8, 16] {
            engine.look()
            host.passNap()
            #expect(host.nextNap() == wanted)
        }
        engine.deliver(Self.death)
        // Nothing is left that it would have to watch.
        #expect(host.nextNap() == 200 && engine.hasEnded(number))
        end(engine, number)
    }

    private func end(_ engine: Running, _ number: Int) {
        engine.deliver(Self.death)
        #expect(throws: VerbenaError.self) { try engine.wait(number) }
        engine.release(number)
        engine.stop(orderly: false)
    }
}

/// The sleeps of a `SilentFabric`: each ends when its waker is used, or the test wakes it.
// Sendable without the compiler's proof: everything is touched under `turn`.
final class FabricSleeps: @unchecked Sendable {
    enum Kind { case patient, hurried }

    private let turn = NSCondition()
    private var begun: [Kind] = []
    private var seen = 0
    private var isRung = false
    private var sleeper = false

    /// The owner.
    func hold(_ kind: Kind) {
        turn.withLock {
            begun.append(kind)
            sleeper = true
            turn.broadcast()
            while !isRung { turn.wait() }
            (isRung, sleeper) = (false, false)
        }
    }

    /// Any thread.
    func wake() {
        turn.withLock {
            isRung = true
            turn.broadcast()
        }
    }

    /// Of the next sleep, when it has begun; nil where none begins.
    func next() -> Kind? {
        turn.withLock {
            let end = Date(timeIntervalSinceNow: 60)
            while begun.count == seen { guard turn.wait(until: end) else { return nil } }
            seen += 1
            return begun[seen - 1]
        }
    }

    /// Whether the last sleep that `next` has told goes on, and nobody has rung.
    var isAsleep: Bool { turn.withLock { sleeper && !isRung && begun.count == seen } }
}

/// Rank 0 of two, of which the other never writes anything. It gathers events, of which there are none.
// SAFETY (whole file): regions live as long as the fabric, and nobody but the executor touches them.
struct SilentFabric: Fabric, ~Copyable {
    let sleeps: FabricSleeps
    let depth: Int
    private var regions: [Region] = []
    private var tickets: UInt64 = 0

    init(sleeps: FabricSleeps, depth: Int) { (self.sleeps, self.depth) = (sleeps, depth) }

    deinit { for region in regions { unsafe region.base.deallocate() } }

    var name: String { "silent" }
    var deviceName: String { "none" }
    var rank: Int { 0 }
    var worldSize: Int { 2 }
    var channelsPerPeer: Int { 1 }
    var writeDepth: Int { depth }
    var arrivalDepth: Int { depth }
    var endpoint: [UInt8] { [] }
    var gathersEvents: Bool { true }

    mutating func connect(to peers: [Int: [UInt8]], deadline: FabricInstant) {}
    mutating func allocate(byteCount: Int) -> Region {
        let base = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096)
        regions.append(unsafe Region(identifier: UInt32(regions.count), base: base, byteCount: byteCount))
        return regions[regions.count - 1]
    }
    mutating func register(_ memory: LentMemory) -> Region? { nil }
    mutating func release(_ region: Region) {}
    func descriptor(of region: Region) -> [UInt8] { [] }
    mutating func attach(_ descriptor: [UInt8], of peer: Int) -> RemoteRegion { RemoteRegion(peer: peer, identifier: 0, byteCount: .max) }
    @unsafe func address(of region: RemoteRegion) -> UnsafeMutableRawPointer? { nil }
    mutating func detach(_ region: RemoteRegion) {}

    mutating func write(_ write: Write) -> UInt64 {
        tickets += 1
        return tickets
    }

    mutating func poll() -> FabricEvent? { nil }
    mutating func wait(until deadline: FabricInstant) { sleeps.hold(.hurried) }
    mutating func waitPatiently(until deadline: FabricInstant) { sleeps.hold(.patient) }
    func now() -> FabricInstant { FabricInstant(nanoseconds: 0) }
    func waker() -> Waker { Waker { [sleeps] in sleeps.wake() } }
    mutating func close(deadline: FabricInstant) {}
}

/// A host whose time is the test's, and that tells how long the progress thread means to nap.
// Sendable without the compiler's proof: everything is touched under `turn`.
final class HeldHost: EngineHost, @unchecked Sendable {
    private let turn = NSCondition()
    private var clock: UInt64 = 1
    private var progressThread: Thread?
    private var naps: [UInt64] = []
    private var seen = 0

    func now() -> UInt64 { turn.withLock { clock } }

    // The test ends it.
    func sleep(on word: UnsafePointer<UInt32>, while value: UInt32, nanoseconds: UInt64) {  // tidy: allow sleep-in-tests, ended by the test
        // SAFETY: the caller keeps the word, which is an atomic, until this returns. Who changes it calls `wake` then.
        let word = unsafe UnsafePointer<Atomic<UInt32>>(OpaquePointer(word))
        turn.withLock {
            if Thread.current === progressThread {
                naps.append(nanoseconds)
                turn.broadcast()
            }
            let end = clock + nanoseconds
            while unsafe word.pointee.load(ordering: .relaxed) == value, clock < end { turn.wait() }
        }
    }

    func wake(_ word: UnsafePointer<UInt32>) { turn.withLock { turn.broadcast() } }

    func runDelayMeter() -> RunDelayMeter? { nil }

    func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread(block: body)
        turn.withLock { progressThread = thread }
        thread.start()
    }

    func point() {}
    func isMutated(_ mutation: EngineMutation) -> Bool { false }

    // MARK: the test

    /// Of the next nap of the progress thread, when it has begun, in milliseconds; nil where none begins.
    func nextNap() -> UInt64? {
        turn.withLock {
            let end = Date(timeIntervalSinceNow: 60)
            while naps.count == seen { guard turn.wait(until: end) else { return nil } }
            seen += 1
            return naps[seen - 1] / 1_000_000
        }
    }

    func pass(nanoseconds: UInt64) {
        turn.withLock {
            clock += nanoseconds
            turn.broadcast()
        }
    }

    /// Lets the time of the last nap pass.
    func passNap() { pass(nanoseconds: turn.withLock { naps[seen - 1] }) }
}

/// A control plane without others, who agree to everything.
private struct Alone: ControlPlane {
    var name: String { "" }
    var jobRanks: [Int] { [0, 1] }
    var rank: Int { 0 }
    func agree(on own: Verdict, isConclusion: Bool) -> Verdict { own }
    func reportWaiting(in operation: String, number: UInt64, order: Int, for peer: Int) {}
    func naming(_ operation: String) -> String { operation }
}
