import Reduction
import Testing

/// Every kernel of every instruction set that this processor has, against the oracle: equal bits, and not a byte beyond the array.
@Suite struct KernelsTests {
    static let counts = [0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 63, 65, 127, 1000, 1001]
    static let maxElements = 1001

    /// Where arrays begin within a cache line: all on one; destinations alike, on elements; anywhere, on no element.
    enum Placement: CaseIterable {
        case lines, elements, anywhere

        func sourceOffset(_ index: Int, _ type: ElementType) -> Int {
            switch self {
            case .lines: 0
            case .elements: index * type.byteCount
            case .anywhere: 1 + 6 * index
            }
        }

        func destinationOffset(_ index: Int, _ type: ElementType) -> Int {
            switch self {
            case .lines: 0
            case .elements: 5 * type.byteCount
            case .anywhere: 3 + 8 * index
            }
        }
    }

    @Test(arguments: ElementType.allCases, ReductionOperation.allCases)
    func reducesLikeTheOracle(type: ElementType, operation: ReductionOperation) { checkAll(type.swiftType, operation) }

    @Test(arguments: ElementType.allCases, ReductionOperation.allCases)
    func storesWhereItRead(type: ElementType, operation: ReductionOperation) { checkInPlace(type.swiftType, operation) }

    @Test(arguments: ElementType.allCases)
    func combinesByTheChosenSet(type: ElementType) { checkCombine(type.swiftType) }

