import Reduction
import Testing

@testable import Collectives

/// Many operations of all kinds in flight, each rank submitting at its own pace, transfers between two ranks among them. Some collectives are urgent:
/// when those come between the others is each rank's own affair.
///
/// A rank writes its input when it submits and takes its buffers back when an operation is reported: then its output must be right, and both are
/// overwritten, so that a late read gives a wrong result elsewhere and a late write is seen at the end.
@Suite struct MixtureTests {
    /// All of a job's operations, and where each is on which rank.
    // SAFETY (whole type): the job holds the memory.
    final class Mixture {
        struct Entry {
            /// By rank; nil where a rank has no part in it.
            var operations: [Operation?]
            var expectation: Expectation
        }

        static let used: UInt8 = 0xC3
        let job: Job
        let worldSize: Int
        var entries: [Entry] = []
        /// Of each rank, the entries that it has yet to submit: those of the bulk stream and transfers, and urgent ones.
        private var unsubmitted: [[ArraySlice<Int>]] = []
        var faults: [String] = []
        private var room: [Int]
        /// Kept for their counts.
        private var uneven: [UnevenOperation] = []

        init(_ job: Job, worldSize: Int) {
            self.job = job
            self.worldSize = worldSize
            room = Array(repeating: 0, count: job.buffers.count)
            job.onFinish = { [unowned self] in check($0, $1) }
        }

        /// Room for something of each rank, nobody else's.
        func place(_ buffer: Int, byteCount: Int) -> Place {
            defer { room[buffer] += (byteCount + 63 + 64) / 64 * 64 }
            return Place(job.buffers[buffer], byteOffset: room[buffer])
        }

        func begin() {
            func isUrgent(_ entry: Int) -> Bool { entries[entry].operations.contains { $0?.stream == .urgent } }
            let orders = [false, true].map { urgent in entries.indices.filter { isUrgent($0) == urgent }[...] }
            unsubmitted = Array(repeating: orders, count: worldSize)
        }

        func hasMore(_ rank: Int) -> Bool { unsubmitted[rank].contains { !$0.isEmpty } }

        /// Submits the next entry of one stream, which the draw decides.
        func submit(_ rank: Int, _ draw: Int) throws {
            let stream = unsubmitted[rank][draw % 2].isEmpty ? 1 - draw % 2 : draw % 2
            let number = unsubmitted[rank][stream].removeFirst()
            guard let operation = entries[number].operations[rank] else { return }
            let input = entries[number].expectation.inputs[rank]
            let size = operation.type.byteCount
            var place = operation.input
            place.byteOffset += operation.extents(worldSize: worldSize).input(of: rank).lowerBound * size
            if !input.isEmpty { unsafe job.bytes(rank, place, count: input.count).copyBytes(from: input) }
            try job.ranks[rank].executor.submit(operation, number: number)
        }

        /// An operation whose blocks differ in size.
        func addUneven(number: Int, _ settings: ExecutorSettings, _ random: inout SplitMix) {
            let collective = UnevenOperation.collectives.randomElement(using: &random)!
            let type = ElementType.allCases.randomElement(using: &random)!
            let largest = random.below(random.oneIn(8) ? 200 : 40)
            let matrix = UnevenOperation.matrix(worldSize, kind: random.below(1000), largest: largest)
            let bytes = worldSize * largest * type.byteCount
            let input = place(1, byteCount: bytes)
            let output = collective != .allToAll && random.oneIn(2) ? input : place(2, byteCount: bytes)
            let possible = Algorithm.allCases.filter {
                $0.supports(collective, byteCount: largest * type.byteCount, isUneven: true, in: settings)
            }
            let algorithm = possible.randomElement(using: &random)!
            let uneven = UnevenOperation(
                collective, input: input, output: output, matrix: matrix, type: type,
                reduction: ReductionOperation.allCases.randomElement(using: &random)!, algorithm: algorithm)
            let inputs = (0..<worldSize).map { Sample.input(uneven.operations[$0], number: number, rank: $0, worldSize: worldSize) }
            let oracle = Oracle(
                operation: uneven.operations[0], topology: settings.topology, algorithm: algorithm, ownExtents: uneven.extents)
            entries.append(.init(operations: uneven.operations, expectation: Expectation(oracle: oracle, inputs: inputs)))
            self.uneven.append(uneven)
        }

