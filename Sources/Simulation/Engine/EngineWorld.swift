internal import Collectives
internal import Engine
internal import Fabric
internal import Membership
internal import SimulatedFabric

/// A scenario of engines, carried out: an engine for each rank, and maybe one for a child, the threads that call them, and the control plane.
///
/// Threads of a rank: "main" carries out the collectives and closes, "waiter" waits for what main has shared, "urgent" carries out urgent ones, "transfers" sends and receives,
/// "child" uses the child, "control" brings the verdict, "fate" leaves or aborts; and each engine's own.
// Sendable without the compiler's proof: see `Scheduler`.
final class EngineWorld: @unchecked Sendable {
    typealias Engine = ProgressEngine<SimulatedFabric, ScheduledHost>
    typealias Member = SimulatedCoordinator.Member

    /// How a call ended.
    struct Outcome {
        var rank: Int
        var call: String
        var transfer: Int?
        var error: VerbenaError?
        var isRight = true
        /// The rank closes, so that this call may not have begun anything; or, of a started transfer, all ranks know what each has begun.
        var mayBeClosed: Bool
    }

    /// A started operation that several threads wait for; the last one gives it back.
    final class Shared {
        var number: Int?
        var isOver = false
        var waiters = 2
    }

    final class Seat {
        let rank: Int
        let member: Member
        let world: (engine: Engine, group: SimulatedGroup)
        let child: (engine: Engine, group: SimulatedGroup)?
        var running = 0
        var shared: [Shared] = []
        var memory: [Memory] = []
        /// It begins no more urgent collectives.
        var hasBegunUrgents = false
        /// It begins to close, or leaves; and all ranks know what each has begun.
        var isClosing = false
        var isAgreed = false
        /// Its "fate" thread has not ended.
        var isMeetingFate = false
        init(rank: Int, member: Member, world: (Engine, SimulatedGroup), child: (Engine, SimulatedGroup)?) {
            (self.rank, self.member, self.world, self.child) = (rank, member, world, child)
        }
        var engines: [Engine] { [world.engine] + (child.map { [$0.engine] } ?? []) }
        var key: UInt { UInt(bitPattern: ObjectIdentifier(self).hashValue) | 1 << 63 }
    }

    let scenario: EngineScenario
    let scheduler: Scheduler
    let network: SimulatedNetwork
    let coordinator: SimulatedCoordinator
    private var seats: [Seat] = []
    var engines: [Engine] { seats.flatMap(\.engines) }
    private(set) var outcomes: [Outcome] = []

    static let stallMilliseconds: UInt64 = 5_000
    private static let pauseNanoseconds: UInt64 = 20_000_000_000
    private static let sideBytes = 1024
    /// Longer than a world takes as a whole where nothing is wrong.
    private static let computingNanoseconds: UInt64 = 1_000_000_000
    /// In the side buffer, behind what transfers use.
    private static let urgentStart = 512

    init(_ scenario: EngineScenario, mutation: EngineMutation? = nil) throws {
        self.scenario = scenario
        // A stall, an agreement on it, and both once more.
        scheduler = Scheduler(seed: scenario.seed, hasNets: scenario.hasNets, boundNanoseconds: 60_000_000_000)
        var options = SimulationOptions(seed: scenario.seed, worldSize: scenario.ranks)
        options.isStrict = false
        options.traceDepth = 0
        options.wire.jitterNanoseconds = scheduler.random.pick([0, 1_000, 30_000])
        options.completionDelayNanoseconds = UInt64(scheduler.random.below(20_000))
        if scenario.childCollectives > 0 {
            options.groups = [SimulationOptions.Group(number: 0, members: (0..<scenario.ranks).reversed())]
        }
        var faults: [Fault] = []
        if case .death(let rank) = scenario.fate { faults.append(Fault(.crash, rank: rank, atNanoseconds: scenario.fateNanoseconds)) }
        network = SimulatedNetwork(options, faults: faults, driving: .scheduled(scheduler))
        coordinator = SimulatedCoordinator(scheduler, ranks: scenario.ranks)
        let host = ScheduledHost(scheduler: scheduler, mutation: mutation)
        let world = try open(group: nil, host)
        let child = scenario.childCollectives > 0 ? try open(group: 0, host) : nil
        for rank in 0..<scenario.ranks {
            seats.append(
                Seat(rank: rank, member: coordinator.members[rank], world: world[rank], child: child.map { $0[scenario.ranks - 1 - rank] }))
        }
        scheduler.network = network
    }

