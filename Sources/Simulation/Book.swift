/// What the ranks of one program share: the oracle's answers, worked out once, and who has begun what.
final class Book {
    let program: Program
    let oracle: Oracle
    let layout: MemoryLayoutPlan
    private var inputs: [Int: [[UInt8]]] = [:]
    private var results: [Int: [UInt8]] = [:]
    /// The first result of any numbers, which all others must equal to the bit.
    /// By number of a reduceStripes: its elements, as far as their owners have them.
    private var owned: [Int: [UInt8]] = [:]
    private var precedents: [Int: [Int: [UInt8]]] = [:]
    private(set) var begun: [Int: Int] = [:]

    init(_ program: Program) {
        self.program = program
        layout = MemoryLayoutPlan(program)
        oracle = Oracle(seed: program.seed, worldSize: program.worldSize)
    }

    func begin(_ operation: Program.Planned) { begun[operation.number, default: 0] += 1 }

    /// Whether no rank can be done with an operation that one rank does otherwise.
    func isEveryonesBusiness(_ number: Int) -> Bool {
        guard let operation = program.operations.first(where: { $0.number == number }) else { return false }
        switch operation.kind {
        case .collective(.allToAll) where operation.counts != nil: return false
        case .collective(.allReduce), .collective(.reduceScatter), .collective(.allGather), .collective(.allToAll),
            .collective(.reduceStripes), .collective(.gatherStripes):
            return operation.count > 0
        default: return false
        }
    }

    /// Every rank's own input.
    func inputs(_ operation: Program.Planned) -> [[UInt8]] {
        if let known = inputs[operation.number] { return known }
        let all = (0..<program.worldSize).map {
            oracle.input(operation, rank: $0, count: operation.extents(of: $0, worldSize: program.worldSize).input(of: $0).count)
        }
        inputs[operation.number] = all
        return all
    }

    private func reduced(_ operation: Program.Planned) -> [UInt8] {
        if let known = results[operation.number] { return known }
        if operation.wire != .plain {
            let bytes = reducedInWireFormat(operation)
            results[operation.number] = bytes
            return bytes
        }
        let isOrdered = Oracle.isOrdered(operation) && !operation.isExact
        let bytes =
            isOrdered
            ? program.pairedStations.map { oracle.sum(operation, inputs: inputs(operation), inPairsOf: $0) }
                ?? oracle.sum(operation, inputs: inputs(operation)) { program.order(ofOwner: owner(of: $0, operation)) }
            : oracle.reduced(operation, inputs: inputs(operation))
        results[operation.number] = bytes
        return bytes
    }

    /// What a rank's output is to hold; nil where it gets none.
    func output(_ operation: Program.Planned, rank: Int) -> [UInt8]? {
        func block(_ from: Int, _ bytes: [UInt8]) -> ArraySlice<UInt8> {
            let block = operation.extents(of: from, worldSize: program.worldSize).block(rank)
            return bytes[block.lowerBound * operation.type.byteCount..<block.upperBound * operation.type.byteCount]
        }
        switch operation.kind {
        case .pointToPoint(let from, let to): return rank == to ? inputs(operation)[from] : nil
        case .collective(let collective):
            switch collective {
            case .allReduce, .reduceStripes: return reduced(operation)
            case .reduce(let root): return rank == root ? reduced(operation) : nil
            case .reduceScatter: return Array(block(rank, reduced(operation)))
            case .allGather: return inputs(operation).flatMap { $0 }
            case .gather(let root): return rank == root ? inputs(operation).flatMap { $0 } : nil
            case .broadcast(let root): return inputs(operation)[root]
            case .scatter(let root): return Array(block(root, inputs(operation)[root]))
            case .allToAll: return inputs(operation).enumerated().flatMap { block($0.offset, $0.element) }
            case .gatherStripes: return gathered(operation)
            case .barrier, .send, .receive: return nil
            }
        }
    }

    /// Whether a rank's result is right: to the bit where numbers are exact; else near, and to the bit what the first rank had.
    func accepts(_ result: [UInt8], wanted: [UInt8], _ operation: Program.Planned, rank: Int) -> Bool {
        if operation.kind == .collective(.reduceStripes) { return acceptsStripes(result, wanted: wanted, operation, of: rank) }
        if isToTheBit(operation) || wanted.isEmpty { return result == wanted }
        let isScattered = operation.kind == .collective(.reduceScatter)
        let first = isScattered ? operation.extents(of: rank, worldSize: program.worldSize).block(rank).lowerBound : 0
        if let precedent = precedents[operation.number]?[first] { return precedent == result }
        precedents[operation.number, default: [:]][first] = result
        let elements = Array(first..<first + result.count / operation.type.byteCount)
        return oracle.isNear(result, wanted, operation, inputs: inputs(operation), at: elements)
    }

    private func isToTheBit(_ operation: Program.Planned) -> Bool {
        operation.isExact || operation.wire != .plain || !Oracle.reduces(operation) || Oracle.isOrdered(operation)
    }

    // MARK: stripes

    func owner(of index: Int, _ operation: Program.Planned) -> Int {
        program.owner(of: index, operation, from: (layout.offsets[operation.place] ?? 0) / operation.type.byteCount)
    }

    /// Whether a rank's own stripes are right; nothing is promised of the others. What the rank has is what a gather hands on.
    private func acceptsStripes(_ result: [UInt8], wanted: [UInt8], _ operation: Program.Planned, of rank: Int) -> Bool {
        let size = operation.type.byteCount
        let own = (0..<operation.count).filter { owner(of: $0, operation) == rank }
        func part(_ bytes: [UInt8]) -> [UInt8] { own.flatMap { bytes[$0 * size..<($0 + 1) * size] } }
        let isRight =
            isToTheBit(operation)
            ? part(result) == part(wanted)
            : oracle.isNear(part(result), part(wanted), operation, inputs: inputs(operation), at: own)
        var all = owned[operation.number] ?? Array(repeating: 0, count: wanted.count)
        for index in own { all.replaceSubrange(index * size..<(index + 1) * size, with: result[index * size..<(index + 1) * size]) }
        owned[operation.number] = all
        return isRight
    }

    /// What a gatherStripes is to give: each element as its owner has it, to the bit.
    private func gathered(_ operation: Program.Planned) -> [UInt8] {
        let plain = gatheredAsItIs(operation)
        return operation.wire == .plain || program.worldSize == 1
            ? plain : stripes(of: operation).flatMap { sent(part(plain, $0), as: operation.wire) }
    }

    private func gatheredAsItIs(_ operation: Program.Planned) -> [UInt8] {
        if let first = program.firstHalf(of: operation) {
            return owned[first.number] ?? Array(repeating: 0, count: operation.count * operation.type.byteCount)
        }
        let size = operation.type.byteCount
        return (0..<operation.count).flatMap { inputs(operation)[owner(of: $0, operation)][$0 * size..<($0 + 1) * size] }
    }
}
