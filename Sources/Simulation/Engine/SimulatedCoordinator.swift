internal import Engine
internal import Membership
internal import SimulatedFabric

/// The control plane of a scheduled world: messages late by a drawn time and in order on each connection; the first failure wins and is told to all.
final class SimulatedCoordinator {
    /// A rank's end of it.
    final class Member {
        let rank: Int
        var failure: Verdict?
        /// It has left, or is dead: nothing that it says is heard.
        var isGone = false
        /// Nothing is delivered any more.
        var isOver = false
        var answers: [String: [[UInt8]]] = [:]
        /// When the last message to it, and from it, arrives.
        var arrivals: (UInt64, UInt64) = (0, 0)
        init(rank: Int) { self.rank = rank }

        var key: UInt { UInt(bitPattern: ObjectIdentifier(self).hashValue) | 1 << 63 }
    }

    let scheduler: Scheduler
    let members: [Member]
    private(set) var failure: Verdict?
    private var left: Set<Int> = []
    private var gathers: [String: [Int: [UInt8]]] = [:]
    private let delayNanoseconds: Int

    /// As `RendezvousBounds` has them.
    private static let agreementNanoseconds: UInt64 = 2_000_000_000
    private static let livenessNanoseconds: UInt64 = 10_000_000_000

    init(_ scheduler: Scheduler, ranks: Int) {
        self.scheduler = scheduler
        members = (0..<ranks).map { Member(rank: $0) }
        delayNanoseconds = scheduler.random.pick([2_000, 50_000, 1_000_000])
    }

    private func delayed(after last: UInt64) -> UInt64 { max(last, scheduler.clock + UInt64(scheduler.random.below(delayNanoseconds))) }

    private func send(from member: Member, _ body: @escaping () -> Void) {
        guard !member.isGone else { return }
        member.arrivals.1 = delayed(after: member.arrivals.1)
        scheduler.at(member.arrivals.1, body)
    }

    private func tell(_ member: Member, _ body: @escaping () -> Void) {
        member.arrivals.0 = delayed(after: member.arrivals.0)
        scheduler.at(member.arrivals.0) { [scheduler] in
            body()
            scheduler.wake(member.key)
        }
    }

    private func fail(_ verdict: Verdict) {
        guard failure == nil else { return }
        failure = verdict
        for member in members where !member.isGone { tell(member) { member.failure = verdict } }
    }

    // MARK: what happens to ranks

    /// Its process has ended: what it does from here on nobody sees.
    func die(_ rank: Int) {
        guard !members[rank].isGone else { return }
        members[rank].isGone = true
        scheduler.at(delayed(after: members[rank].arrivals.1)) { [self] in
            fail(Verdict(rank: rank, cause: .died, "its process ended", during: "the run"))
        }
        // Its threads run on, unseen and unheard, until it misses the coordinator.
        let member = members[rank]
        scheduler.at(scheduler.clock + Self.livenessNanoseconds) { [scheduler] in
            member.failure = member.failure ?? Verdict(rank: rank, cause: .unreachable, "the coordinator is gone", during: "the run")
            scheduler.wake(member.key)
        }
    }

    func leave(_ rank: Int) {
        send(from: members[rank]) { [self] in
            if gathers.values.contains(where: { $0[rank] == nil }) {
                fail(Verdict(rank: rank, cause: .left, "it took leave", during: "the run"))
            }
            left.insert(rank)
        }
        members[rank].isGone = true
        end(members[rank])
    }

    /// Who waits for words from the coordinator ends.
    func end(_ member: Member) {
        member.isOver = true
        scheduler.wake(member.key)
    }

    // MARK: what ranks ask

    func agree(on own: Verdict, by member: Member, isConclusion: Bool) -> Verdict {
        send(from: member) { [self] in
            guard isConclusion, failure == nil else { return fail(own) }
            let word = left.contains(own.rank) ? Verdict(rank: own.rank, cause: .left, "it took leave", during: own.operation) : own
            scheduler.at(scheduler.clock + Self.agreementNanoseconds) { [self] in fail(word) }
        }
        let patience = Self.agreementNanoseconds * (isConclusion ? 2 : 1)
        _ = scheduler.sleep(on: member.key, until: scheduler.clock + patience) { member.failure != nil }
        return member.failure ?? own
    }

    func gather(_ payload: [UInt8], by member: Member, of ranks: [Int], label: String) throws(VerbenaError) -> [[UInt8]] {
        if let failure = member.failure { throw VerbenaError(failure, during: label) }
        guard !member.isOver else { throw .communicatorClosed }
        send(from: member) { [self] in
            gathers[label, default: [:]][member.rank] = payload
            if let gone = ranks.first(where: left.contains), gathers[label]?[gone] == nil {
                return fail(Verdict(rank: gone, cause: .left, "it took leave", during: label))
            }
            guard let parts = gathers[label], parts.count == ranks.count else { return }
            gathers[label] = nil
            for rank in ranks { tell(members[rank]) { [members] in members[rank].answers[label] = ranks.map { parts[$0]! } } }
        }
        _ = scheduler.sleep(on: member.key) { member.failure != nil || member.answers[label] != nil || member.isOver }
        if let answer = member.answers[label] { return answer }
        guard let failure = member.failure else { throw .communicatorClosed }
        throw VerbenaError(failure, during: label)
    }
}

/// A rank's membership of all ranks, or of a group of them.
// Sendable without the compiler's proof: see `Scheduler`.
struct SimulatedGroup: ControlPlane, @unchecked Sendable {
    let coordinator: SimulatedCoordinator
    let member: SimulatedCoordinator.Member
    let name: String
    let jobRanks: [Int]

    var rank: Int { jobRanks.firstIndex(of: member.rank)! }

    func agree(on own: Verdict, isConclusion: Bool) -> Verdict { coordinator.agree(on: own, by: member, isConclusion: isConclusion) }

    func reportWaiting(in operation: String, number: UInt64, order: Int, for peer: Int) {}

    func naming(_ operation: String) -> String { operation }

    func gather(_ payload: [UInt8], label: String) throws(VerbenaError) -> [[UInt8]] {
        try coordinator.gather(payload, by: member, of: jobRanks, label: "\(name) \(label)")
    }
}
