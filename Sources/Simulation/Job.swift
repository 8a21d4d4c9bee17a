internal import Collectives
internal import Fabric
internal import SimulatedFabric

/// How a scenario went wrong: nil for the parts of the world that kept their promises.
struct Finding: Error, CustomStringConvertible {
    enum Kind: String {
        /// The network saw a promise broken.
        case broken
        /// A result is not what the oracle says.
        case wrongResult
        /// An operation failed without a cause, or for the wrong one; or did not fail with one.
        case wrongFailure
        /// Something had not ended in its time, or was left under way.
        case unfinished
        /// Set-up was refused.
        case refused
    }

    var kind: Kind
    var detail: String
    var trace: [String] = []

    var description: String { "\(kind.rawValue): \(detail)" }
}

/// What a scenario took.
struct Tally {
    var operations = 0
    var failures = 0
    var events = 0
    var virtualNanoseconds: UInt64 = 0
    var fingerprint: UInt64 = 0
}

/// One scenario, carried out: a simulated network, an executor for each rank, and the coordinator that passes verdicts on.
///
/// All on one thread, which is what makes it the same every time. Files: this one sets up and drives; `Seat` is one rank's program.
final class Job {
    let scenario: Scenario
    let network: SimulatedNetwork
    let layout: MemoryLayoutPlan
    let book: Book
    private(set) var seats: [Seat] = []
    /// What the coordinator has heard first, and when everyone hears of it.
    private var verdict: (error: CollectiveError, at: UInt64)?
    private var deaths: Set<Int> = []

    /// From a failure, or a death that the coordinator sees, to everyone's knowing of it.
    private static let verdictNanoseconds: UInt64 = 2_000_000
    /// How often a rank looks for a stall when nothing happens.
    static let idleNanoseconds: UInt64 = 2_000_000_000

    init(_ scenario: Scenario) throws {
        self.scenario = scenario
        network = SimulatedNetwork(scenario.world, faults: scenario.faults)
        layout = MemoryLayoutPlan(scenario)
        book = Book(scenario)
        do {
            try open()
        } catch {
            throw Finding(kind: .refused, detail: "\(error)")
        }
    }

    private func open() throws {
        let size = scenario.worldSize
        var fabrics: [SimulatedFabricBox] = []
        for rank in 0..<size { fabrics.append(SimulatedFabricBox(try SimulatedFabric(network, rank: rank))) }
        let endpoints = fabrics.map(\.endpoint)
        for rank in 0..<size {
            var peers: [Int: [UInt8]] = [:]
            for peer in 0..<size where peer != rank { peers[peer] = endpoints[peer] }
            try fabrics[rank].connect(to: peers)
        }
        for rank in 0..<size {
            var settings = scenario.settings
            if scenario.disagreement == .epoch(rank: rank) { settings.epoch += 1 }
            seats.append(Seat(rank, try Executor(fabric: fabrics[rank].take(), settings: settings), scenario, layout, book, network))
        }
        try attach(.landing)
        for byteCount in layout.bufferBytes {
            for seat in seats { try seat.addBuffer(byteCount: byteCount) }
            try attach(seats[0].buffers[seats[0].buffers.count - 1])
        }
    }

    private func attach(_ buffer: SharedBuffer) throws {
        let descriptors = seats.map { $0.executor.descriptor(of: buffer) }
        for seat in seats { try seat.executor.attach(buffer, descriptors: descriptors) }
    }

    // MARK: driving

    /// Lets everything happen, and looks at it.
    /// - Throws: `Finding`.
    func run() throws -> Tally {
        for seat in seats { network.setAlarm(rank: seat.rank, at: seat.nextSubmission) }
        while let rank = network.advance(until: FabricInstant(nanoseconds: scenario.boundNanoseconds)) {
            try seats[rank].run()
            coordinate()
            if living.allSatisfy(\.isDone) { break }
        }
        try look()
        for seat in living where !seat.isDone {
            throw finding(.unfinished, "rank \(seat.rank) after \(network.now.nanoseconds) ns: \(seat.state)")
        }
        try settle()
        try judge()
        return Tally(
            operations: seats.reduce(0) { $0 + $1.finishedCount }, failures: seats.filter { $0.executor.failure != nil }.count,
            events: network.eventCount, virtualNanoseconds: network.now.nanoseconds, fingerprint: network.fingerprint)
    }

    private var living: [Seat] { seats.filter { network.isAlive(rank: $0.rank) } }

