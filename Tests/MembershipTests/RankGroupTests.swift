import Testing

@testable import Membership

@Suite struct RankGroupTests {
    @Test func membersGatherInTheOrderOfTheGroup() async throws {
        let world = try World(4)
        let ranks = try await world.joinAll()
        let results = await onThreads(4) { rank throws(RendezvousError) -> [[UInt8]] in
            let all = RankGroup(all: ranks[rank])
            // 3 and 1, 2 and 0: with the same label, at the same time.
            guard let group = all.subgroup(of: rank % 2 == 1 ? [3, 1] : [2, 0], name: "\(rank % 2)") else { return [] }
            var gathered: [[UInt8]] = []
            for round in 0..<3 { gathered += try group.allGather([UInt8(10 * round + rank)], label: "same", timeoutSeconds: patience) }
            return gathered
        }
        let wanted: [[[UInt8]]] = [[[2], [0], [12], [10], [22], [20]], [[3], [1], [13], [11], [23], [21]]]
        for rank in 0..<4 { #expect(try results[rank].get() == wanted[rank % 2]) }
        world.end(ranks)
    }

    @Test func groupsOfGroupsHaveNamesNumbersAndKeysOfTheirOwn() throws {
        let alone = RankGroup(all: .alone())
        let child = try #require(alone.subgroup(of: [0], name: "1.5"))
        let grandchild = try #require(child.subgroup(of: [0], name: "1.5"))
        #expect(alone.subgroup(of: [], name: "none") == nil)
        #expect(child.name == "1.5" && grandchild.name == "1.5/1.5" && !child.isWholeJob && alone.isWholeJob)
        #expect(Set([alone, child, grandchild].map { $0.sessionKey(label: "fabric", byteCount: 16) }).count == 3)
        #expect(try grandchild.allGather([7], label: "alone", timeoutSeconds: 0) == [[7]])
        #expect(child.description == "group 1.5 of rank 0")
    }

    @Test func whoDoesNotComeIsNamedByTheJobsNumber() async throws {
        let world = try World(4)
        let ranks = try await world.joinAll()
        let waiting = try errors(
            await onThreads(1) { _ throws(RendezvousError) in
                _ = try RankGroup(all: ranks[3]).subgroup(of: [3, 1], name: "a")?.allGather([], label: "epoch", timeoutSeconds: 0.2)
            })
        #expect(waiting[0].cause == .stalled && waiting[0].detail.hasPrefix("rank 1: it did not reach"), "\(waiting[0])")
        #expect(waiting[0].detail.contains("epoch, group a of ranks 3, 1"), "\(waiting[0])")
        world.end(ranks)
    }

    @Test func onlyMembersThatLeaveEndAGather() async throws {
        let world = try World(4)
        let ranks = try await world.joinAll()
        ranks[0].leave()
        let results = await onThreads(2) { index throws(RendezvousError) in
            let group = RankGroup(all: ranks[1 + index]).subgroup(of: [1, 2], name: "a")
            return try group?.allGather([UInt8(index)], label: "x", timeoutSeconds: patience)
        }
        for result in results { #expect(try result.get() == [[0], [1]]) }
        let error = #expect(throws: RendezvousError.self) {
            try RankGroup(all: ranks[3]).subgroup(of: [0, 3], name: "b")?.allGather([], label: "x", timeoutSeconds: patience)
        }
        #expect(error?.cause == .left && error?.verdict?.rank == 0)
        world.end(ranks)
    }

    /// Of a joined rank that does not keep to the rules of groups.
    @Test(arguments: [
        Message.contribute(gather: GatherID(group: "a", sequence: 0), members: [0], label: "", timeoutSeconds: 1),
        .contribute(gather: GatherID(group: "a", sequence: 0), members: [1, 7], label: "", timeoutSeconds: 1),
        .contribute(gather: GatherID(group: "a", sequence: 0), members: [1, 1], label: "", timeoutSeconds: 1),
        .contribute(gather: GatherID(sequence: 0), members: [1], label: "", timeoutSeconds: 1),
        .contribute(gather: GatherID(group: "a", sequence: 0), members: nil, label: "", timeoutSeconds: 1),
    ])
    func aGroupThatCannotBeIsAViolation(message: Message) async throws {
        let world = try World(2)
        let joining = onThreadsLater(1) { _ throws(RendezvousError) in try world.join(0) }
        var raw = try RawRank(1, in: world)
        let member = try await joining.value[0].get()
        raw.send(message)
        let verdict = member.agreedVerdict(waitingAtMostMilliseconds: Int(patience * 1000))
        #expect(verdict?.rank == 1 && verdict?.detail.contains("broke the rendezvous protocol") == true)
        world.end([member])
    }
}