    private func open(group: Int?, _ host: ScheduledHost) throws -> [(Engine, SimulatedGroup)] {
        let size = scenario.ranks
        var settings = ExecutorSettings(
            topology: Topology(nodeOfRank: Array(0..<size)), stallMilliseconds: Self.stallMilliseconds, receiveBufferByteLimit: 1 << 16)
        settings.messageBytes = 1 << 20
        let first = network.places(ofGroup: group).lowerBound
        let boxes = try (0..<size).map { rank in
            var fabric = try SimulatedFabric(network, rank: rank, group: group)
            var peers: [Int: [UInt8]] = [:]
            for peer in 0..<size where peer != rank { peers[peer] = network.endpoint(of: first + peer) }
            try fabric.connect(to: peers, deadline: .distantFuture)
            return ExecutorBox(try Executor(fabric: fabric, settings: settings))
        }
        let descriptors = boxes.map { $0.descriptor }
        let jobRanks = group == nil ? Array(0..<size) : (0..<size).reversed()
        return try boxes.enumerated().map { rank, box in
            try box.attach(descriptors)
            let group = SimulatedGroup(
                coordinator: coordinator, member: coordinator.members[jobRanks[rank]], name: group == nil ? "" : "child", jobRanks: jobRanks
            )
            var waits = WaitPolicy()
            waits.callerLooks = scenario.looks
            return (Engine(executor: box.take(), group: group, waits: waits, usesHooks: scenario.usesHooks, host: host), group)
        }
    }

    // MARK: threads

    /// Lets all happen.
    /// - Returns: what is wrong, if something is.
    func run() -> String? {
        for seat in seats {
            for engine in seat.engines { engine.start() }
            begin(seat, "main") { self.main(seat) }
            begin(seat, "waiter") { self.waiter(seat) }
            scheduler.spawn("control of rank \(seat.rank)") { self.control(seat) }
        }
        switch scenario.fate {
        case .none, .hasty, .stall: break
        case .pause: scheduler.at(scenario.fateNanoseconds) { self.scheduler.jump(nanoseconds: Self.pauseNanoseconds) }
        case .death(let rank): scheduler.at(scenario.fateNanoseconds) { self.coordinator.die(rank) }
        case .leave(let rank), .abort(let rank):
            seats[rank].isMeetingFate = true
            begin(seats[rank], "fate") { self.meetFate(self.seats[rank]) }
        }
        scheduler.run()
        return scheduler.finding ?? network.violation.map { "\($0)" } ?? judge()
    }

    private func begin(_ seat: Seat, _ name: String, _ body: @escaping () -> Void) {
        seat.running += 1
        scheduler.spawn("\(name) of rank \(seat.rank)") {
            body()
            seat.running -= 1
            self.scheduler.wake(seat.key)
            if seat.running == 0 { self.end(seat) }
        }
    }

    /// The rank's threads have ended. A dead rank's are ended when all others' have, as if they had not been.
    private func end(_ seat: Seat) { coordinator.end(seat.member) }

    private func control(_ seat: Seat) {
        _ = scheduler.sleep(on: seat.member.key) { seat.member.failure != nil || seat.member.isOver }
        guard let verdict = seat.member.failure else { return }
        for engine in seat.engines { engine.deliver(verdict) }
    }

