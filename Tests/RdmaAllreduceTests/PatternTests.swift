import Testing
import Verbena

@testable import rdma_allreduce

/// What a rank does to two elements; the check must not depend on in which order.
private protocol Arithmetic: Measurable {
    static func combine(_ left: Self, _ right: Self, _ operation: ReductionOperation) -> Self
    func divided(by ranks: Int) -> Self
    /// As it enters an average: divided by a power of two, where there is room.
    func scaled(by power: Int) -> Self
    /// The end of that: divided by what is left of the number of ranks.
    func averaged(over ranks: Int, scaledBy power: Int) -> Self
}

extension Arithmetic where Self: BinaryFloatingPoint {
    static func combine(_ left: Self, _ right: Self, _ operation: ReductionOperation) -> Self {
        switch operation {
        case .sum, .average: left + right
        case .product: left * right
        case .minimum: Swift.min(left, right)
        case .maximum: Swift.max(left, right)
        }
    }

    func divided(by ranks: Int) -> Self { self / Self(ranks) }
    func scaled(by power: Int) -> Self { self / Self(power) }
    func averaged(over ranks: Int, scaledBy power: Int) -> Self { self / (Self(ranks) / Self(power)) }
}

extension Arithmetic where Self: FixedWidthInteger {
    static func combine(_ left: Self, _ right: Self, _ operation: ReductionOperation) -> Self {
        switch operation {
        case .sum, .average: left &+ right
        case .product: left &* right
        case .minimum: Swift.min(left, right)
        case .maximum: Swift.max(left, right)
        }
    }

    func divided(by ranks: Int) -> Self { self / Self(ranks) }
    func scaled(by power: Int) -> Self { self }
    func averaged(over ranks: Int, scaledBy power: Int) -> Self { divided(by: ranks) }
}

extension Float: Arithmetic {}
extension Double: Arithmetic {}
extension Float16: Arithmetic {}
extension Int8: Arithmetic {}
extension Int16: Arithmetic {}
extension Int32: Arithmetic {}
extension Int64: Arithmetic {}
extension UInt8: Arithmetic {}
extension UInt16: Arithmetic {}
extension UInt32: Arithmetic {}
extension UInt64: Arithmetic {}

extension BFloat16: Arithmetic {
    static func combine(_ left: BFloat16, _ right: BFloat16, _ operation: ReductionOperation) -> BFloat16 {
        BFloat16(Float.combine(left.float, right.float, operation))
    }

    func divided(by ranks: Int) -> BFloat16 { BFloat16(float / Float(ranks)) }
    func scaled(by power: Int) -> BFloat16 { BFloat16(float / Float(power)) }
    func averaged(over ranks: Int, scaledBy power: Int) -> BFloat16 { BFloat16(float / (Float(ranks) / Float(power))) }
}

// SAFETY (whole file): the arrays outlive the closures that lend them.
@Suite struct PatternTests {
    private static let types: [any Arithmetic.Type] = ElementType.allCases.compactMap { $0.measurable as? any Arithmetic.Type }

    /// Joins two random partial results until one is left: any order and any tree may come of it.
    private func reduced<E: Arithmetic>(
        _ pattern: Pattern<E>, block: Int, index: Int, _ generator: inout SplitMix
    ) -> E {
        let isAverage = pattern.operation == .average
        var power = 1
        while isAverage, !E.elementType.isInteger, power < pattern.worldSize { power *= 2 }
        var partial = (0..<pattern.worldSize).map {
            pattern.element(pattern.value(rank: $0, block: block, index: index)).scaled(by: power)
        }
        while partial.count > 1 {
            let left = partial.remove(at: Int(generator.next() % UInt64(partial.count)))
            let position = Int(generator.next() % UInt64(partial.count))
            partial[position] = E.combine(left, partial[position], pattern.operation)
        }
        guard isAverage else { return partial[0] }
        return partial[0].averaged(over: pattern.worldSize, scaledBy: power)
    }

