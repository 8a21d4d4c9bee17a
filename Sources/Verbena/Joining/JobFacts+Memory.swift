internal import Engine
internal import FoundationEssentials
internal import Membership
internal import Platform

extension JobFacts {
    /// Every rank of `group` must want the same, and its machine and control group have room for what all of the ranks in them want: memory that is
    /// shared or registered is taken at once, and running out of it would have the kernel kill some process. Collective; all ranks look before any
    /// takes.
    /// - Parameter remedy: what makes it less, for who has no room.
    func agreeOnMemory(_ what: String, byteCount: Int, _ group: RankGroup, _ remedy: String, collectivesBegun: [UInt64]? = nil)
        throws(VerbenaError)
    {
        let shortage = shortage(of: byteCount, group)
        let own = (shortage.flatMap { try? JSONEncoder().encode($0) }).map { [0] + [UInt8]($0) } ?? [1] + Array(what.utf8)
        let answers = try wrapping { () throws(RendezvousError) in
            try group.allGather(
                own, label: "wish for memory", timeoutSeconds: Communicator.gatherTimeoutSeconds, collectivesBegun: collectivesBegun)
        }
        if let short = answers.firstIndex(where: { $0.first == 0 }) {
            let shortage = try? JSONDecoder().decode(MemoryRoom.Shortage.self, from: Data(answers[short].dropFirst()))
            let culprit = group.jobRanks[short]
            throw VerbenaError(
                .resource, rank: culprit,
                "the \(shortage?.place ?? "machine") of rank \(culprit) has no room for \(what) (\(byteCount >> 20) MiB) on each of its ranks"
                    + (shortage.map { ": \($0.detail)" } ?? "")
                    + "; \(remedy) or fewer ranks, or give the machine, container or job more memory")
        }
        if let other = answers.firstIndex(where: { $0 != answers[0] }) {
            let theirs = String(decoding: answers[other].dropFirst(), as: UTF8.self)
            let first = String(decoding: answers[0].dropFirst(), as: UTF8.self)
            let (one, culprit) = (group.jobRanks[0], group.jobRanks[other])
            throw VerbenaError(
                knownToAll: .disagreed, rank: culprit,
                "the ranks want different memory: rank \(one) \(first), rank \(culprit) \(theirs); give all ranks the same sizes and types")
        }
    }

    private func shortage(of byteCount: Int, _ group: RankGroup) -> MemoryRoom.Shortage? {
        let all = group.jobRanks.map { introductions[$0] }
        let here = all.filter { $0.host.boot == all[group.rank].host.boot }
        return MemoryRoom.now().shortage(of: byteCount, ranksHere: here.count) { group in here.count { $0.memoryGroups.contains(group) } }
    }
}