    private func meetFate(_ seat: Seat) {
        defer { seat.isMeetingFate = false }
        if scenario.isHasty {
            // In the middle of closing, if it comes to that in time.
            _ = scheduler.sleep(on: seat.key, until: scheduler.clock + scenario.fateNanoseconds) { seat.isAgreed }
            scheduler.sleep(nanoseconds: UInt64(scheduler.random.below(2_000)))
        } else {
            scheduler.sleep(nanoseconds: scenario.fateNanoseconds)
        }
        if case .abort = scenario.fate {
            _ = seat.world.group.agree(
                on: Verdict(rank: seat.rank, cause: .aborted, "it gives up", during: "the run"), isConclusion: false)
        } else {
            (seat.isClosing, seat.isAgreed) = (true, true)
            stop(seat, orderly: false, because: nil)
        }
    }

    private func stop(_ seat: Seat, orderly: Bool, because reason: VerbenaError?) {
        for engine in seat.engines.reversed() { engine.stop(orderly: orderly, because: reason) }
        coordinator.leave(seat.rank)
    }

    private func main(_ seat: Seat) {
        let (engine, group) = seat.world
        let count = scenario.collectives.count
        seat.shared = (0..<count).map { _ in Shared() }
        var started: [Int] = []
        var memory: Region?
        let error = attempt(seat, "set-up") { () throws(VerbenaError) in
            let (buffer, region) = try self.buffer(seat, engine, group, byteCount: (count + 1) * 64, label: "buffer")
            memory = region
            let (side, sideRegion) = try self.buffer(seat, engine, group, byteCount: Self.sideBytes, label: "side buffer")
            self.begin(seat, "transfers") { self.transfers(seat, side, sideRegion) }
            if !self.scenario.urgents.isEmpty { self.begin(seat, "urgent") { self.urgents(seat, side, sideRegion) } }
            if let child = seat.child { self.begin(seat, "child") { self.child(seat, child.engine, child.group) } }
            for (index, planned) in self.scenario.collectives.enumerated() {
                if index == count - 1, self.scenario.fate == .stall(seat.rank) {
                    _ = self.scheduler.sleep(on: seat.member.key) { seat.member.failure != nil }
                    break
                }
                self.rest()
                let place = Place(buffer, byteOffset: index * 64)
                region.store(Array(repeating: UInt8(index + seat.rank + 1), count: planned.count), at: index * 64)
                let operation = Operation(
                    planned.isBarrier ? .barrier : .allReduce, input: place, count: planned.isBarrier ? 0 : planned.count, type: .uint8)
                if planned.isStarted {
                    let number = try engine.submit(operation)
                    seat.shared[index].number = number
                    if !planned.isShared { seat.shared[index].waiters = 1 }
                    self.scheduler.wake(seat.key)
                    started.append(index)
                } else {
                    self.attempt(seat, "collective \(index)") { () throws(VerbenaError) in
                        try engine.run(operation)
                        return self.isReduced(region, index)
                    }
                }
                if self.scheduler.random.chance(perMille: 300), !started.isEmpty { self.wait(seat, region, started.removeFirst()) }
            }
            if self.scenario.computesLong, seat.rank == 0 { self.compute(seat) }
            return true
        }
        for shared in seat.shared where shared.number == nil { shared.isOver = true }
        scheduler.wake(seat.key)
        if scenario.closesFirst { close(seat, after: error) }
        for index in started { wait(seat, memory, index) }
        if !scenario.closesFirst { close(seat, after: error) }
    }

    /// Memory of the rank's own, attached on all ranks.
    private func buffer(
        _ seat: Seat, _ engine: Engine, _ group: SimulatedGroup, byteCount: Int, label: String
    ) throws(VerbenaError) -> (SharedBuffer, Region) {
        let memory = Memory(byteCount: byteCount)
        seat.memory.append(memory)
        // SAFETY: the seat keeps the memory as long as the world.
        let (lent, region) = unsafe (
            LentMemory(memory.base, byteCount: byteCount, keeper: memory), Region(identifier: 0, base: memory.base, byteCount: byteCount)
        )
        let buffer = try engine.attach(lent) { (own) throws(VerbenaError) in try group.gather(own, label: label) }
        guard let buffer else { throw VerbenaError(.configuration, "the fabric takes no memory") }
        return (buffer, region)
    }

