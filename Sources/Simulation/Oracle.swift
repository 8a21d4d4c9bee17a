internal import SimulatedFabric

/// What goes into operations and what is to come out, computed plainly: no chunks, no order, no fabric.
struct Oracle {
    let seed: UInt64
    let worldSize: Int

    /// A rank's input of an operation, as bytes: `count` elements.
    func input(_ operation: Program.Planned, rank: Int, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count * operation.type.byteCount)
        let start = mix(seed ^ UInt64(operation.number) << 32 ^ UInt64(rank))
        for index in 0..<count {
            let draw = mix(start &+ UInt64(index))
            Elements.append(Self.value(draw, operation, rank: rank), operation.type, to: &bytes)
        }
        return bytes
    }

    private func mix(_ value: UInt64) -> UInt64 {
        var random = SeededRandom(seed: value)
        return random.next()
    }

    private static func value(_ draw: UInt64, _ operation: Program.Planned, rank: Int) -> UInt64 {
        let (type, isSigned) = (operation.type, Elements.isSigned(operation.type))
        guard reduces(operation) else { return type.byteCount == 8 ? draw : draw & (1 << UInt64(8 * type.byteCount) - 1) }
        let size = isLarge(operation) ? Elements.large(type) : 1
        if !operation.isExact {
            let any = Double(Int64(draw % 20_001) - 10_000)
            // Products stay within what every type can hold.
            return Elements.bytes(operation.reduction == .product ? 1 + any / 25_000 : any / 1009 * size, type)
        }
        switch operation.reduction {
        case .sum, .average: return Elements.bytes(Double(Int64(draw % 7) - (isSigned ? 3 : 0)) * size, type)
        case .product: return Elements.bytes(draw % 11 == 0 && rank < 6 ? 2 : isSigned && draw % 3 == 0 ? -1 : 1, type)
        case .minimum, .maximum: return Elements.bytes(Double(Int64(draw % 101) - (isSigned ? 50 : 0)), type)
        }
    }

    /// Whether the numbers of an average are so large that the sum of a few is infinite.
    private static func isLarge(_ operation: Program.Planned) -> Bool {
        operation.reduction == .average && !operation.type.isInteger && operation.number % 2 == 1
    }

    static func reduces(_ operation: Program.Planned) -> Bool {
        switch operation.kind {
        case .collective(.allReduce), .collective(.reduceScatter), .collective(.reduce), .collective(.reduceStripes): true
        default: false
        }
    }

    /// The reduction of whole inputs. Where numbers are any, a result differs from this by roundings only: see `isNear`.
    func reduced(_ operation: Program.Planned, inputs: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(inputs[0].count)
        for index in 0..<inputs[0].count / operation.type.byteCount {
            let bits = inputs.map { Elements.bits($0, at: index, operation.type) }
            Elements.append(
                operation.type.isInteger ? fold(integers: bits, operation) : fold(floats: bits, operation), operation.type, to: &bytes)
        }
        return bytes
    }

    /// Whether a result of any numbers is to be the sum in the order of its owners, to the bit.
    static func isOrdered(_ operation: Program.Planned) -> Bool {
        operation.stripe > 0 && operation.reduction == .sum && reduces(operation)
            && (operation.type == .float32 || operation.type == .float64)
    }

    /// The sum of whole inputs, of each element in an order of its own.
    func sum(_ operation: Program.Planned, inputs: [[UInt8]], inOrder order: (Int) -> [Int]) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<inputs[0].count / operation.type.byteCount {
            let values = order(index).map { Elements.double(Elements.bits(inputs[$0], at: index, operation.type), operation.type) }
            // A sum of two floats is the same, computed in doubles and rounded.
            let sum = values.dropFirst().reduce(values[0]) {
                Elements.double(Elements.bytes($0 + $1, operation.type), operation.type)
            }
            Elements.append(Elements.bytes(sum, operation.type), operation.type, to: &bytes)
        }
        return bytes
    }

    /// The sum of whole inputs in a balanced tree over stations, each of which first adds up its ranks.
    func sum(_ operation: Program.Planned, inputs: [[UInt8]], inPairsOf stations: [[Int]]) -> [UInt8] {
        func add(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] { sum(operation, inputs: [left, right]) { _ in [0, 1] } }
        var sums = stations.map { ranks in ranks.dropFirst().reduce(inputs[ranks[0]]) { add($0, inputs[$1]) } }
        while sums.count > 1 { sums = (0..<sums.count / 2).map { add(sums[2 * $0], sums[2 * $0 + 1]) } }
        return sums[0]
    }

    private func fold(integers bits: [UInt64], _ operation: Program.Planned) -> UInt64 {
        let values = bits.map { Elements.integer($0, operation.type) }
        let isSigned = Elements.isSigned(operation.type)
        switch operation.reduction {
        case .sum: return UInt64(bitPattern: values.reduce(0, &+))
        case .product: return UInt64(bitPattern: values.reduce(1, &*))
        case .minimum: return UInt64(bitPattern: values.min()!)
        case .maximum: return UInt64(bitPattern: values.max()!)
        case .average:
            let sum = Elements.integer(UInt64(bitPattern: values.reduce(0, &+)), operation.type)
            return isSigned ? UInt64(bitPattern: sum / Int64(worldSize)) : UInt64(bitPattern: sum) / UInt64(worldSize)
        }
    }

    private func fold(floats bits: [UInt64], _ operation: Program.Planned) -> UInt64 {
        let values = bits.map { Elements.double($0, operation.type) }
        switch operation.reduction {
        case .sum: return Elements.bytes(values.reduce(0, +), operation.type)
        case .product: return Elements.bytes(values.reduce(1, *), operation.type)
        case .minimum: return Elements.bytes(values.min()!, operation.type)
        case .maximum: return Elements.bytes(values.max()!, operation.type)
        case .average:
            // Of numbers that are smaller by a power of two, so that the sum fits.
            let size = Self.isLarge(operation) ? Elements.large(operation.type) : 1
            let sum = values.reduce(0) { $0 + $1 / size }
            let isDouble = operation.type == .float64
            return Elements.bytes((isDouble ? sum / Double(worldSize) : Double(Float(sum) / Float(worldSize))) * size, operation.type)
        }
    }

    /// Whether a result of any numbers is one that roundings explain: one for each rank, of values no larger than the sum of all.
    /// - Parameter elements: of the inputs, those of the result.
    func isNear(_ result: [UInt8], _ wanted: [UInt8], _ operation: Program.Planned, inputs: [[UInt8]], at elements: [Int]) -> Bool {
        let size = Self.isLarge(operation) ? Elements.large(operation.type) : 1
        for (index, element) in elements.enumerated() {
            func number(_ bytes: [UInt8], _ index: Int) -> Double {
                Elements.double(Elements.bits(bytes, at: index, operation.type), operation.type) / size
            }
            let values = inputs.map { number($0, element) }
            let (left, right) = (number(result, index), number(wanted, index))
            var scale = values.reduce(0) { $0 + abs($1) }
            if operation.reduction == .product { scale = abs(values.reduce(1, *)) + 1e-6 }
            if left.isInfinite && right.isInfinite && left == right { continue }
            guard abs(left - right) <= Double(worldSize + 1) * Elements.precision(operation.type) * scale * 2 else { return false }
        }
        return true
    }
}
