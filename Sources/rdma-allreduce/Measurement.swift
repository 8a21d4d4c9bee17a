import CPlatform
import Verbena

/// How every size is measured.
struct Method: Equatable {
    var iterations = 20
    var warmups = 1
    var aggregated = 1
    var checks = 1
    var timeOf = TimeOf.average
    var isDirty = false
    var wantsStragglers = false
    var wantsIterations = false
    var skippedIterations = 0
    var algorithm: Algorithm?

    /// Whether the input is written anew before each call.
    var rewrites: Bool { isDirty || wantsStragglers }
    /// Whether the clock is read around each call instead of once around all of them.
    var timesSingleCalls: Bool { rewrites || wantsIterations }
}

enum Place { case outOfPlace, inPlace }

/// Measures and checks a collective on buffers of one element type. Every rank runs the same.
// SAFETY: the buffers live in this value; between collectives they are ours, and what is taken of them lies within them.
struct Measurement<E: Measurable> {
    let communicator: Communicator
    let pattern: Pattern<E>
    let method: Method
    /// Input out of place; the copy of the input for what cannot do without one in place.
    let source: Buffer<E>
    /// Results, one for each operation that is under way together; in place the input as well.
    let targets: [Buffer<E>]

    /// - Parameter memory: for the source and the targets, which all types use one after the other.
    init(_ communicator: Communicator, _ pattern: Pattern<E>, _ method: Method, _ memory: [Buffer<UInt8>]) {
        self.communicator = communicator
        self.pattern = pattern
        self.method = method
        source = memory[0].viewed()
        targets = memory.dropFirst().map { $0.viewed() }
    }

    var kind: CollectiveKind { pattern.kind }
    private var ranks: Int { communicator.worldSize }

    func row(count: Int) throws -> Row {
        let bytes = count * kind.blocks(ranks: ranks) * MemoryLayout<E>.stride
        return Row(
            bytes: bytes, count: count, type: kind == .barrier ? "none" : E.elementType.name,
            redop: kind.reduces ? pattern.operation.name : "none", root: kind.hasRoot ? pattern.root : -1,
            outOfPlace: try sample(.outOfPlace, count: count, bytes: bytes), inPlace: try sample(.inPlace, count: count, bytes: bytes),
            iterations: method.iterations)
    }

    private func sample(_ place: Place, count: Int, bytes: Int) throws -> Sample {
        let input = pattern.input(rank: communicator.rank, count: count)
        prepare(place, input, count: count)
        try communicator.barrier(label: "size \(bytes)")
        try iterate(method.warmups, place, count: count)
        var timing = try method.timesSingleCalls ? timeCalls(place, input, count: count) : timeAll(place, count: count)
        for _ in 0..<method.checks {
            prepare(place, input, count: count)
            try exchange(place, count: count)
            timing.wrong += wrongCount(place, count: count)
        }
        return try combine(timing, bytes: bytes)
    }

    // MARK: iterations

    /// Iteration after iteration, with nothing between them: the smallest operations take no longer than a few branches here would.
    private func iterate(_ iterations: Int, _ place: Place, count: Int) throws {
        guard let call = soleCall(place, count: count) else {
            for _ in 0..<iterations { try exchange(place, count: count) }
            return
        }
        for _ in 0..<iterations { try perform(call, count: count) }
    }

    /// The iteration, where it is one blocking collective and nothing else.
    private func soleCall(_ place: Place, count: Int) -> SoleCall? {
        let copies = place == .inPlace && kind.copiesInPlace
        guard targets.count == 1, !copies, let collective = kind.collective(root: pattern.root) else { return nil }
        let (input, output) = operands(place, targets[0], count: count)
        return SoleCall(
            collective: collective, input: input.raw, output: output?.raw, reduction: pattern.operation, algorithm: method.algorithm)
    }

    @inline(__always)
    private func perform(_ call: SoleCall, count: Int) throws {
        try communicator.perform(call.collective, call.input, into: call.output, count: count, call.reduction, algorithm: call.algorithm)
    }

    /// As many operations as are to be under way together; one after the other where they share the one copy of the input.
    private func exchange(_ place: Place, count: Int) throws {
        if targets.count == 1 || (place == .inPlace && kind.copiesInPlace) {
            for target in targets { try exchange(place, target, count: count) }
        } else {
            let pending = try targets.flatMap { try start(place, $0, count: count) }
            for operation in pending { try operation.wait() }
        }
    }

    private func exchange(_ place: Place, _ target: Buffer<E>, count: Int) throws {
        if let collective = kind.collective(root: pattern.root) {
            let (input, output) = operands(place, target, count: count)
            try communicator.perform(collective, input, into: output, count: count, pattern.operation, algorithm: method.algorithm)
        } else {
            for operation in try start(place, target, count: count) { try operation.wait() }
        }
    }

    /// Begins one operation, which may have two halves: sending to the right and receiving from the left.
    func start(_ place: Place, _ target: Buffer<E>, count: Int) throws -> [Request] {
        let (input, output) = operands(place, target, count: count)
        if let collective = kind.collective(root: pattern.root) {
            return [
                try communicator.start(
                    collective, input, into: output, count: count, pattern.operation, algorithm: method.algorithm)
            ]
        }
        guard let output else { return [] }
        if ranks == 1 {
            unsafe output.elements.baseAddress!.update(from: input.elements.baseAddress!, count: count)
            return []
        }
        let (right, left) = ((communicator.rank + 1) % ranks, (communicator.rank + ranks - 1) % ranks)
        return [
            try communicator.startReceive(output, count: count, from: left), try communicator.startSend(input, count: count, to: right),
        ]
    }