    private func rest() { scheduler.sleep(nanoseconds: UInt64(scheduler.random.below(scenario.maxPauseNanoseconds))) }

    private func isReduced(_ region: Region, _ index: Int) -> Bool {
        let planned = scenario.collectives[index]
        let wanted = (0..<scenario.ranks).reduce(0) { $0 + index + $1 + 1 }
        return planned.isBarrier || region.load(at: index * 64, count: planned.count).allSatisfy { Int($0) == wanted }
    }

    /// Until all others have the result of the last collective: they get it without a call of this rank's.
    private func compute(_ seat: Seat) {
        let call = "started collective \(scenario.collectives.count - 1)"
        _ = scheduler.sleep(on: seat.key, until: scheduler.clock + Self.computingNanoseconds) {
            self.seats.allSatisfy { other in other === seat || self.outcomes.contains { $0.rank == other.rank && $0.call == call } }
        }
    }

    /// Waits for a started collective, and gives it back when nobody else is to wait for it.
    private func wait(_ seat: Seat, _ region: Region?, _ index: Int) {
        let shared = seat.shared[index]
        guard let number = shared.number else { return }
        attempt(seat, "started collective \(index)") { () throws(VerbenaError) in
            _ = try seat.world.engine.wait(number)
            return region.map { self.isReduced($0, index) } ?? true
        }
        scheduler.wake(seats[0].key)
        shared.waiters -= 1
        if shared.waiters == 0 { seat.world.engine.release(number) }
    }

    private func waiter(_ seat: Seat) {
        for (index, planned) in scenario.collectives.enumerated() where planned.isStarted && planned.isShared {
            _ = scheduler.sleep(on: seat.key) {
                seat.shared.count > index && (seat.shared[index].number != nil || seat.shared[index].isOver)
            }
            wait(seat, nil, index)
        }
    }

    private func urgents(_ seat: Seat, _ buffer: SharedBuffer, _ region: Region) {
        let engine = seat.world.engine
        var started: [(index: Int, number: Int)] = []
        func isReduced(_ index: Int) -> Bool {
            let planned = scenario.urgents[index]
            let wanted = (0..<scenario.ranks).reduce(0) { $0 + 10 * index + $1 }
            return planned.isBarrier
                || region.load(at: Self.urgentStart + index * 64, count: planned.count).allSatisfy { Int($0) == wanted }
        }
        for (index, planned) in scenario.urgents.enumerated() {
            rest()
            let start = Self.urgentStart + index * 64
            region.store(Array(repeating: UInt8(10 * index + seat.rank), count: planned.count), at: start)
            let operation = Operation(
                planned.isBarrier ? .barrier : .allReduce, input: Place(buffer, byteOffset: start),
                count: planned.isBarrier ? 0 : planned.count, type: .uint8, stream: .urgent)
            let error = attempt(seat, "urgent collective \(index)") { () throws(VerbenaError) in
                guard planned.isStarted else {
                    try engine.run(operation)
                    return isReduced(index)
                }
                started.append((index, try engine.submit(operation)))
                return true
            }
            if error != nil { break }
        }
        seat.hasBegunUrgents = true
        scheduler.wake(seat.key)
        for (index, number) in started {
            attempt(seat, "started collective, urgent \(index)") { () throws(VerbenaError) in
                _ = try engine.wait(number)
                return isReduced(index)
            }
            engine.release(number)
        }
    }