    private func orderDoesNotMatter<E: Arithmetic>(_: E.Type, _ operation: ReductionOperation, ranks: Int) {
        let pattern = Pattern<E>(kind: .allReduce, operation: operation, worldSize: ranks)
        var generator = SplitMix(seed: UInt64(ranks))
        for index in 0..<(ranks > 9 ? 60 : 340) {
            let answer = pattern.element(pattern.answer(rank: 0, block: 0, index: index))
            for _ in 0..<2 { #expect(reduced(pattern, block: 0, index: index, &generator) == answer) }
        }
    }

    @Test(
        "any order of reduction gives exactly the answer, in every type", arguments: [1, 2, 3, 4, 5, 9, 64, 100],
        ReductionOperation.allCases)
    func exact(ranks: Int, operation: ReductionOperation) {
        #expect(Self.types.count == ElementType.allCases.count)
        for type in Self.types { orderDoesNotMatter(type, operation, ranks: ranks) }
    }

    @Test("a sum over thousands of ranks is exact in bfloat16")
    func manyRanks() {
        orderDoesNotMatter(BFloat16.self, .sum, ranks: 3000)
        orderDoesNotMatter(BFloat16.self, .product, ranks: 3000)
    }

    /// Results that are wrong in the ways in which engines are wrong.
    private func wrong<E: Measurable>(_ values: [E], _ pattern: Pattern<E>, rank: Int, block: Int) -> Int {
        unsafe values.withUnsafeBufferPointer { unsafe pattern.wrongCount($0, rank: rank, block: block) }
    }

    private func mistakesShow<E: Measurable>(_: E.Type, ranks: Int) {
        let count = 1200
        for operation in ReductionOperation.allCases {
            let pattern = Pattern<E>(kind: .allReduce, operation: operation, worldSize: ranks)
            let answers = (0..<count).map { pattern.element(pattern.answer(rank: 0, block: 0, index: $0)) }
            #expect(wrong(answers, pattern, rank: 0, block: 0) == 0)
            #expect(wrong(Array(repeating: E.poison, count: count), pattern, rank: 0, block: 0) > count / 2)
            #expect(wrong(Array(repeating: E(whole: 0), count: count), pattern, rank: 0, block: 0) > count / 2)
            for rank in 0..<ranks {
                let own = (0..<count).map { pattern.element(pattern.value(rank: rank, block: 0, index: $0)) }
                #expect(wrong(own, pattern, rank: 0, block: 0) > 0, "\(E.elementType) \(operation): what rank \(rank) began with")
            }
            // One element late.
            #expect(wrong([E.poison] + answers.dropLast(), pattern, rank: 0, block: 0) > count / 10)
        }
    }

    @Test("what was left out, not reduced or misplaced shows", arguments: [2, 3, 4, 5])
    func mistakes(ranks: Int) {
        for type in ElementType.allCases { mistakesShow(type.measurable, ranks: ranks) }
    }

    private func sumsOverflow<E: Arithmetic>(_: E.Type, ranks: Int) {
        let pattern = Pattern<E>(kind: .allReduce, operation: .average, worldSize: ranks)
        let results = (0..<Pattern<E>.period).map { index in
            let values = (0..<ranks).map { pattern.element(pattern.value(rank: $0, block: 0, index: index)) }
            return values.dropFirst().reduce(values[0]) { E.combine($0, $1, .average) }.divided(by: ranks)
        }
        #expect(wrong(results, pattern, rank: 0, block: 0) > 0, "\(E.elementType), \(ranks) ranks")
        // What goes in fits: 1024 of them are infinite.
        for rank in 0..<ranks { #expect(!pattern.input(rank: rank, count: 1000)[0].contains(E(large: 1 << 10))) }
    }

    @Test("an average shows whether the sum of all was taken in its type", arguments: [2, 3, 4, 8, 64])
    func overflow(ranks: Int) {
        sumsOverflow(Float.self, ranks: ranks)
        sumsOverflow(Double.self, ranks: ranks)
        sumsOverflow(Float16.self, ranks: ranks)
        sumsOverflow(BFloat16.self, ranks: ranks)
    }

    @Test("a rank that is left out shows", arguments: [2, 3, 5, 17, 40], ReductionOperation.allCases)
    func leftOut(ranks: Int, operation: ReductionOperation) {
        let pattern = Pattern<Float>(kind: .allReduce, operation: operation, worldSize: ranks)
        for missing in 0..<ranks {
            let differs = (0..<Pattern<Float>.period).contains { index in
                let rest = (0..<ranks).filter { $0 != missing }.map { Float(pattern.value(rank: $0, block: 0, index: index)) }
                let result = rest.dropFirst().reduce(rest[0]) { Float.combine($0, $1, operation) }
                let final = operation == .average ? result.divided(by: ranks) : result
                return final != Float(pattern.answer(rank: 0, block: 0, index: index))
            }
            #expect(differs, "rank \(missing)")
        }
    }

    @Test("no block of what is only moved can be taken for another", arguments: 2...9)
    func moved(ranks: Int) {
        for kind in CollectiveKind.allCases where !kind.reduces && kind != .barrier {
            let pattern = Pattern<Int8>(kind: kind, operation: .sum, worldSize: ranks, root: ranks - 1)
            var seen: Set<[Int]> = []
            let blocks = kind == .allToAll ? ranks : 1
            for rank in 0..<ranks {
                for block in 0..<blocks { seen.insert((0..<5).map { pattern.value(rank: rank, block: block, index: $0) }) }
            }
            #expect(seen.count == ranks * blocks)
        }
    }

    @Test("the answers of what is moved are the inputs of those who give", arguments: 1...5)
    func origins(ranks: Int) {
        func value(_ kind: CollectiveKind, _ rank: Int, _ block: Int) -> Int {
            Pattern<Float>(kind: kind, operation: .sum, worldSize: ranks).value(rank: rank, block: block, index: 7)
        }
        func answer(_ kind: CollectiveKind, _ rank: Int, _ block: Int, root: Int) -> Int {
            Pattern<Float>(kind: kind, operation: .sum, worldSize: ranks, root: root).answer(rank: rank, block: block, index: 7)
        }
        for rank in 0..<ranks {
            for other in 0..<ranks {
                #expect(answer(.allGather, rank, other, root: 0) == value(.allGather, other, 0))
                #expect(answer(.gather, rank, other, root: rank) == value(.gather, other, 0))
                #expect(answer(.allToAll, rank, other, root: 0) == value(.allToAll, other, rank))
                #expect(answer(.broadcast, rank, 0, root: other) == value(.broadcast, other, 0))
                #expect(answer(.scatter, rank, 0, root: other) == value(.scatter, other, rank))
            }
            #expect(answer(.sendReceive, rank, 0, root: 0) == value(.sendReceive, (rank + ranks - 1) % ranks, 0))
        }
    }

    @Test("tiles fill a block to its end", arguments: [0, 1, 5, 1020, 1021, 1022, 5000])
    func tiles(count: Int) {
        let pattern = Pattern<Int32>(kind: .allGather, operation: .sum, worldSize: 3)
        var elements = [Int32](repeating: -1, count: count)
        unsafe elements.withUnsafeMutableBufferPointer { unsafe Pattern.tile($0, with: pattern.input(rank: 2, count: count)[0]) }
        #expect(elements == (0..<count).map { Int32(pattern.value(rank: 2, block: 0, index: $0)) })
        #expect(unsafe elements.withUnsafeBufferPointer { unsafe pattern.wrongCount($0, rank: 0, block: 2) } == 0)
        if count > 0 {
            elements[count - 1] += 1
            #expect(unsafe elements.withUnsafeBufferPointer { unsafe pattern.wrongCount($0, rank: 0, block: 2) } == 1)
        }
    }
}

/// A small generator, so that a failure repeats.
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
