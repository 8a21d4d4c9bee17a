import Reduction

@testable import Collectives

/// Numbers of every type that sums and products round and do not leave the range of; and what each collective makes of them.
enum Sample {
    static let elements = 1 << 12

    /// The same bytes for the same type.
    static let tables: [ElementType: [UInt8]] = {
        var tables: [ElementType: [UInt8]] = [:]
        for type in ElementType.allCases {
            var random = SplitMix(state: UInt64(type.rawValue) + 77)
            tables[type] = (0..<elements).flatMap { _ in element(type, random.next()) }
        }
        return tables
    }()

    /// Floats between 0.5 and 2, of both signs.
    private static func element(_ type: ElementType, _ bits: UInt64) -> [UInt8] {
        let value = Double(
            sign: bits & 1 == 0 ? .plus : .minus, exponent: bits & 2 == 0 ? -1 : 0, significand: 1 + Double(bits >> 12) * 0x1p-52)
        switch type {
        case .float32: return bytes(Float(value).bitPattern)
        case .float64: return bytes(value.bitPattern)
        case .float16: return bytes(Float16(value).bitPattern)
        case .bfloat16: return bytes(BFloat16(Float(value)).bitPattern)
        default: return Array(bytes(bits)[0..<type.byteCount])
        }
    }

    /// The same numbers near the largest of their type, exactly: times the power of two below it.
    static func magnified(_ values: [UInt8], _ type: ElementType) -> [UInt8] {
        let size = type.byteCount
        var result: [UInt8] = []
        for start in stride(from: 0, to: values.count, by: size) {
            let bits = values[start..<start + size].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            switch type {
            case .float32: result += bytes((Float(bitPattern: UInt32(bits)) * 0x1p126).bitPattern)
            case .float64: result += bytes((Double(bitPattern: bits) * 0x1p1022).bitPattern)
            case .float16: result += bytes((Float16(bitPattern: UInt16(bits)) * 0x1p14).bitPattern)
            case .bfloat16: result += bytes(BFloat16(BFloat16(bitPattern: UInt16(bits)).float * 0x1p126).bitPattern)
            default: result += values[start..<start + size]
            }
        }
        return result
    }

    private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    /// A rank's input of the operation with this number.
    static func input(_ operation: Operation, number: Int, rank: Int, worldSize: Int) -> [UInt8] {
        let size = operation.type.byteCount
        let table = tables[operation.type]!
        let extent = operation.extents(worldSize: worldSize).input(of: rank).count
        var random = SplitMix(state: UInt64(number * 64 + rank))
        var result: [UInt8] = []
        while result.count < extent * size {
            let start = random.below(elements / 2)
            result += table[start * size..<min(start + elements / 2, start + extent - result.count / size) * size]
        }
        return result
    }
}

/// What each rank's own output should hold, by what `Oracle` says about order; the arithmetic is that of the kernels, called in plain order.
struct Expectation {
    let oracle: Oracle
    let inputs: [[UInt8]]

    private var operation: Operation { oracle.operation }
    private var size: Int { operation.type.byteCount }
    private var ranks: Int { inputs.count }

    func output(of rank: Int) -> [UInt8]? {
        let count = operation.count
        func block(_ from: Int) -> ArraySlice<UInt8> {
            let block = oracle.extents(of: from).block(rank)
            return inputs[from][block.lowerBound * size..<block.upperBound * size]
        }
        switch operation.collective {
        case .allReduce, .reduceStripes: return reduced(0..<count)
        case .reduceScatter: return reduced(oracle.extents(of: rank).block(rank))
        case .reduce(let root): return root == rank ? reduced(0..<count) : nil
        case .allGather: return inputs.flatMap { $0 }
        case .gather(let root): return root == rank ? inputs.flatMap { $0 } : nil
        case .allToAll: return inputs.indices.flatMap(block)
        case .broadcast(let root): return inputs[root]
        case .scatter(let root): return Array(block(root))
        case .receive(let from): return inputs[from]
        case .gatherStripes: return (0..<count).flatMap { inputs[oracle.owner(of: $0)][$0 * size..<($0 + 1) * size] }
        case .barrier, .send: return nil
        }
    }

    /// Whether an output is right: its elements about which something is promised.
    func accepts(_ got: [UInt8], wanted: [UInt8], rank: Int) -> Bool {
        guard operation.collective == .reduceStripes else { return got == wanted }
        return (0..<operation.count).allSatisfy { index in
            let bytes = index * size..<(index + 1) * size
            return oracle.isScratch(index, of: rank) || got[bytes] == wanted[bytes]
        }
    }