        private func check(_ rank: Int, _ finished: Finished) {
            let entry = entries[finished.number]
            guard let operation = entry.operations[rank] else { return faults.append("entry \(finished.number) ended on rank \(rank)") }
            let size = operation.type.byteCount
            if finished.isFailed { faults.append("\(operation.name(sequence: 0)) failed") }
            var wanted = Array(repeating: UInt8(0xEE), count: operation.extents(worldSize: worldSize).needs(of: rank).output * size)
            let expectation = entry.expectation.with(operation)
            if let output = expectation.output(of: rank) {
                let start = operation.extents(worldSize: worldSize).output(of: rank).lowerBound * size
                let got = unsafe Array(job.bytes(rank, operation.output, count: start + output.count)[start...])
                if !expectation.accepts(got, wanted: output, rank: rank) {
                    faults.append("\(operation.name(sequence: 0)) as entry \(finished.number) on rank \(rank) has a wrong result")
                }
            } else if !operation.isInPlace {
                wanted = unsafe Array(job.bytes(rank, operation.output, count: wanted.count))
                if wanted.contains(where: { $0 != 0xEE }) { faults.append("\(operation.name(sequence: 0)) wrote where nothing belongs") }
            }
            let needs = operation.extents(worldSize: worldSize).needs(of: rank)
            if operation.collective.peer == nil || needs.input > 0 { take(rank, operation.input, operation) }
            if needs.output > 0 { take(rank, operation.output, operation) }
        }

        private func take(_ rank: Int, _ place: Place, _ operation: Operation) {
            unsafe job.bytes(rank, place, count: byteCount(rank, place, operation)).initializeMemory(as: UInt8.self, repeating: Self.used)
        }

        private func byteCount(_ rank: Int, _ place: Place, _ operation: Operation) -> Int {
            let needs = operation.extents(worldSize: worldSize).needs(of: rank)
            let count = operation.isInPlace ? max(needs.input, needs.output) : place == operation.input ? needs.input : needs.output
            return count * operation.type.byteCount
        }

        /// Whether anybody wrote into what ranks have taken back.
        func lookForLateWrites() {
            for entry in entries {
                for rank in 0..<worldSize {
                    guard let operation = entry.operations[rank] else { continue }
                    for place in [operation.input, operation.output] {
                        let bytes = unsafe Array(job.bytes(rank, place, count: byteCount(rank, place, operation)))
                        if bytes.contains(where: { $0 != Self.used }) {
                            faults.append("\(operation) was written to on rank \(rank) after its end")
                        }
                    }
                }
            }
        }
    }

    static func settings(_ topology: Topology, _ random: inout SplitMix) -> ExecutorSettings {
        var settings = ExecutorSettings.small(
            topology, chunkBytes: 64 << random.below(2), chunks: 2 + random.below(4), eagerBytes: 64 << random.below(4),
            channels: 1 + random.below(3))
        func number() -> Double { Double(1 + random.below(1000)) / 100 }
        settings.costs = Costs(
            near: .init(latency: number(), perByte: number()), far: .init(latency: number(), perByte: number()), reducePerByte: number())
        return settings
    }

