internal import Collectives

// Whether those failed who had to, for the right reason, and nobody else.
extension Job {
    /// - Throws: `Finding`.
    func judge() throws {
        let failed = seats.filter { $0.executor.failure != nil }
        guard scenario.isFatal else {
            guard let first = failed.first, let error = first.executor.failure else { return }
            throw finding(.wrongFailure, "\(first.name) failed without a cause: \(error)")
        }
        if isVerdictKnown, let spared = seats.first(where: { network.isAlive(place: $0.place) && $0.executor.failure == nil }) {
            throw finding(.wrongFailure, "\(spared.name) goes on after the verdict")
        }
        let disagreeing = books.filter { $0.program.disagreement != nil }
        if let book = disagreeing.first, let disagreement = book.program.disagreement, disagreeing.count == 1, scenario.faults.isEmpty {
            try judge(disagreement, book)
        }
        if disagreeing.isEmpty { try judgeBlame(of: failed.filter { network.isAlive(place: $0.place) }) }
    }

    /// Every survivor holds the verdict, or saw by itself what the faults explain; and so did whoever the verdict comes from. Of what happens
    /// when all have done their work there is no verdict.
    private func judgeBlame(of survivors: [Seat]) throws {
        if let verdict, !isToBlame(verdict.error.peer, by: verdict.witness) {
            throw finding(.wrongFailure, "the verdict of rank \(Self.text(verdict.witness)) is wrong: \(verdict.error)")
        }
        for seat in survivors {
            guard let error = seat.executor.failure else { continue }
            if error.cause == .verdict {
                guard error == verdict?.error else { throw finding(.wrongFailure, "\(seat.name) holds another verdict: \(error)") }
            } else if !isToBlame(blamed(by: seat), by: seat.host) {
                throw finding(.wrongFailure, "\(seat.name) blames rank \(Self.text(blamed(by: seat))): \(error)")
            }
        }
    }

    /// Whether one of the faults makes a rank appear to be gone, to another that looks at it or to the coordinator (nil).
    private func isToBlame(_ blamed: Int?, by witness: Int?) -> Bool {
        guard let blamed else { return false }
        let world = scenario.world
        return scenario.faults.contains { fault in
            switch fault.kind {
            case .crash: blamed == fault.rank
            case .nodeDeath: world.node(of: blamed) == world.node(of: fault.rank)
            case .cableCut:
                // Whoever is at one end of the cable loses whoever is not on its node, and is lost by them.
                if let witness, scenario.isFatal(fault), world.node(of: witness) != world.node(of: blamed) {
                    [witness, blamed].contains { world.nic(of: $0) == world.nic(of: fault.rank) }
                } else {
                    false
                }
            case .pause, .slowness, .slowCable, .flippedBit: false
            }
        }
    }

    private static func text(_ rank: Int?) -> String { rank.map(String.init) ?? "-" }

    /// The rank of the world that a seat's executor failed for. What it saw itself it saw of a member; verdicts speak of the world.
    func blamed(by seat: Seat) -> Int? {
        guard let error = seat.executor.failure, let peer = error.peer else { return nil }
        return error.cause == .verdict ? peer : seat.program.members[peer]
    }

    private func judge(_ disagreement: Program.Disagreement, _ book: Book) throws {
        let members = seats.filter { $0.program.group == book.program.group }
        let failed = members.filter { $0.executor.failure != nil }
        let wanted: CollectiveError.Cause
        switch disagreement {
        case .epoch:
            wanted = .protocolViolation
            // Without a message nobody learns of another's epoch.
            let isCollective = book.program.operations.contains { if case .collective = $0.kind { true } else { false } }
            guard book.program.training != nil || isCollective else { return }
        case .operation(let rank, let number):
            wanted = .operationsDiffer
            if let fine = members.first(where: { $0.rank != rank && $0.hasFinished(number) && book.isEveryonesBusiness(number) }) {
                throw finding(.wrongFailure, "\(fine.name) finished operation \(number), in which rank \(rank) does something else")
            }
        }
        guard failed.contains(where: { $0.executor.failure?.cause == wanted }) else {
            throw finding(.wrongFailure, "nobody noticed: \(disagreement); failures \(failed.map { "\($0.executor.failure!)" })")
        }
    }
}
