internal import Collectives
internal import Fabric
internal import SimulatedFabric

/// One rank's part in a program: submits the plan's operations, those of each stream in order, each at its own time, and looks at every result the
/// moment that it is reported. A range of its memory is touched only while no operation has it.
final class Seat {
    /// What the network calls it.
    let place: Int
    /// Its number among the program's members.
    let rank: Int
    var executor: Executor<SimulatedFabric>
    var buffers: [SharedBuffer] = []
    private(set) var finishedCount = 0

    private var regions: [Region] = []
    let program: Program
    private let layout: MemoryLayoutPlan
    private let book: Book
    private let network: SimulatedNetwork
    /// Bulk with the transfers, and what is urgent.
    private var lines: [Line]
    /// By number: what was asked.
    private var flying: [Int: Program.Planned] = [:]
    /// Of the operation in which this rank disagrees; kept for it.
    private var otherCounts: [BlockCounts]?
    private var finishedNumbers: Set<Int> = []
    private var claims: [Int: [(Region, Range<Int>)]] = [:]
    private var trainee: Trainee?
    private var random: SeededRandom

    init(
        place: Int, rank: Int, _ executor: consuming Executor<SimulatedFabric>, _ book: Book, _ network: SimulatedNetwork
    ) {
        self.place = place
        self.rank = rank
        self.executor = executor
        let program = book.program
        self.program = program
        layout = book.layout
        self.book = book
        self.network = network
        random = SeededRandom(seed: program.seed &+ UInt64(rank) &* 0x5851_F42D_4C95_7F2D)
        let operations = program.operations.filter {
            if case .pointToPoint(let from, let to) = $0.kind { from == rank || to == rank } else { true }
        }
        lines = Stream.allCases.map { stream in Line(operations: operations.filter { $0.stream == stream }) }
        trainee = program.training.map { Trainee($0, rank: rank, of: program) }
        for line in lines.indices where line == 0 || lines[line].hasMore { pace(line) }
        drawWaits()
    }

    /// Operations that this rank submits in their order.
    private struct Line {
        let operations: [Program.Planned]
        var submitted = 0
        var finished = 0
        var nextSubmission = FabricInstant(nanoseconds: 0)
        /// How many of the other line must have ended before each is submitted.
        var waits: [Int]

        init(operations: [Program.Planned]) {
            self.operations = operations
            waits = operations.map { _ in 0 }
        }

        var hasMore: Bool { submitted < operations.count }
    }

    private func drawWaits() {
        guard program.streamWait != .none else { return }
        let (waiting, other) = program.streamWait == .urgentForBulk ? (1, 0) : (0, 1)
        var draw = SeededRandom(seed: program.seed ^ UInt64(rank) << 32)
        guard draw.chance(perMille: 500) else { return }
        for index in lines[waiting].operations.indices where draw.chance(perMille: 400) {
            lines[waiting].waits[index] = draw.below(lines[other].operations.count + 1)
        }
    }

    func addBuffer(byteCount: Int) throws {
        let (buffer, region) = try executor.addBuffer(byteCount: byteCount)
        buffers.append(buffer)
        regions.append(region)
        if regions.count < 3 { region.fill(0..<byteCount, with: MemoryLayoutPlan.guardByte) }
        if regions.count == 4 { region.fill(0..<byteCount, with: 0) }
    }

    /// What reports call it.
    var name: String { network.name(ofPlace: place) }
    /// The rank of the world that it is.
    var host: Int { program.members[rank] }

    // MARK: running

    var isDone: Bool {
        if executor.failure != nil { return !executor.hasWork }
        return !lines.contains(where: \.hasMore) && (trainee?.isDone ?? true) && !executor.hasWork
    }

    var state: String {
        "\(lines.map { "\($0.submitted) of \($0.operations.count)" }) submitted, \(finishedCount) finished, "
            + "in flight: \(flying.values.map(\.number).sorted()), \(executor.currentOperation)"
    }

    func hasFinished(_ number: Int) -> Bool { finishedNumbers.contains(number) }

    /// Takes what there is and goes on with the program.
    func run() throws {
        var isMoving = true
        while isMoving {
            isMoving = executor.progress()
            if !isMoving { executor.checkStall() }
            try verifyFinished()
            if try submitDue() { isMoving = true }
        }
        guard !isDone else { return }
        let idle = network.now.nanoseconds + Job.idleNanoseconds
        network.setAlarm(place: place, at: FabricInstant(nanoseconds: min(nextSubmission.nanoseconds, idle)))
    }

    /// When an operation may be submitted that waits for nothing but its time; far away where there is none.
    var nextSubmission: FabricInstant {
        lines.indices.filter(mayGoOn).map { lines[$0].nextSubmission }.min { $0.nanoseconds < $1.nanoseconds } ?? .distantFuture
    }