    /// - Parameter length: operations.
    static func mixture(_ topology: Topology, seed: Int, length: Int) throws -> Mixture {
        var random = SplitMix(state: UInt64(seed) &* 7919)
        let worldSize = topology.worldSize
        let settings = settings(topology, &random)
        let mixture = Mixture(
            try Job(settings, seed: UInt64(seed), bufferBytes: [300_000, 300_000], completesAtOnce: seed % 4 == 3), worldSize: worldSize)
        let collectives = Collective.all(worldSize: worldSize)
        for number in 0..<length {
            let type = ElementType.allCases.randomElement(using: &random)!
            let reduction = ReductionOperation.allCases.randomElement(using: &random)!
            let count = random.oneIn(6) ? 0 : random.below(random.oneIn(8) ? 200 : 40)
            if worldSize > 1, random.oneIn(3) {
                let from = random.below(worldSize)
                let to = (from + 1 + random.below(worldSize - 1)) % worldSize
                var operations: [Operation?] = Array(repeating: nil, count: worldSize)
                let bytes = count * type.byteCount
                // Each end has a place of its own.
                let (here, there) = (mixture.place(1, byteCount: bytes), mixture.place(2, byteCount: bytes))
                operations[from] = Operation(.send(to: to), input: here, count: count, type: type)
                operations[to] = Operation(.receive(from: from), input: there, count: count, type: type)
                let oracle = Oracle(operation: operations[to]!, topology: topology, algorithm: .pairwise)
                let inputs = (0..<worldSize).map { Sample.input(operations[from]!, number: number, rank: $0, worldSize: worldSize) }
                mixture.entries.append(.init(operations: operations, expectation: Expectation(oracle: oracle, inputs: inputs)))
                continue
            }
            let collective = random.oneIn(2) ? collectives[random.below(5)] : collectives.randomElement(using: &random)!
            let isInPlace = random.oneIn(2)
            let bytes = worldSize * count * type.byteCount
            let input = mixture.place(1, byteCount: bytes)
            let possible = settings.algorithms(for: collective, byteCount: count * type.byteCount)
            let asked = random.oneIn(3) ? nil : possible.randomElement(using: &random)
            let output = isInPlace ? input : mixture.place(2, byteCount: bytes)
            let operation = Operation(
                collective, input: input, output: output, count: count, type: type, reduction: reduction, algorithm: asked,
                stream: random.oneIn(3) ? .urgent : .bulk)
            let algorithm = asked ?? settings.choice(for: collective, byteCount: count * type.byteCount, type: type).algorithm
            let inputs = (0..<worldSize).map { Sample.input(operation, number: number, rank: $0, worldSize: worldSize) }
            mixture.entries.append(
                .init(
                    operations: Array(repeating: operation, count: worldSize),
                    expectation: Expectation(oracle: Oracle(operation: operation, topology: topology, algorithm: algorithm), inputs: inputs)
                ))
            if random.oneIn(4) { mixture.addUneven(number: number, settings, &random) }
        }
        return mixture
    }

    static func run(_ mixture: Mixture, seed: Int) throws {
        var random = SplitMix(state: UInt64(seed) + 5)
        mixture.begin()
        while (0..<mixture.worldSize).contains(where: mixture.hasMore) {
            let rank = random.below(mixture.worldSize)
            for _ in 0..<random.below(9) where mixture.hasMore(rank) { try mixture.submit(rank, random.below(2)) }
            for _ in 0..<random.below(40) { _ = mixture.job.step() }
        }
        mixture.job.run()
        mixture.lookForLateWrites()
    }

    @Test(arguments: 0..<120)
    func everyResultIsRight(seed: Int) throws {
        let topologies = ScheduleTests.topologies
        let topology = topologies[(seed * 11) % topologies.count]
        let mixture = try Self.mixture(topology, seed: seed, length: 160 / (topology.worldSize + 3))
        try Self.run(mixture, seed: seed)
        #expect(mixture.faults.prefix(3).isEmpty)
        for rank in mixture.job.ranks {
            let failure = rank.executor.failure
            #expect(!rank.executor.hasWork && failure == nil)
        }
        let depth = mixture.job.ranks[0].executor.settings.arrivalDepth
        #expect(mixture.job.network.maxUnread <= depth)
    }
}

extension Expectation {
    /// The same for one end of a transfer.
    fileprivate func with(_ operation: Operation) -> Expectation {
        guard operation.collective.peer != nil else { return self }
        return Expectation(oracle: Oracle(operation: operation, topology: oracle.topology, algorithm: oracle.algorithm), inputs: inputs)
    }
}
