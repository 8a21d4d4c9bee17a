import Fabric
import Reduction
import Testing

@testable import Collectives

/// Operations whose elements travel in a wire format: their schedules in every order of events, and their bits on executors.
@Suite struct CompressedTests {
    static let formats: [WireFormat] = [.bfloat16, .float16, .int8]
    static let topologies = (2...6).flatMap { Topology.all(worldSize: $0) }

    // MARK: schedules

    private static func rehearsal(
        _ collective: Collective, _ topology: Topology, count: Int, start: Int, stripe: Int, _ wire: WireFormat,
        _ cutting: ScheduleTests.Cutting, places: Int? = nil
    ) -> Rehearsal {
        let settings = ExecutorSettings.small(
            topology, chunkBytes: cutting.chunk * 4, chunks: cutting.chunks, channels: cutting.channels)
        var operation = Operation(
            collective, input: Place(SharedBuffer(index: 1), byteOffset: 4 * start), count: count, type: .float32, stripe: stripe)
        operation.wire = wire
        let operations = Array(repeating: operation, count: topology.worldSize)
        let shapes = operations.enumerated().map { rank, operation in
            var shape = settings.shape(of: operation, rank: rank, layout: settings.receiveBuffers)
            shape.minChunkElements = cutting.least
            return shape
        }
        let rehearsal = Rehearsal(operation, .compressed, topology, shapes: shapes, places: places)
        rehearsal.run()
        rehearsal.compare(with: Oracle(operation: operation, topology: topology, algorithm: .compressed))
        return rehearsal
    }

    @Test(arguments: topologies)
    func everyOrderOfEventsGivesTheResult(topology: Topology) {
        var turn = topology.worldSize
        for collective in StripedTests.collectives {
            for wire in [WireFormat.bfloat16, .int8] {
                for (stripe, chunk) in [(32, 64), (32, 128), (16, 256)] {
                    for chunks in [2, 5, 16] {
                        for count in [0, 1, stripe, 3 * stripe + 1, 20 * stripe, 41 * stripe - 3] {
                            turn += 7
                            guard ScheduleTests.isExhaustive || turn / 7 % 5 == 0 else { continue }
                            let cutting = ScheduleTests.Cutting(chunk: chunk, least: turn % 2 == 0 ? 1 : chunk, chunks: chunks)
                            let start = [0, 5, stripe, 3 * stripe + 1][turn % 4]
                            let rehearsal = Self.rehearsal(
                                collective, topology, count: count, start: start, stripe: stripe, wire, cutting)
                            let what = "\(collective) of \(count) from \(start) as \(wire) in stripes of \(stripe), \(cutting)"
                            #expect(rehearsal.faults.isEmpty, "\(what)")
                            #expect(rehearsal.maxUnread <= 2 * 4 + 1, "\(what)")
                        }
                    }
                }
            }
        }
    }

    /// One place fewer than the claims ask for, and the rehearsal sees two uses of a slot that may come in either order.
    @Test(arguments: StripedTests.collectives) func aPlaceTooFewIsFound(collective: Collective) {
        let cutting = ScheduleTests.Cutting(chunk: 256, least: 1, chunks: 16)
        let depth = collective == .allReduce ? 3 : 4
        for ranks in [2, 3] {
            for (places, isRight) in [(depth, true), (depth - 1, false)] {
                let rehearsal = Self.rehearsal(
                    collective, .apart(worldSize: ranks), count: 640, start: 0, stripe: 16, .bfloat16, cutting, places: places)
                #expect(rehearsal.faults.isEmpty == isRight, "\(places) places")
            }
        }
    }

