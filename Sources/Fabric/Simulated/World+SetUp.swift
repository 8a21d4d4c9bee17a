// Who is there, on which node, and over which wires they reach each other.
extension World {
    static func ranks(_ options: SimulationOptions) -> [RankState] {
        var ranks = (0..<options.worldSize).map {
            RankState(
                host: Int32(truncatingIfNeeded: $0), base: 0, group: none, writeDepth: Int32(clamping: options.writeDepth),
                arrivalDepth: Int32(clamping: options.arrivalDepth), writesCompleteAtOnce: options.writesCompleteAtOnce)
        }
        for (index, group) in options.groups.enumerated() {
            let base = Int32(truncatingIfNeeded: ranks.count)
            ranks += group.members.map {
                RankState(
                    host: Int32(truncatingIfNeeded: $0), base: base, group: Int32(truncatingIfNeeded: index),
                    writeDepth: Int32(clamping: group.writeDepth), arrivalDepth: Int32(clamping: group.arrivalDepth),
                    writesCompleteAtOnce: group.writesCompleteAtOnce)
            }
        }
        return ranks
    }

    /// The world's node that it runs on.
    func node(of rank: Int) -> Int { options.node(of: Int(ranks[rank].host)) }

    /// What all ranks are called in a report.
    var names: [String] {
        var names: [String] = []
        for rank in 0..<ranks.count { names.append(name(ofRank: rank)) }
        return names
    }

    /// What it is called in a report.
    func name(ofRank rank: Int) -> String {
        guard ranks.indices.contains(rank), ranks[rank].group != none else { return "rank \(rank)" }
        return "rank \(rank - Int(ranks[rank].base)) of group \(options.groups[Int(ranks[rank].group)].number)"
    }

    var nodeCount: Int { (options.worldSize + options.ranksPerNode - 1) / options.ranksPerNode }

    /// Two wires for each NIC (out, in), one for each node's memory, two for each leaf (up, down), in this order.
    mutating func addWires() {
        let nics = nodeCount * options.nicsPerNode
        wires += repeatElement(WireState(bytesPerNanosecond: options.wire.bytesPerNanosecond), count: 2 * nics)
        wires += repeatElement(WireState(bytesPerNanosecond: options.memory.bytesPerNanosecond), count: nodeCount)
        guard case .fatTree(let nodesPerLeaf, let oversubscription) = options.topology else { return }
        let leaves = (nodeCount + nodesPerLeaf - 1) / nodesPerLeaf
        let rate = options.wire.bytesPerNanosecond * Double(nodesPerLeaf * options.nicsPerNode) / oversubscription
        wires += repeatElement(WireState(bytesPerNanosecond: rate), count: 2 * leaves)
    }

    /// The two wires of the NIC that a rank uses: out and in.
    func cable(of rank: Int) -> (out: Int, in: Int) {
        let nic = options.nic(of: Int(ranks[rank].host))
        return (2 * nic, 2 * nic + 1)
    }

    /// Makes this rank's link to a peer, and the peer's to it, where they are not there yet.
    mutating func addLinks(_ rank: Int, _ peer: Int) -> Int {
        if let known = link(from: rank, to: peer) { return known }
        let first = Int32(truncatingIfNeeded: links.count)
        for (from, to, reverse) in [(rank, peer, first + 1), (peer, rank, first)] {
            let (wires, count, latency, jitter) = path(from: from, to: to)
            let id = Int32(truncatingIfNeeded: links.count)
            links.append(
                PeerLink(
                    rank: Int32(truncatingIfNeeded: from), peer: Int32(truncatingIfNeeded: to), reverse: reverse,
                    firstFlow: Int32(truncatingIfNeeded: flows.count), wires: wires, wireCount: count, latency: latency, jitter: jitter))
            for index in 0..<options.channelsPerPeer { flows.append(Flow(link: id, index: Int32(truncatingIfNeeded: index))) }
            queue.addSlots(slotsPerLink)
            let place = ranks[from].links.firstIndex { links[Int($0)].peer > to } ?? ranks[from].links.count
            ranks[from].links.insert(id, at: place)
        }
        return Int(first)
    }

    private func path(
        from: Int, to: Int
    ) -> (wires: Hops, count: Int32, latency: UInt64, jitter: UInt64) {
        let nodes = (node(of: from), node(of: to))
        let nics = 2 * nodeCount * options.nicsPerNode
        if nodes.0 == nodes.1 {
            let memory = Int32(truncatingIfNeeded: nics + nodes.0)
            return (Hops(memory), 1, options.memory.latencyNanoseconds, options.memory.jitterNanoseconds)
        }
        let ends = (Int32(truncatingIfNeeded: cable(of: from).out), Int32(truncatingIfNeeded: cable(of: to).in))
        let (latency, jitter) = (options.wire.latencyNanoseconds, options.wire.jitterNanoseconds)
        guard case .fatTree(let nodesPerLeaf, _) = options.topology, nodes.0 / nodesPerLeaf != nodes.1 / nodesPerLeaf else {
            return (Hops(ends.0, ends.1), 2, latency, jitter)
        }
        let firstLeaf = nics + nodeCount
        let up = Int32(truncatingIfNeeded: firstLeaf + 2 * (nodes.0 / nodesPerLeaf))
        let down = Int32(truncatingIfNeeded: firstLeaf + 2 * (nodes.1 / nodesPerLeaf) + 1)
        return (Hops(ends.0, up, down, ends.1), 4, 2 * latency, jitter)
    }

    /// The link by binary search among the rank's few.
    @inline(__always)
    func link(from rank: Int, to peer: Int) -> Int? {
        var low = 0
        var high = ranks[rank].links.count
        while low < high {
            let middle = (low + high) / 2
            if Int(links[Int(ranks[rank].links[middle])].peer) < peer { low = middle + 1 } else { high = middle }
        }
        guard low < ranks[rank].links.count else { return nil }
        let found = Int(ranks[rank].links[low])
        return Int(links[found].peer) == peer ? found : nil
    }
}
