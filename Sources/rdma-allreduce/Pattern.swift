import Verbena

/// Inputs and right answers of the check.
///
/// Inputs are small whole numbers, such that any order of reduction gives exactly the same answer in every type:
/// - a sum or product has at most `sumContributors` or `productContributors` ranks with more than the neutral element at any one place,
///   others at others, so that every partial result is exact in eight bits of significand, over any number of ranks;
///   whole-number types wrap, which no order changes;
/// - an average is a whole number: the ranks have it with differences that cancel. Where the number of ranks is beyond what the type
///   can count (int8 above 127 ranks, uint8 above 255, bfloat16 above 256), it is zero. Floating-point numbers are so large (`element`) that
///   the sum of all is as a rule beyond their type, where the average is not.
///
/// Values repeat every `period` elements of a block, a prime, so that no usual piece of a buffer can stand in for another.
struct Pattern<E: Measurable> {
    let kind: CollectiveKind
    let operation: ReductionOperation
    let worldSize: Int
    var root = 0

    static var period: Int { 1021 }
    /// 16 values of at most 16 add up to 256.
    static var sumContributors: Int { 16 }
    /// 3 to the 4th is 81.
    static var productContributors: Int { 4 }
    /// No value of an average is larger.
    static var largestOfAverage: Int { 31 }

    // MARK: input

    /// What `rank` gives at this place of this block of its input.
    func value(rank: Int, block: Int, index: Int) -> Int {
        let index = index % Self.period
        // Up to 11 ranks no two blocks begin alike; of more ranks, those that do go on differently.
        guard kind.reduces else { return (rank * 11 + block + index * (7 + rank / 11 + block / 11 * 13)) % 127 }
        switch operation {
        case .sum:
            guard contributes(rank, index, atMost: Self.sumContributors) else { return 0 }
            return (rank * 5 + block * 7 + index * 3) % 17 - (E.isSigned ? 7 : 0)
        case .product:
            guard contributes(rank, index, atMost: Self.productContributors) else { return 1 }
            return [1, 2, 3, 2, 1, 3, E.isSigned ? -1 : 2][(rank * 3 + block * 2 + index) % 7]
        case .minimum, .maximum:
            return (rank * 31 + block * 11 + index * 17) % 101 - (E.isSigned ? 50 : 0)
        case .average:
            let average = average(block: block, index: index)
            let value = average + min(average, Self.largestOfAverage - average) * (index % 3) / 2 * share(rank, index)
            return E.isSigned && index % 2 == 1 ? -value : value
        }
    }

    private func contributes(_ rank: Int, _ index: Int, atMost contributors: Int) -> Bool {
        let groups = (worldSize + contributors - 1) / contributors
        return (rank + index) % groups == 0
    }

    /// Who has more than the average (1) and who less (-1), two by two; of an odd number of ranks the last three take turns.
    private func share(_ rank: Int, _ index: Int) -> Int {
        guard worldSize % 2 == 1, rank >= worldSize - 3 else { return rank % 2 == 0 ? 1 : -1 }
        return worldSize == 1 ? 0 : (rank + index / 3) % 3 - 1
    }

    /// Such that the sum over all ranks is exact.
    private func average(block: Int, index: Int) -> Int {
        (index + block * 5) % (min(Self.largestOfAverage - 1, E.exactLimit / worldSize) + 1)
    }

    /// What stands for a value, or an answer.
    func element(_ value: Int) -> E { kind.reduces && operation == .average ? E(large: value) : E(whole: value) }

    /// One period of each block of a rank's input; nothing for a rank that gives nothing.
    func input(rank: Int, count: Int) -> [[E]] {
        let blocks = kind.extents(ranks: worldSize, root: root, inPlace: false).input(of: rank)
        return blocks.map { block in
            (0..<min(count, Self.period)).map { element(value(rank: rank, block: block, index: $0)) }
        }
    }

    // MARK: answer

    /// What `rank` must have at this place of this block of its result.
    func answer(rank: Int, block: Int, index: Int) -> Int {
        switch kind {
        case .allReduce, .reduce: reduced(block: 0, index: index)
        case .reduceScatter: reduced(block: rank, index: index)
        case .allGather, .gather: value(rank: block, block: 0, index: index)
        case .broadcast: value(rank: root, block: 0, index: index)
        case .scatter: value(rank: root, block: rank, index: index)
        case .allToAll: value(rank: block, block: rank, index: index)
        case .sendReceive: value(rank: (rank + worldSize - 1) % worldSize, block: 0, index: index)
        case .barrier: 0
        }
    }

    private func reduced(block: Int, index: Int) -> Int {
        let values = (0..<worldSize).lazy.map { value(rank: $0, block: block, index: index) }
        return switch operation {
        case .sum: values.reduce(0, +)
        case .product: values.reduce(1, *)
        case .minimum: values.reduce(.max, min)
        case .maximum: values.reduce(.min, max)
        case .average: values.reduce(0, +) / worldSize
        }
    }

    // MARK: buffers

    /// Writes one period again and again over a block.
    static func tile(_ block: UnsafeMutableBufferPointer<E>, with values: [E]) {
        // SAFETY: the caller lends the block for the call; what is copied lies within both.
        unsafe values.withUnsafeBufferPointer { period in
            for start in stride(from: 0, to: block.count, by: max(1, period.count)) {
                unsafe (block.baseAddress! + start).update(from: period.baseAddress!, count: min(period.count, block.count - start))
            }
        }
    }

    /// How many elements of a block of a rank's result are not exactly right.
    func wrongCount(_ elements: UnsafeBufferPointer<E>, rank: Int, block: Int) -> Int {
        let answers = (0..<min(elements.count, Self.period)).map { element(answer(rank: rank, block: block, index: $0)) }
        var wrong = 0
        // SAFETY: the caller lends the elements for the call.
        for start in stride(from: 0, to: elements.count, by: max(1, answers.count)) {
            for index in 0..<min(answers.count, elements.count - start) where unsafe elements[start + index] != answers[index] {
                wrong += 1
            }
        }
        return wrong
    }
}
