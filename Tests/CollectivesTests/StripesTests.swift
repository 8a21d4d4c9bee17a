import Testing

@testable import Collectives

@Suite struct StripesTests {
    /// Element by element: the owner follows from the place in the buffer alone, whatever the operation is.
    @Test func ownersFollowTheBuffer() {
        for owners in 1...5 {
            for elements in [1, 2, 3, 8] {
                for start in [0, 1, 2, 7, 8, 23, 1000] {
                    for count in [0, 1, 2, 3, 7, 8, 9, 40] {
                        let stripes = Stripes(elements: elements, owners: owners, start: start, count: count)
                        let wanted = (0..<count).map { (start + $0) / elements % owners }
                        var owned = Array(repeating: -1, count: count)
                        for owner in 0..<owners {
                            let own = (0..<stripes.count(of: owner)).map { stripes.stripe($0, of: owner) }
                            for element in own.joined() {
                                #expect(owned[element] == -1)
                                owned[element] = owner
                            }
                            #expect(own.allSatisfy { !$0.isEmpty && $0.count <= elements } && own.count <= stripes.mostOfAnOwner)
                            #expect(own.map(\.lowerBound) == own.map(\.lowerBound).sorted())
                            #expect(stripes.stripe(own.count, of: owner).isEmpty && stripes.stripe(own.count + 3, of: owner).isEmpty)
                        }
                        #expect(owned == wanted)
                        let inOrder = (0..<stripes.total).flatMap { index in stripes[index].map { ($0, stripes.owner(of: index)) } }
                        #expect(inOrder.map(\.0) == Array(0..<count) && inOrder.map(\.1) == wanted)
                        #expect(stripes.mostOfAnOwner <= (0..<owners).map(stripes.count(of:)).max()! + (count == 0 ? 0 : 1))
                    }
                }
            }
        }
    }

    /// Operations at the same place of the owners' turn have the same schedule.
    @Test func onlyThePlaceInTheTurnCounts() {
        let stripes = Stripes(elements: 4, owners: 3, start: 5, count: 30)
        #expect(stripes == Stripes(elements: 4, owners: 3, start: 5 + 12, count: 30))
        #expect(stripes != Stripes(elements: 4, owners: 3, start: 5 + 4, count: 30))
        #expect(Stripes(elements: 0, owners: 3, start: 5, count: 30).total == 0)
    }

    /// In a nested world the ranks at common places own, node by node.
    @Test func ownersAreRanks() {
        for worldSize in 1...9 {
            for topology in Topology.all(worldSize: worldSize) {
                let owners = (0..<worldSize).compactMap(topology.owner)
                #expect(owners.sorted() == Array(0..<topology.owners))
                if !topology.isNested { #expect(owners == Array(0..<worldSize)) }
            }
        }
        let uneven = Topology(nodeOfRank: [0, 1, 1, 0, 0])
        #expect((0..<5).map(uneven.owner) == [0, 2, 3, 1, nil])
    }
}