    /// Claims 7 and 8: where a rank encodes into a slot from which it has sent, it has waited for its writes in between.
    @Test(arguments: StripedTests.collectives, [2, 3, 5]) func aSlotIsEncodedIntoAgainAfterItsWrites(collective: Collective, ranks: Int) {
        for (chunkBytes, chunks) in [(1024, 64), (256, 64)] {
            let settings = ExecutorSettings.small(.apart(worldSize: ranks), chunkBytes: chunkBytes, chunks: chunks, channels: 2)
            var operation = Operation(collective, input: Place(SharedBuffer(index: 1)), count: 4000, type: .float32, stripe: 16)
            operation.wire = .bfloat16
            var reused = 0
            for rank in 0..<ranks {
                var shape = settings.shape(of: operation, rank: rank, layout: settings.receiveBuffers)
                shape.minChunkElements = 1
                let schedule = Schedule(.compressed, shape)
                var sent: [Int: Int] = [:]
                var drained = -1
                for index in 0..<schedule.count {
                    let step = schedule[index]
                    if step.drain { drained = index }
                    let target: Int? =
                        switch step.action {
                        case .encode(_, let place): place
                        case .addUp(let sum): sum.result
                        default: nil
                        }
                    if let last = target.flatMap({ sent[$0] }) {
                        reused += 1
                        #expect(drained > last, "step \(index) of rank \(rank), sent from in step \(last)")
                    }
                    if let send = step.send, send.count > 0, case .encoded(let place) = send.source { sent[place] = index }
                }
            }
            #expect(reused > 0)
        }
    }

