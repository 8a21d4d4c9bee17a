internal import CPlatform
internal import Collectives
internal import Engine
internal import FoundationEssentials
internal import Membership
internal import Reduction

extension Configuration {
    /// The costs of the file, if one is named.
    var loadedCosts: Costs? {
        get throws(VerbenaError) {
            guard let costsFile else { return nil }
            guard let data = FileManager.default.contents(atPath: costsFile) else {
                throw VerbenaError(
                    .configuration, "cannot read the costs in \(costsFile); give a file that `rdma-allreduce --save-costs` wrote")
            }
            guard let costs = try? JSONDecoder().decode(Costs.self, from: data), costs.isPlausible else {
                throw VerbenaError(
                    .configuration, "\(costsFile) holds no table of costs; give a file that `rdma-allreduce --save-costs` wrote")
            }
            return costs
        }
    }
}

extension Communicator {
    /// Bytes that are moved to learn what a byte costs: so many that it shows. Between ranks that see each other's memory as many as those near
    /// which the choice between messages and mapped memory changes.
    private static let farProbeBytes = 32 << 10
    private static let nearProbeBytes = 4 << 10

    private static func probeBytes(_ settings: ExecutorSettings) -> Int {
        min(settings.topology.isOneNode ? nearProbeBytes : farProbeBytes, settings.eagerBytes)
    }

    /// Memory that measuring takes on each rank, and gives back: an input, and an output with a part of every rank.
    static func probeByteCount(_ settings: ExecutorSettings) -> Int { probeBytes(settings) * (settings.worldSize + 1) }

    /// Measures what messages and bytes cost between these ranks, in a few milliseconds, and has all ranks agree on the table. Collective.
    ///
    /// Near and far are told apart by what the job has: where all ranks share a machine, or none do, there is one kind of link only, and the
    /// other keeps its typical cost. Of each figure the greatest of all ranks counts.
    static func measuredCosts(
        _ engine: RunningEngine, _ group: RankGroup, _ plan: FabricPlan, _ pool: MemoryPool
    ) throws(VerbenaError) -> Costs? {
        guard group.worldSize > 1 else { return nil }
        let ranks = group.worldSize
        let memory = try pool.allocate(byteCount: probeByteCount(plan.settings))
        defer { try? memory.release() }
        let attached = try engine.control.attach(try memory.lent()) { (descriptor) throws(VerbenaError) in
            try wrapping { () throws(RendezvousError) in
                try group.allGather(descriptor, label: "probe memory", timeoutSeconds: stageTimeoutSeconds)
            }
        }
        guard let buffer = attached else { return nil }
        defer { try? engine.control.detach(buffer) }
        let isOneNode = plan.settings.topology.isOneNode
        let bytes = probeBytes(plan.settings)
        let empty = try time(engine, Operation(.barrier, input: Place(.receiveBuffers), count: 0, type: .uint8, algorithm: .bruck))
        // The same messages with something in them; neither waits for completions.
        let full = try time(
            engine,
            Operation(
                .allGather, input: Place(buffer), output: Place(buffer, byteOffset: bytes), count: bytes, type: .uint8,
                algorithm: .bruck))
        let rounds = Double(Int.bitWidth - (ranks - 1).leadingZeroBitCount)
        let latency = max(0.01, empty / rounds)
        let perByte = max(1e-7, (full - empty) / Double(bytes) / Double(ranks - 1))
        let own = [latency, perByte] + kernelCosts()
        var costs = Costs.typical
        costs.near = Costs.Link(latency: latency, perByte: perByte)
        costs.reducePerByte = own[2]
        let mapped = isOneNode ? try mappedPerByte(engine, buffer, bytes, costs, plan.settings.topology) : 0
        let all = try agree(on: own + [mapped], group)
        costs = .typical
        (costs.reducePerByte, costs.encodePerByte, costs.decodePerByte) = (all[2], all[3], all[4])
        let link = Costs.Link(latency: all[0], perByte: all[1])
        if isOneNode { (costs.near, costs.mappedPerByte) = (link, all[5]) } else { costs.far = link }
        return costs
    }

    /// What `Costs.microseconds` lacks to say how long an allreduce over mapped memory took.
    private static func mappedPerByte(
        _ engine: RunningEngine, _ buffer: SharedBuffer, _ bytes: Int, _ costs: Costs, _ topology: Topology
    ) throws(VerbenaError) -> Double {
        var others = costs
        others.mappedPerByte = 0
        let count = bytes / ElementType.float32.byteCount
        let time = try time(engine, Operation(.allReduce, input: Place(buffer), count: count, type: .float32, algorithm: .direct))
        return max(1e-7, (time - others.microseconds(.direct, .allReduce, byteCount: bytes, in: topology)) / Double(bytes))
    }

    /// The median of some runs, in microseconds, after one that is not counted.
    private static func time(_ engine: RunningEngine, _ operation: Operation) throws(VerbenaError) -> Double {
        var times: [UInt64] = []
        for run in 0..<12 {
            let start = platform_now()
            try engine.run(operation)
            if run > 0 { times.append(platform_now() - start) }
        }
        return Double(times.sorted()[times.count / 2]) / 1000
    }

    /// Microseconds a byte to add an array to another, and to encode and decode one in the wire format that may be chosen unasked.
    private static func kernelCosts() -> [Double] {
        let count = 1 << 16
        let left = UnsafeMutableRawPointer.allocate(byteCount: 4 * count, alignment: 64)
        let right = UnsafeMutableRawPointer.allocate(byteCount: 4 * count, alignment: 64)
        // SAFETY: both hold `count` floats, and are freed when the last kernel has returned.
        defer {
            unsafe left.deallocate()
            unsafe right.deallocate()
        }
        unsafe left.initializeMemory(as: UInt8.self, repeating: 0, count: 4 * count)
        unsafe right.initializeMemory(as: UInt8.self, repeating: 0, count: 4 * count)
        func perByte(_ work: () -> Void) -> Double {
            var least = UInt64.max
            for _ in 0..<5 {
                let start = platform_now()
                work()
                least = min(least, platform_now() - start)
            }
            return Double(max(1, least)) / 1000 / Double(4 * count)
        }
        return [
            perByte {
                unsafe Kernels.combine(
                    .sum, .float32, UnsafeRawPointer(left), UnsafeRawPointer(right), into: left, count: count, averaging: .none)
            },
            perByte { unsafe Kernels.encode(.bfloat16, UnsafeRawPointer(left), residual: nil, into: right, count: count) },
            perByte { unsafe Kernels.decode(.bfloat16, UnsafeRawPointer(right), into: left, count: count) },
        ]
    }

    /// The greatest of each figure over all ranks.
    private static func agree(on own: [Double], _ group: RankGroup) throws(VerbenaError) -> [Double] {
        let encoded = own.map { "\($0)" }.joined(separator: " ")
        let gathered = try wrapping { () throws(RendezvousError) in
            try group.allGather(Array(encoded.utf8), label: "costs", timeoutSeconds: stageTimeoutSeconds)
        }
        var greatest = own
        for (rank, bytes) in zip(group.jobRanks, gathered) {
            let figures = String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Double($0) }
            guard figures.count == own.count else {
                throw VerbenaError(
                    .disagreed, rank: rank, "rank \(rank) measured costs in another format; run the same build on all ranks")
            }
            for index in figures.indices { greatest[index] = max(greatest[index], figures[index]) }
        }
        return greatest
    }
}