    /// Passes the first failure, or a death, on to everyone: as the rendezvous does.
    private func coordinate() {
        let now = network.now.nanoseconds
        for seat in seats where !network.isAlive(rank: seat.rank) && deaths.insert(seat.rank).inserted {
            hear(CollectiveError(.verdict, peer: seat.rank, operation: "job", detail: "rank \(seat.rank) is gone"), at: now)
        }
        if verdict == nil, let failed = living.first(where: { $0.executor.failure != nil }), let error = failed.executor.failure {
            hear(CollectiveError(.verdict, peer: error.peer, operation: error.operation, detail: error.detail), at: now)
        }
        guard let verdict, verdict.at <= now else { return }
        for seat in living where seat.executor.failure == nil {
            seat.executor.fail(verdict.error)
            seat.takeFinished()
        }
    }

    private func hear(_ error: CollectiveError, at now: UInt64) {
        guard verdict == nil else { return }
        verdict = (error, now + Self.verdictNanoseconds)
        for seat in seats { network.setAlarm(rank: seat.rank, at: FabricInstant(nanoseconds: now + Self.verdictNanoseconds)) }
    }

    // MARK: the end

    /// Lets what is under way arrive; then everyone takes leave.
    private func settle() throws {
        while let rank = network.advance() { try seats[rank].run() }
        try look()
        guard !scenario.isFatal else { return }
        if let left = network.leftovers().first { throw finding(.unfinished, "left under way: \(left)") }
        try look()
        for seat in seats { try seat.checkGuards() }
        for seat in seats { seat.executor.close(milliseconds: 1) }
        while network.advance() != nil {}
        try look()
    }

    private func look() throws {
        if let violation = network.violation { throw Finding(kind: .broken, detail: "\(violation)", trace: violation.trace) }
    }

    private func finding(_ kind: Finding.Kind, _ detail: String) -> Finding { Finding(kind: kind, detail: detail, trace: network.trace) }

    /// Whether those failed who had to, for the right reason, and nobody else.
    private func judge() throws {
        let failed = seats.filter { $0.executor.failure != nil }
        guard scenario.isFatal else {
            guard let first = failed.first, let error = first.executor.failure else { return }
            throw finding(.wrongFailure, "rank \(first.rank) failed without a cause: \(error)")
        }
        if let disagreement = scenario.disagreement, scenario.faults.isEmpty { try judge(disagreement, failed) }
        // One death and nothing else: whoever saw anything saw that.
        guard scenario.disagreement == nil, scenario.faults.count == 1, case .crash = scenario.faults[0].kind else { return }
        for seat in failed {
            guard let error = seat.executor.failure, error.peer != scenario.faults[0].rank, network.isAlive(rank: seat.rank) else {
                continue
            }
            throw finding(.wrongFailure, "rank \(seat.rank) blames rank \(error.peer.map(String.init) ?? "-"): \(error)")
        }
    }

    private func judge(_ disagreement: Scenario.Disagreement, _ failed: [Seat]) throws {
        let wanted: CollectiveError.Cause
        switch disagreement {
        case .epoch:
            wanted = .protocolViolation
            // Without a message nobody learns of another's epoch.
            guard scenario.training != nil || scenario.operations.contains(where: { if case .collective = $0.kind { true } else { false } })
            else { return }
        case .operation(let rank, let number):
            wanted = .operationsDiffer
            if let fine = seats.first(where: { $0.rank != rank && $0.hasFinished(number) && book.isEveryonesBusiness(number) }) {
                throw finding(.wrongFailure, "rank \(fine.rank) finished operation \(number), in which rank \(rank) does something else")
            }
        }
        guard failed.contains(where: { $0.executor.failure?.cause == wanted }) else {
            throw finding(.wrongFailure, "nobody noticed: \(disagreement); failures \(failed.map { "\($0.executor.failure!)" })")
        }
    }
}

/// A fabric on its way to its executor.
final class SimulatedFabricBox {
    private var fabric: SimulatedFabric?
    let endpoint: [UInt8]

    init(_ fabric: consuming SimulatedFabric) {
        endpoint = fabric.endpoint
        self.fabric = consume fabric
    }

    func connect(to peers: [Int: [UInt8]]) throws { try fabric?.connect(to: peers, deadline: .distantFuture) }

    func take() -> SimulatedFabric {
        guard let taken = fabric.take() else { fatalError("a fabric has one executor") }
        return taken
    }
}
