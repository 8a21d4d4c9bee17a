internal import Collectives
internal import Fabric
internal import SimulatedFabric

extension Finding {
    fileprivate init(_ violation: Violation) {
        self.init(kind: .broken, detail: "\(violation)", trace: violation.trace, violation: violation.kind)
    }
}

/// One scenario, carried out: a simulated network, an executor for each rank and for each member of a group, and the coordinator that passes verdicts
/// on.
///
/// All on one thread, which is what makes it the same every time. Files: this one sets up and drives, `Job+Judging` looks at who failed and why;
/// `Seat` is one rank's part.
final class Job {
    let scenario: Scenario
    let network: SimulatedNetwork
    /// Of the world, then of each group.
    let books: [Book]
    /// By place: the world's ranks, then each group's.
    private(set) var seats: [Seat] = []
    /// What the coordinator has heard first, from which rank if it did not see it itself, and when everyone hears of it.
    private(set) var verdict: (error: CollectiveError, witness: Int?, at: UInt64)?
    private(set) var isVerdictKnown = false
    private var deaths: Set<Int> = []

    /// From a failure, or a death that the coordinator sees, to everyone's knowing of it.
    private static let verdictNanoseconds: UInt64 = 2_000_000
    /// How often a rank looks for a stall when nothing happens.
    static let idleNanoseconds: UInt64 = 2_000_000_000

    init(_ scenario: Scenario) throws {
        self.scenario = scenario
        network = SimulatedNetwork(scenario.world, faults: scenario.faults)
        books = scenario.programs.map { Book($0) }
        do {
            for (index, book) in books.enumerated() { try open(book, group: index > 0 ? index - 1 : nil) }
        } catch {
            throw Finding(kind: .refused, detail: "\(error)")
        }
    }

    private func open(_ book: Book, group: Int?) throws {
        let program = book.program
        let size = program.worldSize
        var members: [Seat] = []
        let first = network.places(ofGroup: group).lowerBound
        for rank in 0..<size {
            var fabric = try SimulatedFabric(network, rank: rank, group: group)
            var peers: [Int: [UInt8]] = [:]
            for peer in 0..<size where peer != rank { peers[peer] = network.endpoint(of: first + peer) }
            try fabric.connect(to: peers, deadline: .distantFuture)
            var settings = program.settings
            if program.disagreement == .epoch(rank: rank) { settings.epoch += 1 }
            members.append(Seat(place: first + rank, rank: rank, try Executor(fabric: fabric, settings: settings), book, network))
        }
        try attach(.receiveBuffers, of: members)
        for byteCount in book.layout.bufferBytes {
            for seat in members { try seat.addBuffer(byteCount: byteCount) }
            try attach(members[0].buffers[members[0].buffers.count - 1], of: members)
        }
        seats += members
    }

    private func attach(_ buffer: SharedBuffer, of members: [Seat]) throws {
        let descriptors = members.map { $0.executor.descriptor(of: buffer) }
        for seat in members { try seat.executor.attach(buffer, descriptors: descriptors) }
    }

    // MARK: driving

    /// Lets everything happen, and looks at it.
    /// - Throws: `Finding`.
    func run() throws -> Tally {
        for seat in seats { network.setAlarm(place: seat.place, at: seat.firstRun) }
        while let place = network.advance(until: FabricInstant(nanoseconds: scenario.boundNanoseconds)) {
            try seats[place].run()
            coordinate()
            if living.allSatisfy(\.isDone) { break }
        }
        try look()
        for seat in living where !seat.isDone {
            throw finding(.unfinished, "\(seat.name) after \(network.now.nanoseconds) ns: \(seat.state)")
        }
        try settle()
        try judge()
        return Tally(
            operations: seats.reduce(0) { $0 + $1.finishedCount }, failures: seats.filter { $0.executor.failure != nil }.count,
            events: network.eventCount, virtualNanoseconds: network.now.nanoseconds, fingerprint: network.fingerprint)
    }

    private var living: [Seat] { seats.filter { network.isAlive(place: $0.place) } }

    /// Passes the first failure, or a death, on to everyone: as the rendezvous does. It ends the executors of the world and of all groups alike.
    private func coordinate() {
        let now = network.now.nanoseconds
        for seat in seats where !network.isAlive(place: seat.place) && deaths.insert(seat.host).inserted {
            hear(CollectiveError(.verdict, peer: seat.host, operation: "job", detail: "rank \(seat.host) is gone"), from: nil, at: now)
        }
        if verdict == nil, let failed = living.first(where: { $0.executor.failure != nil }), let error = failed.executor.failure {
            hear(
                CollectiveError(.verdict, peer: blamed(by: failed), operation: error.operation, detail: error.detail), from: failed.host,
                at: now)
        }
        guard let verdict, verdict.at <= now else { return }
        isVerdictKnown = true
        for seat in living where seat.executor.failure == nil {
            seat.executor.fail(verdict.error)
            seat.takeFinished()
        }
    }

    private func hear(_ error: CollectiveError, from witness: Int?, at now: UInt64) {
        guard verdict == nil else { return }
        verdict = (error, witness, now + Self.verdictNanoseconds)
        for seat in seats { network.setAlarm(place: seat.place, at: FabricInstant(nanoseconds: now + Self.verdictNanoseconds)) }
    }

    // MARK: the end

    /// Lets what is under way arrive; then everyone takes leave.
    private func settle() throws {
        while let place = network.advance() { try seats[place].run() }
        try look()
        guard !scenario.isFatal else { return }
        if let left = network.leftovers().first { throw finding(.unfinished, "left under way: \(left)") }
        try look()
        for seat in seats { try seat.checkGuards() }
        // Groups first, as whoever made them out of the world closes them.
        for seat in seats[scenario.worldSize...] + seats[..<scenario.worldSize] { seat.executor.close(milliseconds: 1) }
        while network.advance() != nil {}
        try look()
    }

    private func look() throws {
        if let violation = network.violation { throw Finding(violation) }
    }

    func finding(_ kind: Finding.Kind, _ detail: String) -> Finding { Finding(kind: kind, detail: detail, trace: network.trace) }
}