    /// When it runs first, if nothing comes sooner. Who has no operation of its own may have a trainer all the same.
    var firstRun: FabricInstant {
        lines.contains(where: \.hasMore) ? nextSubmission : FabricInstant(nanoseconds: UInt64(program.startNanoseconds))
    }

    /// Takes ends without a look: those of a verdict.
    func takeFinished() {
        while executor.takeFinished() != nil {}
        flying.removeAll()
    }

    private func pace(_ line: Int) {
        let start = lines[line].submitted == 0 ? UInt64(program.startNanoseconds) : 0
        lines[line].nextSubmission = FabricInstant(
            nanoseconds: network.now.nanoseconds + start + UInt64(random.below(program.paceNanoseconds + 1)))
    }

    /// Whether a line's next operation may have its memory, the one before is out of its way, and what it waits for has ended.
    private func mayGoOn(_ line: Int) -> Bool {
        guard executor.failure == nil, lines[line].hasMore else { return false }
        let next = lines[line].operations[lines[line].submitted]
        if program.isBlocking, flying.values.contains(where: { $0.stream == next.stream }) { return false }
        guard lines[1 - line].finished >= lines[line].waits[lines[line].submitted] else { return false }
        return isHasty(next) || !flying.values.contains { $0.place == next.place }
    }

    /// Whether an operation does not wait for its first half, as it must.
    private func isHasty(_ next: Program.Planned) -> Bool {
        #if DEBUG
            program.settings.simulation?.mutation == .hastyGather && next.gathers != nil
        #else
            false
        #endif
    }

    private func submitDue() throws -> Bool {
        var hasSubmitted = false
        for line in lines.indices {
            while mayGoOn(line), lines[line].nextSubmission <= network.now {
                try submit(lines[line].operations[lines[line].submitted])
                lines[line].submitted += 1
                hasSubmitted = true
                pace(line)
            }
        }
        if !lines.contains(where: \.hasMore), executor.failure == nil, try train() { hasSubmitted = true }
        return hasSubmitted
    }

    // MARK: operations

    private func submit(_ planned: Program.Planned) throws {
        for (region, range) in claims.removeValue(forKey: planned.place) ?? [] {
            network.disclaim(place: place, region: region, range: range)
        }
        let disagrees = program.disagreement == .operation(rank: rank, number: planned.number)
        let operation = operation(disagrees ? another(planned) : planned, disagrees: disagrees)
        prepare(planned)
        book.begin(planned)
        do {
            // Every other one with a record: that must make no difference.
            try executor.submit(
                operation, number: planned.number, recordedFrom: planned.number % 2 == 0 ? network.now.nanoseconds : nil)
            flying[planned.number] = planned
        } catch {
            throw Finding(kind: .wrongFailure, detail: "\(name) could not submit operation \(planned.number): \(error)")
        }
    }

    /// The same with an element more.
    private func another(_ planned: Program.Planned) -> Program.Planned {
        var other = planned
        other.count += 1
        if var matrix = planned.matrix {
            matrix[planned.kind == .collective(.allToAll) ? rank : 0][(rank + 1) % program.worldSize] += 1
            other.matrix = matrix
            otherCounts = other.counts
        }
        return other
    }

    private func operation(_ planned: Program.Planned, disagrees: Bool) -> Operation {
        let offset = layout.offsets[planned.place] ?? 0
        let input = Place(buffers[0], byteOffset: offset)
        let output = planned.isInPlace ? input : Place(buffers[1], byteOffset: offset)
        var operation = Operation(
            planned.collective(of: rank), input: input, output: output, count: planned.count, counts: planned.counts?[rank],
            type: planned.type, reduction: planned.reduction, algorithm: planned.algorithm, stream: planned.stream, stripe: planned.stripe)
        operation.wire = planned.wire
        operation.isPrivate = planned.isPrivate
        // What it asks for may no longer be possible.
        if disagrees, !executor.canCarryOut(operation) { operation.algorithm = nil }
        return operation
    }

    /// Where the rank's own input or output begins in its place, in bytes.
    private func start(_ planned: Program.Planned, _ part: (Extents) -> (Int) -> Range<Int>) -> Int {
        part(planned.extents(of: rank, worldSize: program.worldSize))(rank).lowerBound * planned.type.byteCount
    }

    /// Puts the input where it belongs, and rubbish everywhere else.
    private func prepare(_ planned: Program.Planned) {
        if program.firstHalf(of: planned) != nil { return }
        let (offset, size) = (layout.offsets[planned.place] ?? 0, layout.sizes[planned.place] ?? 0)
        for buffer in 0..<2 { regions[buffer].fill(offset..<offset + size, with: 0xEE) }
        regions[0].store(book.inputs(planned)[rank], at: offset + start(planned, Extents.input))
    }