    @Test func copies() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: scrambled($0)) }
        for set in InstructionSet.available {
            for (count, offset) in [(0, 0), (1, 0), (63, 1), (64, 0), (65, 63), (129, 7), (1000, 0), (1000, 9)] {
                for streaming in [false, true] {
                    let arena = Arena(byteCount: 1000, offsets: [offset])
                    // SAFETY: the array and the arena outlive the closure.
                    let isRight = unsafe bytes.withUnsafeBytes { bytes in
                        let wanted = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<count])
                        arena.clear(0, byteCount: count)
                        unsafe Kernels.copy(
                            from: bytes.baseAddress!, to: arena.starts[0], byteCount: count, streaming: streaming, on: set)
                        return unsafe arena.holds(0, wanted)
                    }
                    #expect(isRight, "\(set), \(count) bytes at offset \(offset), streaming \(streaming)")
                }
            }
        }
    }

    @Test func startUpChoseTheBestSet() throws {
        let names = InstructionSet.available.map(\.description)
        #expect(names.first == Kernels.instructionSet)
        #expect(["sse2", "neon", "portable"].contains(try #require(names.last)))
        #expect(Set(names).count == names.count)
    }

    private func checkAll<E: Reducible>(_: E.Type, _ operation: ReductionOperation) {
        let type = E.elementType
        for sourceCount in [1, 2, 3, 5] {
            let inputs = (0..<sourceCount).map { E.samples(count: Self.maxElements, seed: $0) }
            let averaging = Averaging(ranks: operation == .average ? sourceCount : 7, isFinal: true)
            let answers = (0..<Self.maxElements).map { index in
                E.reduced(operation, inputs.map { $0[index] }, averaging: averaging)
            }
            for placement in Placement.allCases {
                let byteCount = Self.maxElements * type.byteCount
                let sources = Arena(byteCount: byteCount, offsets: (0..<sourceCount).map { placement.sourceOffset($0, type) })
                // SAFETY: the arrays outlive the closures, the arenas the calls.
                for index in inputs.indices { unsafe inputs[index].withUnsafeBytes { unsafe sources.load(index, $0) } }
                for destinationCount in 1...3 {
                    let destinations = Arena(
                        byteCount: byteCount, offsets: (0..<destinationCount).map { placement.destinationOffset($0, type) })
                    for (set, count) in InstructionSet.available.flatMap({ set in Self.counts.map { (set, $0) } }) {
                        for streaming in [false, true] {
                            for index in 0..<destinationCount { destinations.clear(index, byteCount: count * type.byteCount) }
                            unsafe reduce(
                                operation, type, sources.starts, destinations.starts, count: count, averaging: averaging,
                                streaming: streaming, on: set)
                            let isRight = unsafe answers.withUnsafeBytes { answers in
                                let wanted = unsafe UnsafeRawBufferPointer(rebasing: answers[..<(count * type.byteCount)])
                                return (0..<destinationCount).allSatisfy { unsafe destinations.holds($0, wanted) }
                            }
                            #expect(
                                isRight,
                                "\(set), \(sourceCount) to \(destinationCount), \(count), \(placement), streaming \(streaming)")
                        }
                    }
                }
            }
        }
    }

    /// Sources that are destinations as well, alone, all of them, and beside one that is no source.
    private func checkInPlace<E: Reducible>(_: E.Type, _ operation: ReductionOperation) {
        let byteCount = Self.maxElements * E.elementType.byteCount
        let inputs = (0..<3).map { E.samples(count: Self.maxElements, seed: $0 + 10) }
        let arena = Arena(byteCount: byteCount, offsets: [0, 0, 8, 0])
        for (sourceIndices, destinationIndices) in [
            ([0], [0]), ([0, 1], [0]), ([0, 1], [0, 1]), ([2, 1, 0], [1, 0]), ([0, 1], [3, 1]),
        ] {
            let answers = (0..<Self.maxElements).map { index in
                E.reduced(operation, sourceIndices.map { inputs[$0][index] }, divisor: 3)
            }
            for (set, count) in InstructionSet.available.flatMap({ set in [1, 17, 1001].map { (set, $0) } }) {
                for streaming in [false, true] {
                    let bytes = count * E.elementType.byteCount
                    // SAFETY: the arrays outlive the closures, the arena the call.
                    for index in 0..<3 {
                        unsafe inputs[index].withUnsafeBytes { unsafe arena.load(index, UnsafeRawBufferPointer(rebasing: $0[..<bytes])) }
                    }
                    arena.clear(3, byteCount: bytes)
                    unsafe reduce(
                        operation, E.elementType, sourceIndices.map { unsafe arena.starts[$0] },
                        destinationIndices.map { unsafe arena.starts[$0] }, count: count, averaging: Averaging(ranks: 3, isFinal: true),
                        streaming: streaming, on: set)
                    let isRight = unsafe answers.withUnsafeBytes { answers in
                        let wanted = unsafe UnsafeRawBufferPointer(rebasing: answers[..<bytes])
                        return destinationIndices.allSatisfy { unsafe arena.holds($0, wanted) }
                    }
                    #expect(isRight, "\(set), \(sourceIndices) to \(destinationIndices), \(count), streaming \(streaming)")
                }
            }
        }
    }

    /// As parts of averages over few and many ranks, own and partial ones, on every instruction set and by the chosen one.
    private func checkCombine<E: Reducible>(_: E.Type) {
        let left = E.samples(count: 67, seed: 20)
        let right = E.samples(count: 67, seed: 21)
        let arena = Arena(byteCount: 67 * E.elementType.byteCount, offsets: [0])
        for operation in ReductionOperation.allCases {
            for (ranks, isFinal) in [0, 1, 2, 3, 4, 5, 64, 300].flatMap({ ranks in [false, true].map { (ranks, $0) } }) {
                for partials in UInt64(0)..<4 {
                    let averaging = Averaging(ranks: ranks, partials: partials, isFinal: isFinal)
                    let answers = zip(left, right).map { E.reduced(operation, [$0, $1], averaging: averaging) }
                    arena.clear(0, byteCount: arena.byteCount)
                    // SAFETY: the arrays outlive the closures, the arena the call.
                    unsafe left.withUnsafeBytes { left in
                        unsafe right.withUnsafeBytes { right in
                            unsafe Kernels.combine(
                                operation, E.elementType, left.baseAddress!, right.baseAddress!, into: arena.starts[0], count: 67,
                                averaging: averaging)
                        }
                    }
                    let isRight = unsafe answers.withUnsafeBytes { unsafe arena.holds(0, $0) }
                    #expect(isRight, "\(operation), \(averaging)")
                    let onSets = InstructionSet.available.map { reduced(operation, [left, right], averaging: averaging, on: $0) }
                    // SAFETY: the arrays outlive the closures.
                    let allAreRight = unsafe answers.withUnsafeBytes { answers in
                        onSets.allSatisfy { unsafe $0.withUnsafeBytes { unsafe $0.elementsEqual(answers) } }
                    }
                    #expect(allAreRight, "\(operation), \(averaging)")
                }
            }
        }
    }
}

/// `Kernels.reduce` on arrays of pointers.
func reduce(
    _ operation: ReductionOperation, _ type: ElementType, _ sources: [UnsafeMutableRawPointer], _ destinations: [UnsafeMutableRawPointer],
    count: Int, averaging: Averaging, streaming: Bool, on set: InstructionSet
) {
    // SAFETY: the caller vouches for the memory behind the pointers; the arrays of pointers outlive the closures.
    unsafe sources.map { UnsafeRawPointer($0) }.withUnsafeBufferPointer { sources in
        unsafe destinations.withUnsafeBufferPointer { destinations in
            unsafe Kernels.reduce(
                operation, type, sources: sources, destinations: destinations, count: count, averaging: averaging, streaming: streaming,
                on: set)
        }
    }
}
