internal import Collectives
internal import SimulatedFabric

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
        // One death and nothing else: whoever saw anything saw that.
        guard disagreeing.isEmpty, scenario.faults.count == 1, case .crash = scenario.faults[0].kind else { return }
        for seat in failed where network.isAlive(place: seat.place) && blamed(by: seat) != scenario.faults[0].rank {
            throw finding(
                .wrongFailure,
                "\(seat.name) blames rank \(blamed(by: seat).map(String.init) ?? "-"): \(seat.executor.failure.map { "\($0)" } ?? "")")
        }
    }

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