    private func verifyFinished() throws {
        while let one = executor.takeFinished() {
            if one.number < 0 {
                if !one.isFailed { try endBucket(one.number) }
                continue
            }
            guard let planned = flying.removeValue(forKey: one.number) else {
                throw Finding(kind: .wrongFailure, detail: "\(name): operation \(one.number) ended and was not in flight")
            }
            if let record = one.record, !record.isOrdered { throw wrong(planned, "\(record)") }
            guard !one.isFailed else { continue }
            finishedCount += 1
            finishedNumbers.insert(planned.number)
            lines[Int(planned.stream.rawValue)].finished += 1
            try verify(planned)
            claim(planned)
        }
    }

    private func verify(_ planned: Program.Planned) throws {
        if planned.kind == .collective(.barrier), book.begun[planned.number] != program.worldSize {
            throw wrong(planned, "ended before every rank had begun it")
        }
        if case .operation(_, let number) = program.disagreement, number == planned.number { return }
        let offset = layout.offsets[planned.place] ?? 0
        let size = layout.sizes[planned.place] ?? 0
        if let wanted = book.output(planned, rank: rank) {
            let found = regions[planned.isInPlace ? 0 : 1].load(at: offset + start(planned, Extents.output), count: wanted.count)
            guard book.accepts(found, wanted: wanted, planned, rank: rank) else {
                let place = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
                throw wrong(planned, "byte \(place) of \(wanted.count) is \(found[place]), not \(wanted[place])")
            }
        } else if !planned.isInPlace {
            guard regions[1].load(at: offset, count: size).allSatisfy({ $0 == 0xEE }) else {
                throw wrong(planned, "its unused output was written")
            }
        }
        guard !planned.isInPlace else { return }
        let input = book.inputs(planned)[rank]
        guard regions[0].load(at: offset, count: input.count) == input else { throw wrong(planned, "its input was changed") }
    }

    private func wrong(_ planned: Program.Planned, _ detail: String) -> Finding {
        Finding(kind: .wrongResult, detail: "operation \(planned.number) at \(name): \(detail)", trace: network.trace)
    }

    /// From now on the memory is the trainer's, until the next operation on it.
    private func claim(_ planned: Program.Planned) {
        guard let offset = layout.offsets[planned.place], let size = layout.sizes[planned.place], size > 0 else { return }
        for buffer in 0..<2 {
            network.claim(place: place, region: regions[buffer], range: offset..<offset + size)
            claims[planned.place, default: []].append((regions[buffer], offset..<offset + size))
        }
    }

    /// Nobody wrote between the places.
    func checkGuards() throws {
        for buffer in 0..<2 {
            var next = 0
            for place in layout.offsets.keys.sorted() {
                guard let offset = layout.offsets[place], let size = layout.sizes[place] else { continue }
                guard regions[buffer].load(at: next, count: offset - next).allSatisfy({ $0 == MemoryLayoutPlan.guardByte }) else {
                    throw Finding(kind: .wrongResult, detail: "\(name): bytes before place \(place) were written")
                }
                next = offset + (lines.contains { $0.submitted > 0 } ? size : 0)
            }
        }
    }

    // MARK: gradients

    /// Announces a few gradients, and submits what may start.
    /// - Returns: whether there was anything to do.
    private func train() throws -> Bool {
        guard trainee?.isDone == false else { return false }
        if trainee?.isStepBegun == false {
            guard flying.isEmpty else { return false }
            regions[2].store(trainee?.beginStep() ?? [], at: 0)
        }
        var isMoving = trainee?.hasUnannounced == true
        do {
            if isMoving { try trainee?.announceSome(&random) }
            while let start = trainee?.takeStart() {
                guard let operation = trainee?.operation(start, in: buffers[2...]) else { continue }
                try executor.submit(operation, number: start.number)
                isMoving = true
            }
        } catch {
            throw Finding(kind: .wrongFailure, detail: "\(name) could not train: \(error)")
        }
        return isMoving
    }

    private func endBucket(_ number: Int) throws {
        if let bucket = trainee?.returned(number), let range = trainee?.byteRange(of: bucket), let wanted = trainee?.result(of: bucket) {
            guard regions[2].load(at: range.lowerBound, count: range.count) == wanted else {
                throw Finding(kind: .wrongResult, detail: "bucket \(bucket) at \(name) in its step is wrong", trace: network.trace)
            }
            if let kept = trainee?.residual(of: bucket), regions[3].load(at: range.lowerBound, count: range.count) != kept {
                throw Finding(kind: .wrongResult, detail: "bucket \(bucket) at \(name) has wrong residuals", trace: network.trace)
            }
        }
        finishedCount += 1
        trainee?.end(number)
    }
}

extension OperationRecord {
    /// Whether no time is earlier than the one before it.
    fileprivate var isOrdered: Bool {
        let times = [submitted, started, firstArrival, lastArrival, ended]
        return zip(times, times.dropFirst()).allSatisfy(<=)
    }
}
