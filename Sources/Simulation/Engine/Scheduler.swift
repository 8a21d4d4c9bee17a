internal import Engine
internal import Foundation
internal import SimulatedFabric

/// Lets one thread of a world run at a time, chosen by a seed at every point, in virtual time: the manner of loom and Shuttle.
///
/// Threads are real, so that the engine's code runs as it is. A thread goes on only when another one hands over to it; where none can run, time
/// passes to the next event or deadline; where there is neither, the world is stuck, which is a finding. Threads of a stuck world stay parked.
// Sendable without the compiler's proof: one thread at a time runs, and a semaphore's hand-over orders what they do.
final class Scheduler: FabricScheduler, @unchecked Sendable {
    // Sendable without the compiler's proof: see `Scheduler`.
    final class Fiber: @unchecked Sendable {
        let name: String
        let turn = DispatchSemaphore(value: 0)
        /// What it sleeps on; 0 where it can run.
        var key: UInt = 0
        var deadline = UInt64.max
        init(_ name: String) { self.name = name }
    }

    private(set) var clock: UInt64 = 0
    private(set) var switches = 0
    private(set) var finding: String?
    var random: SeededRandom
    var network: SimulatedNetwork?
    /// Whether sleep that is only a safety net ends by itself. Without, a lost wake-up is a world that is stuck.
    private let hasNets: Bool
    private let switchesPerMille: Int
    private let boundNanoseconds: UInt64
    private var fibers: [Fiber] = []
    private var current: Fiber
    private var events: [(time: UInt64, body: () -> Void)] = []
    private let over = DispatchSemaphore(value: 0)

    private static let maxSwitches = 1_000_000
    /// The longest of the engine's safety nets in the fabric.
    private static let netNanoseconds: UInt64 = 100_000_000

    init(seed: UInt64, hasNets: Bool, boundNanoseconds: UInt64) {
        random = SeededRandom(seed: seed)
        self.hasNets = hasNets
        self.boundNanoseconds = boundNanoseconds
        switchesPerMille = random.pick([30, 150, 500])
        current = Fiber("main")
    }

    // MARK: for the world

    func spawn(_ name: String, _ body: @escaping () -> Void) {
        let fiber = Fiber(name)
        fibers.append(fiber)
        // SAFETY: closures and what they hold are kept until they have run, and one thread at a time runs.
        nonisolated(unsafe) let work = body
        let thread = Thread { [self] in
            fiber.turn.wait()
            unsafe work()
            fibers.removeAll { $0 === fiber }
            if fibers.isEmpty { over.signal() } else { handOver(isLast: true) }
        }
        thread.stackSize = 256 << 10
        thread.start()
    }

    /// Runs the fibers until all have ended, or something is wrong.
    func run() {
        choose()?.turn.signal()
        over.wait()
        // The network holds this object.
        (network, events) = (nil, [])
    }

    func at(_ time: UInt64, _ body: @escaping () -> Void) {
        let place = events.firstIndex { $0.time > time } ?? events.count
        events.insert((max(time, clock), body), at: place)
    }

    /// Every clock of the world jumps, as where all its processes were stopped.
    func jump(nanoseconds: UInt64) { clock += nanoseconds }

    func sleep(nanoseconds: UInt64) { sleep(on: .max, until: clock + nanoseconds) }

    /// Until `isThere`, or the deadline. `wake` of the key makes it look again.
    func sleep(on key: UInt, until deadline: UInt64 = .max, _ isThere: () -> Bool) -> Bool {
        point()
        while !isThere() {
            if clock >= deadline { return false }
            sleep(on: key, until: deadline)
        }
        return true
    }

    // MARK: for the engine and the fabric

    func point() {
        pass(to: clock + UInt64(random.below(400)))
        if random.chance(perMille: switchesPerMille) { handOver() }
    }