    /// The gated slots that there are take the messages of every world, and no message is long.
    @Test(arguments: [2, 3, 8, 64, 500, 4096]) func slotsFit(worldSize: Int) {
        for topology in [Topology.apart(worldSize: worldSize), .oneNode(worldSize: worldSize)] {
            for limit in [1 << 20, ExecutorSettings.receiveBufferByteLimit] {
                let settings = ExecutorSettings(topology: topology, receiveBufferByteLimit: limit)
                let stripe = settings.stripeBytes / 1024 * 256
                for collective in StripedTests.collectives {
                    for wire in Self.formats {
                        var operation = Operation(
                            collective, input: Place(SharedBuffer(index: 1)), count: worldSize * stripe * 100, type: .float32,
                            stripe: stripe)
                        operation.wire = wire
                        let layout = settings.receiveBuffers
                        let schedule = Compressed(settings.shape(of: operation, rank: 1, layout: layout))
                        #expect(Compressed.canCarryOut(operation, in: settings))
                        let window = schedule.window(0, of: 1)
                        #expect(window.byteCount <= schedule.slotBytes && window.count > 0)
                        #expect(schedule.endOfSlots <= layout.gatedSlots * settings.chunkBytes)
                        #expect(2 * schedule.depth + 1 <= ExecutorSettings.maxUnread)
                        if worldSize <= 8, limit > 1 << 20 { #expect(schedule.lag == 1) }
                    }
                }
            }
        }
    }

    // MARK: bits

    /// A buffer of every rank, and its residual.
    // SAFETY (whole type): the job holds the memory.
    private struct Buffer {
        let job: Job
        let topology: Topology
        let count: Int
        let stripe = 256
        let wire: WireFormat
        let reduction: ReductionOperation

        init(_ settings: ExecutorSettings, _ wire: WireFormat, _ reduction: ReductionOperation, count: Int, seed: UInt64) throws {
            job = try Job(settings, seed: seed, bufferBytes: [max(64, 4 * count), max(64, 4 * count)])
            topology = settings.topology
            (self.wire, self.reduction, self.count) = (wire, reduction, count)
            for rank in 0..<settings.worldSize {
                for index in 0..<count {
                    unsafe job.floats(rank, 1)[index] = Self.value(rank, index)
                    unsafe job.floats(rank, 2)[index] = Self.value(rank + 100, index) * 0x1p-9
                }
            }
        }

        static func value(_ rank: Int, _ index: Int) -> Float {
            var random = SplitMix(state: UInt64(rank) << 32 | UInt64(index))
            return Float(Double(random.next() >> 11) * 0x1p-52 - 1)
        }

        func operation(_ collective: Collective, _ range: Range<Int>, hasResidual: Bool) -> Operation {
            var operation = Operation(
                collective, input: Place(job.buffers[1], byteOffset: 4 * range.lowerBound), count: range.count, type: .float32,
                reduction: reduction, stripe: stripe)
            operation.wire = wire
            if hasResidual { operation.residual = job.buffers[2] }
            return operation
        }

        func values(_ rank: Int, _ buffer: Int) -> [Float] { unsafe Array(job.floats(rank, buffer)[0..<count]) }

        /// What all ranks should hold, and each rank's residual, computed stripe by stripe.
        func expectation(hasResidual: Bool) -> (result: [Float], residuals: [[Float]]) {
            let ranks = topology.worldSize
            var residuals = (0..<ranks).map { values($0, 2) }
            var result: [Float] = []
            for start in Swift.stride(from: 0, to: count, by: stripe) {
                let range = start..<min(count, start + stripe)
                let turn = start / stripe % topology.owners
                let owner = (0..<ranks).first { topology.owner($0) == turn }!
                func sent(_ values: [Float], by rank: Int) -> [Float] {
                    var rest = Array(residuals[rank][range])
                    let back = unsafe Self.through(wire, values, residual: &rest)
                    guard hasResidual else { return unsafe Self.through(wire, values, residual: nil) }
                    residuals[rank].replaceSubrange(range, with: rest)
                    return back
                }
                let parts = (0..<ranks).map { (owner + $0) % ranks }.map { rank in
                    rank == owner ? Array(values(rank, 1)[range]) : sent(Array(values(rank, 1)[range]), by: rank)
                }
                result += sent(Self.sum(parts, reduction), by: owner)
            }
            return (result, residuals)
        }

        private static func through(_ wire: WireFormat, _ values: [Float], residual: UnsafeMutablePointer<Float>?) -> [Float] {
            var bytes = Array(repeating: UInt8(0), count: wire.byteCount(of: values.count))
            var back = values
            unsafe Kernels.encode(wire, values, residual: residual, into: &bytes, count: values.count)
            unsafe Kernels.decode(wire, bytes, into: &back, count: values.count)
            return back
        }

        private static func sum(_ parts: [[Float]], _ reduction: ReductionOperation) -> [Float] {
            var sum = parts[0]
            for index in 1..<parts.count {
                let left = sum
                unsafe Kernels.combine(
                    reduction, .float32, left, parts[index], into: &sum, count: sum.count,
                    averaging: Averaging(ranks: parts.count, partials: index > 1 ? 1 : 0, isFinal: index == parts.count - 1))
            }
            return sum
        }
    }

    private func run(_ operations: [Collectives.Operation], _ buffer: Buffer) throws {
        for operation in operations {
            for rank in buffer.job.ranks { try rank.executor.submit(operation) }
            // The second half of a range must not begin before the first one has ended.
            if operation.collective == .reduceStripes { buffer.job.run() }
        }
        buffer.job.run()
        for rank in buffer.job.ranks {
            let failure = rank.executor.failure
            #expect(failure == nil && rank.finished.count == operations.count)
        }
    }

    private func expect(_ buffer: Buffer, _ wanted: (result: [Float], residuals: [[Float]]), _ what: String) {
        for rank in buffer.job.ranks.indices {
            let (values, rest) = (buffer.values(rank, 1), buffer.values(rank, 2))
            #expect(values.map(\.bitPattern) == wanted.result.map(\.bitPattern), "\(what): result of rank \(rank)")
            #expect(rest.map(\.bitPattern) == wanted.residuals[rank].map(\.bitPattern), "\(what): residual of rank \(rank)")
        }
    }

    /// Whole or in pieces, as one operation or in halves, in small windows or large: always the same bits, on all ranks.
    @Test(
        arguments: formats,
        [Topology.apart(worldSize: 2), .apart(worldSize: 3), .oneNode(worldSize: 4), Topology(nodeOfRank: [0, 1, 1, 0, 0])])
    func anyCutGivesTheSameBits(wire: WireFormat, topology: Topology) throws {
        let count = 20 * 256 + 77
        for (hasResidual, reduction) in [(true, ReductionOperation.average), (false, .sum), (false, .maximum)] {
            for (chunkBytes, chunks, channels) in [(1024, 2, 1), (4096, 9, 2), (65536, 4, 1)] {
                let settings = ExecutorSettings.small(topology, chunkBytes: chunkBytes, chunks: chunks, channels: channels)
                for cut in [[], [256], [256 * 3, 256 * 4, 256 * 17]] {
                    for isSplit in [false, true] {
                        let buffer = try Buffer(settings, wire, reduction, count: count, seed: UInt64(chunks + cut.count))
                        let wanted = buffer.expectation(hasResidual: hasResidual)
                        let bounds = [0] + cut + [count]
                        let ranges = zip(bounds, bounds.dropFirst()).map { $0..<$1 }
                        let operations = ranges.flatMap { range in
                            (isSplit ? [Collective.reduceStripes, .gatherStripes] : [.allReduce]).map {
                                buffer.operation($0, range, hasResidual: hasResidual)
                            }
                        }
                        try run(operations, buffer)
                        expect(buffer, wanted, "\(reduction), \(chunkBytes), cut at \(cut), split \(isSplit)")
                    }
                }
            }
        }
    }

    /// Over many steps, what was delivered comes to what was given: what is missing lies in the residuals.
    @Test(arguments: formats) func residualsDeliverEverything(wire: WireFormat) throws {
        let (ranks, count, steps) = (3, 1024, 50)
        let buffer = try Buffer(.small(.apart(worldSize: ranks), chunkBytes: 4096, chunks: 4), wire, .sum, count: count, seed: 5)
        let given = (0..<count).map { index in (0..<ranks).map { Buffer.value($0, index) } }
        // SAFETY: the job holds the memory.
        for rank in 0..<ranks { for index in 0..<count { unsafe buffer.job.floats(rank, 2)[index] = 0 } }
        var delivered = Array(repeating: 0.0, count: count)
        for _ in 0..<steps {
            for rank in 0..<ranks { for index in 0..<count { unsafe buffer.job.floats(rank, 1)[index] = given[index][rank] } }
            for rank in buffer.job.ranks { try rank.executor.submit(buffer.operation(.allReduce, 0..<count, hasResidual: true)) }
            buffer.job.run()
            for index in 0..<count { delivered[index] += Double(buffer.values(1, 1)[index]) }
        }
        for index in 0..<count {
            let kept = (0..<ranks).reduce(0.0) { $0 + Double(buffer.values($1, 2)[index]) }
            let wanted = Double(steps) * given[index].reduce(0.0) { $0 + Double($1) }
            #expect((delivered[index] + kept - wanted).magnitude < 1e-3)
        }
    }

    // MARK: choice

    /// 100 Gbit/s and slow kernels: plain; 1 Gbit/s: encoded; never where it would be slower or hardly faster.
    @Test func onlyWhatPaysIsChosen() {
        func chosen(_ gigabits: Double, _ latency: Double = 5, encode: Double = 1 / 10_000, ranks: Int = 2, byteCount: Int = 4 << 20)
            -> WireFormat
        {
            var settings = ExecutorSettings(topology: .apart(worldSize: ranks))
            settings.costs = Costs(
                near: .init(latency: 0.2, perByte: 1 / 15_000), far: .init(latency: latency, perByte: 8 / (1000 * gigabits)),
                reducePerByte: 1 / 20_000, encodePerByte: encode, decodePerByte: encode)
            let choice = settings.worthwhileWire(for: .allReduce, byteCount: byteCount, stripe: 4096)
            let plain = settings.choice(for: .allReduce, byteCount: byteCount, type: .float32, stripe: 4096).predictions[0].microseconds
            let encoded = settings.costs.microseconds(.bfloat16, .allReduce, byteCount: byteCount, in: settings.topology)
            #expect(choice == (encoded < 0.85 * plain ? .bfloat16 : .plain))
            return choice
        }
        for ranks in [2, 3, 8, 64] {
            #expect(chosen(1, ranks: ranks) == .bfloat16)
            #expect(chosen(10, ranks: ranks) == .bfloat16)
            #expect(chosen(400, ranks: ranks) == .plain)
            #expect(chosen(100, encode: 1 / 500, ranks: ranks) == .plain)
            #expect(chosen(1, 1000, ranks: ranks, byteCount: 1024) == .plain)
        }
        let oneNode = ExecutorSettings(topology: .oneNode(worldSize: 4))
        #expect(oneNode.worthwhileWire(for: .allReduce, byteCount: 1 << 20, stripe: 4096) == .plain)
        #expect(
            ExecutorSettings(topology: .apart(worldSize: 1)).worthwhileWire(for: .allReduce, byteCount: 1 << 20, stripe: 4096) == .plain)
    }
}