    private func operands(_ place: Place, _ target: Buffer<E>, count: Int) -> (input: Buffer<E>, output: Buffer<E>?) {
        if place == .outOfPlace { return (source, target) }
        guard kind.copiesInPlace else { return (target, nil) }
        let elements = count * kind.blocks(ranks: ranks)
        unsafe source.elements.baseAddress!.update(from: target.elements.baseAddress!, count: elements)
        return (source, target)
    }

    // MARK: time

    /// Reads the clock once around everything: for calls that take no longer than that.
    private func timeAll(_ place: Place, count: Int) throws -> RankTiming {
        let clock = ContinuousClock()
        try communicator.barrier()
        let start = clock.now
        try iterate(method.iterations, place, count: count)
        let passed = clock.now - start
        return RankTiming(microseconds: passed / .microseconds(1) / operationCount)
    }

    /// By a clock that takes half as long as `ContinuousClock`, which takes half as long as a small message.
    private func timeCalls(_ place: Place, _ input: [[E]], count: Int) throws -> RankTiming {
        var calls: [UInt64] = []
        calls.reserveCapacity(min(method.iterations, 1 << 20))
        var (work, wait) = (UInt64(0), UInt64(0))
        let call = soleCall(place, count: count)
        try communicator.barrier()
        var start = platform_now()
        for _ in 0..<method.iterations {
            if method.rewrites {
                rewrite(place, input, count: count)
                let written = platform_now()
                try communicator.barrier()
                let together = platform_now()
                work += written - start
                wait += together - written
                start = together
            }
            if let call { try perform(call, count: count) } else { try exchange(place, count: count) }
            let end = platform_now()
            calls.append(end - start)
            start = end
        }
        let average = Double(calls.reduce(0, +)) / 1e3 / operationCount
        var timing = RankTiming(microseconds: average)
        if method.wantsIterations { timing.iterations = calls.map { Double($0) / 1e3 / Double(method.aggregated) } }
        if method.wantsStragglers {
            let iterations = Double(method.iterations)
            timing.phases = .init(work: Double(work) / 1e3 / iterations, wait: Double(wait) / 1e3 / iterations, call: average)
        }
        return timing
    }

    private var operationCount: Double { Double(method.iterations * method.aggregated) }

    private func combine(_ own: RankTiming, bytes: Int) throws -> Sample {
        let all = try communicator.gathered(own, label: "times")
        let microseconds = method.timeOf.combine(all.map(\.microseconds))
        let bandwidth = microseconds > 0 ? Double(bytes) / microseconds / 1e3 : 0
        return Sample(
            microseconds: microseconds, algorithmBandwidth: bandwidth, busBandwidth: bandwidth * kind.busFactor(ranks: ranks),
            wrong: method.checks == 0 ? nil : all.reduce(0) { $0 + $1.wrong },
            stragglers: method.wantsStragglers ? Stragglers(all.compactMap(\.phases)) : nil,
            iterations: method.wantsIterations ? IterationTimes(all.map { $0.iterations ?? [] }, skipping: method.skippedIterations) : nil)
    }

    // MARK: contents

    /// Spoils what a result may come to lie on and writes the input: a result that was left out would show.
    private func prepare(_ place: Place, _ input: [[E]], count: Int) {
        for target in targets { unsafe elements(of: target, 0..<kind.blocks(ranks: ranks), count).update(repeating: E.poison) }
        rewrite(place, input, count: count)
    }

    private func rewrite(_ place: Place, _ input: [[E]], count: Int) {
        let blocks = kind.extents(ranks: ranks, root: pattern.root, inPlace: place == .inPlace).input(of: communicator.rank)
        for buffer in place == .inPlace ? targets : [source] {
            for (number, block) in blocks.enumerated() {
                unsafe Pattern.tile(elements(of: buffer, block..<block + 1, count), with: input[number])
            }
        }
    }

    private func wrongCount(_ place: Place, count: Int) -> Int {
        let blocks = kind.extents(ranks: ranks, root: pattern.root, inPlace: place == .inPlace).output(of: communicator.rank)
        var wrong = 0
        for target in targets {
            for (number, block) in blocks.enumerated() {
                let result = unsafe elements(of: target, block..<block + 1, count)
                wrong += unsafe pattern.wrongCount(UnsafeBufferPointer(result), rank: communicator.rank, block: number)
            }
        }
        return wrong
    }

    private func elements(of buffer: Buffer<E>, _ blocks: Range<Int>, _ count: Int) -> UnsafeMutableBufferPointer<E> {
        unsafe UnsafeMutableBufferPointer(rebasing: buffer.elements[blocks.lowerBound * count..<blocks.upperBound * count])
    }
}

/// One blocking collective. Its buffers are of no generic type, which would cost a small operation a fifth here, where the elements' type is not known to the compiler.
private struct SoleCall {
    let collective: Collective
    let input: RawBuffer
    let output: RawBuffer?
    let reduction: ReductionOperation
    let algorithm: Algorithm?
}
