/// The place of each rank in a list of peers, -1 for those that are not in it. A list of few, as in a simulated ring of thousands, is searched: a table for
/// all ranks would be a page of memory a rank.
struct PeerPositions {
    let table: FixedArray<Int32>
    let isTable: Bool

    /// Lists of up to so many are searched, where the world is larger.
    private static let maxSearched = 16

    init(_ peers: [Int], worldSize: Int) {
        isTable = worldSize <= 4 * Self.maxSearched || peers.count > Self.maxSearched
        guard isTable else {
            table = FixedArray(peers.map { Int32($0) })
            return
        }
        var positions = Array(repeating: Int32(-1), count: worldSize)
        for (position, peer) in peers.enumerated() { positions[peer] = Int32(position) }
        table = FixedArray(positions)
    }

    subscript(peer: Int) -> Int32 {
        if isTable { return table[peer] }
        for position in table.indices where Int(table[position]) == peer { return Int32(truncatingIfNeeded: position) }
        return -1
    }
}