    func sleep(place: Int, until deadline: UInt64) {
        let isNet = deadline <= clock + Self.netNanoseconds
        sleep(on: UInt(place) + 1, until: isNet && !hasNets ? .max : deadline)
    }

    func sleep(word: UInt, nanoseconds: UInt64) {
        // Shorter ones, such as the naps of a progress thread that only watches, the engine counts on.
        let isNet = nanoseconds > Self.netNanoseconds
        sleep(on: word, until: isNet && !hasNets ? .max : clock + nanoseconds)
    }

    func wake(_ key: UInt) { for fiber in fibers where fiber.key == key { fiber.key = 0 } }

    private func sleep(on key: UInt, until deadline: UInt64) {
        (current.key, current.deadline) = (key, deadline)
        handOver()
    }

    // MARK: who runs, and when

    /// Another fiber goes on, or this one where the seed says so.
    private func handOver(isLast: Bool = false) {
        let own = current
        guard let next = choose() else {
            over.signal()
            if !isLast { own.turn.wait() }
            return
        }
        current = next
        guard next !== own || isLast else { return }
        next.turn.signal()
        if !isLast { own.turn.wait() }
    }

    /// Whose turn it is, letting time pass where nobody can run; nil where something is wrong.
    private func choose() -> Fiber? {
        switches += 1
        while finding == nil {
            wakeFabrics()
            var ready = 0
            for fiber in fibers where fiber.key == 0 { ready += 1 }
            if ready > 0 {
                var left = random.below(ready)
                for fiber in fibers where fiber.key == 0 {
                    if left == 0 {
                        if switches == 1 { current = fiber }
                        return switches < Self.maxSwitches ? fiber : fail("endless: \(switches) switches")
                    }
                    left -= 1
                }
            }
            let next = min(fibers.reduce(UInt64.max) { min($0, $1.deadline) }, events.first?.time ?? .max, network?.nextTime ?? .max)
            guard next < .max else { return fail("stuck") }
            pass(to: max(clock, next))
            if clock > boundNanoseconds { return fail("not over after \(clock) ns") }
        }
        return nil
    }

    private func fail(_ what: String) -> Fiber? {
        finding =
            what + ": "
            + fibers.map { "\($0.name)\($0.key == 0 ? "" : $0.key < 1_000 ? " in the fabric" : " sleeps")" }.joined(separator: ", ")
        return nil
    }

    private func pass(to time: UInt64) {
        clock = max(clock, time)
        network?.pass(to: clock)
        while let first = events.first, first.time <= clock {
            events.removeFirst()
            first.body()
        }
        for fiber in fibers where fiber.deadline <= clock { (fiber.key, fiber.deadline) = (0, .max) }
    }

    private func wakeFabrics() {
        for fiber in fibers where fiber.key > 0 && fiber.key < 1_000 && network?.isReady(place: Int(fiber.key) - 1) == true {
            fiber.key = 0
        }
        for fiber in fibers where fiber.key == 0 { fiber.deadline = .max }
    }
}

/// The engine's host in a scheduled world.
struct ScheduledHost: EngineHost {
    let scheduler: Scheduler
    let mutation: EngineMutation?

    func now() -> UInt64 { scheduler.clock }

    func sleep(on word: UnsafePointer<UInt32>, while value: UInt32, nanoseconds: UInt64) {
        scheduler.point()
        // SAFETY: the caller keeps the word; other threads are parked.
        guard unsafe word.pointee == value else { return }
        scheduler.sleep(word: UInt(bitPattern: word), nanoseconds: nanoseconds)
    }

    func wake(_ word: UnsafePointer<UInt32>) { scheduler.wake(UInt(bitPattern: word)) }

    func runDelayMeter() -> RunDelayMeter? { nil }

    func startThread(named name: String, _ body: @escaping @Sendable () -> Void) { scheduler.spawn(name, body) }

    func point() { scheduler.point() }

    func isMutated(_ mutation: EngineMutation) -> Bool { self.mutation == mutation }
}