    private func transfers(_ seat: Seat, _ buffer: SharedBuffer, _ region: Region) {
        var started: [(index: Int, number: Int)] = []
        let engine = seat.world.engine
        for (index, planned) in scenario.transfers.enumerated() where planned.from == seat.rank || planned.to == seat.rank {
            if planned.isAlone, planned.from == seat.rank { continue }
            rest()
            let isSender = planned.from == seat.rank
            let place = Place(buffer, byteOffset: index * 64)
            region.store([isSender ? UInt8(index + 100) : 0], at: index * 64)
            let operation = Operation(isSender ? .send(to: planned.to) : .receive(from: planned.from), input: place, count: 1, type: .uint8)
            let error = attempt(seat, "transfer \(index)", transfer: planned.isStarted ? nil : index) { () throws(VerbenaError) in
                if planned.isStarted {
                    started.append((index, try engine.submit(operation)))
                    return true
                }
                try engine.run(operation)
                return region.load(at: index * 64, count: 1) == [UInt8(index + 100)]
            }
            if error != nil { break }
        }
        for (index, number) in started {
            attempt(seat, "started transfer \(index)", transfer: index, isStarted: true) { () throws(VerbenaError) in
                _ = try engine.wait(number)
                return region.load(at: index * 64, count: 1) == [UInt8(index + 100)]
            }
            engine.release(number)
        }
    }

    private func child(_ seat: Seat, _ engine: Engine, _ group: SimulatedGroup) {
        attempt(seat, "child") { () throws(VerbenaError) in
            let (buffer, region) = try self.buffer(seat, engine, group, byteCount: 64, label: "buffer")
            for round in 0..<self.scenario.childCollectives {
                self.rest()
                region.store([UInt8(round + seat.rank)], at: 0)
                try engine.run(Operation(.allReduce, input: Place(buffer), count: 1, type: .uint8))
                let wanted = (0..<self.scenario.ranks).reduce(0) { $0 + round + $1 }
                if region.load(at: 0, count: 1) != [UInt8(wanted)] { return false }
            }
            return true
        }
    }

    /// As a communicator closes: children first; at once and without order where something has failed.
    private func close(_ seat: Seat, after error: VerbenaError?) {
        if scenario.closesFirst, error?.isKnownToAll == true {
            seat.isClosing = true
        } else if !scenario.isHasty {
            // The other threads of this rank, but for the one that meets its fate.
            _ = scheduler.sleep(on: seat.key) { seat.running <= (seat.isMeetingFate ? 2 : 1) }
        } else if error == nil, !scenario.urgents.isEmpty {
            // Ranks that close have begun the same collectives.
            _ = scheduler.sleep(on: seat.key) { seat.hasBegunUrgents }
        }
        var reason = error
        if reason == nil {
            reason = attempt(seat, "close") { () throws(VerbenaError) in
                for (engine, group) in [seat.child, seat.world].compactMap({ $0 }) {
                    if engine === seat.world.engine { seat.isClosing = true }
                    try engine.finishAll { (own) throws(VerbenaError) in
                        let all = try group.gather(own, label: "close")
                        if engine === seat.world.engine {
                            seat.isAgreed = true
                            self.scheduler.wake(seat.key)
                        }
                        return all
                    }
                    _ = try group.gather([], label: "all is done")
                }
                return true
            }
        }
        stop(seat, orderly: reason == nil, because: reason)
    }

    @discardableResult
    private func attempt(
        _ seat: Seat, _ call: String, transfer: Int? = nil, isStarted: Bool = false, _ body: () throws(VerbenaError) -> Bool
    ) -> VerbenaError? {
        var outcome = Outcome(rank: seat.rank, call: call, transfer: transfer, mayBeClosed: false)
        do throws(VerbenaError) { outcome.isRight = try body() } catch { outcome.error = error }
        // A started collective is one that all ranks begin before they close.
        outcome.mayBeClosed = isStarted ? seat.isAgreed : seat.isClosing && !call.hasPrefix("started collective")
        outcomes.append(outcome)
        return outcome.error
    }
}

/// Bytes of a rank.
// SAFETY: allocated and freed here; whoever uses the bytes holds this object.
@safe
final class Memory {
    let base: UnsafeMutableRawPointer

    init(byteCount: Int) {
        unsafe base = .allocate(byteCount: byteCount, alignment: 64)
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
    }

    deinit { unsafe base.deallocate() }
}