    /// In runs of elements that are summed in the same order.
    private func reduced(_ range: Range<Int>) -> [UInt8] {
        if ranks == 1 { return inputs[0] }
        if oracle.sumsInPairs {
            let bytes = range.lowerBound * size..<range.upperBound * size
            func part(_ station: [Int]) -> Part {
                let parts = station.map { Part(bytes: inputs[$0][bytes], isSum: false) }
                return parts.count == 1 ? parts[0] : fold(parts, isFinal: false)
            }
            return oracle.pairwiseSum(part) { left, right, isLast in fold([left, right], isFinal: isLast) }.array
        }
        var result: [UInt8] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let order = oracle.algorithm == .tree ? [] : oracle.order(start)
            var end = start + 1
            while end < range.upperBound, oracle.algorithm == .tree || oracle.order(end) == order { end += 1 }
            let bytes = start * size..<end * size
            result += oracle.algorithm == .tree ? tree(0, bytes).array : inOrder(order, bytes)
            start = end
        }
        return result
    }

    /// An algorithm rounds what it stores: a ring after each rank, a hierarchical one after each node, the others once.
    private func inOrder(_ order: [Int], _ bytes: Range<Int>) -> [UInt8] {
        switch oracle.algorithm {
        case .ring: return chained(order.map { [$0] }, bytes)
        case .hierarchical:
            let nodes = order.map(oracle.topology.node(of:))
            let starts = order.indices.filter { $0 == 0 || nodes[$0] != nodes[$0 - 1] } + [order.count]
            return chained(zip(starts, starts.dropFirst()).map { Array(order[$0..<$1]) }, bytes)
        default: return fold(order.map { Part(bytes: inputs[$0][bytes], isSum: false) }, isFinal: true).array
        }
    }

    /// The parts of some ranks at a time, rounded after each.
    private func chained(_ stations: [[Int]], _ bytes: Range<Int>) -> [UInt8] {
        var sum: [Part] = []
        for (index, station) in stations.enumerated() {
            let parts = sum + station.map { Part(bytes: inputs[$0][bytes], isSum: false) }
            sum = [parts.count == 1 ? parts[0] : fold(parts, isFinal: index == stations.count - 1)]
        }
        return sum[0].array
    }

    private func tree(_ place: Int, _ bytes: Range<Int>) -> Part {
        var parts = [Part(bytes: inputs[(place + operation.collective.root) % ranks][bytes], isSum: false)]
        var step = 1
        while place & step == 0, place + step < ranks {
            parts.append(tree(place + step, bytes))
            step *= 2
        }
        return parts.count == 1 ? parts[0] : fold(parts, isFinal: place == 0)
    }

    /// A rank's own part, or a sum of several: an average scales the former.
    private struct Part {
        var bytes: ArraySlice<UInt8>
        var isSum: Bool

        var array: [UInt8] { Array(bytes) }
    }

    private func fold(_ parts: [Part], isFinal: Bool) -> Part {
        let byteCount = parts[0].bytes.count
        let partials = parts.indices.reduce(UInt64(0)) { parts[$1].isSum ? $0 | 1 << UInt64($1) : $0 }
        let sources = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, parts.count * byteCount), alignment: 64)
        defer { unsafe sources.deallocate() }
        for (index, part) in parts.enumerated() {
            unsafe part.bytes.withUnsafeBytes { unsafe sources.baseAddress!.advanced(by: index * byteCount).copyMemory(from: $0) }
        }
        let addresses = unsafe parts.indices.map { unsafe UnsafeRawPointer(sources.baseAddress! + $0 * byteCount) }
        let result = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { target, count in
            count = byteCount
            let targets = unsafe [UnsafeMutableRawPointer(target.baseAddress!)]
            // SAFETY: the sources live until the end of the function, the target is lent.
            unsafe addresses.withUnsafeBufferPointer { addresses in
                unsafe targets.withUnsafeBufferPointer { targets in
                    unsafe Kernels.reduce(
                        operation.reduction, operation.type, sources: addresses, destinations: targets, count: byteCount / size,
                        averaging: Averaging(ranks: ranks, partials: partials, isFinal: isFinal), streaming: false)
                }
            }
        }
        return Part(bytes: result[...], isSum: true)
    }
}

extension UnsafeMutableRawPointer {
    // SAFETY: the caller says that there is room for the bytes.
    func copyMemory(from bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress { unsafe copyMemory(from: base, byteCount: bytes.count) }
    }
}
