import Reduction
import Testing

/// What is promised about NaN, signed zero, overflow and rounding, in numbers that can be checked by hand.
@Suite struct EdgeCaseTests {
    /// Long enough for every width of vector and a tail.
    static let count = 131

    /// Reduces arrays whose elements are all alike, on every instruction set; the one value that all elements of all results are.
    private func result<E: Reducible & Equatable>(_ operation: ReductionOperation, _ values: [E], divisor: Int = 0) -> E? {
        result(operation, values, Averaging(ranks: divisor, isFinal: true))
    }

    private func result<E: Reducible & Equatable>(_ operation: ReductionOperation, _ values: [E], _ averaging: Averaging) -> E? {
        let results = InstructionSet.available.flatMap { set in
            reduced(operation, values.map { Array(repeating: $0, count: Self.count) }, averaging: averaging, on: set)
        }
        let bits = results.map { bytes(of: $0) }
        return bits.allSatisfy { $0 == bits[0] } ? results[0] : nil
    }

    private func bytes<E: Reducible>(of value: E) -> [UInt8] {
        // SAFETY: the value outlives the closure.
        unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
    }

    private func checkNaN<E: Reducible & Equatable>(_ kinds: [E], _ canonical: E, _ one: E) {
        for operation in ReductionOperation.allCases {
            for kind in kinds {
                for values in [[kind], [kind, one], [one, kind], [kind, kind], [one, one, kind], [kind, one, one]] {
                    let result = result(operation, values, divisor: 3)
                    #expect(result.map(bytes) == bytes(of: canonical), "\(operation) of \(values)")
                }
            }
        }
    }

    @Test func everyNaNBecomesTheCanonicalOne() {
        let floats: [UInt32] = [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff]
        checkNaN(floats.map(Float.init(bitPattern:)), Float(bitPattern: 0x7fc0_0000), 1)
        let doubles: [UInt64] = [0xfff8 << 48, 0x7ff0 << 48 | 1, 0xfff0 << 48 | 1, .max]
        checkNaN(doubles.map(Double.init(bitPattern:)), Double(bitPattern: 0x7ff8 << 48), 1)
        checkNaN([0x7c01, 0xfe00, 0x7fff, 0xffff].map(Float16.init(bitPattern:)), Float16(bitPattern: 0x7e00), 1)
        checkNaN([0x7f81, 0xffc0, 0x7fff, 0xffff].map(BFloat16.init(bitPattern:)), BFloat16(bitPattern: 0x7fc0), BFloat16(1))
    }

    @Test func infinitiesOfBothSignsAddUpToTheCanonicalNaN() {
        #expect(result(.sum, [Float.infinity, -.infinity])?.bitPattern == 0x7fc0_0000)
        #expect(result(.product, [Double.infinity, -0])?.bitPattern == 0x7ff8 << 48)
        #expect(result(.sum, [Float16.infinity, -.infinity])?.bitPattern == 0x7e00)
        #expect(result(.sum, [BFloat16(.infinity), BFloat16(-.infinity)])?.bitPattern == 0x7fc0)
    }

    private func checkZeros<E: Reducible & Comparable>(_ plus: E, _ minus: E) {
        for values in [[plus, minus], [minus, plus], [minus, minus, plus], [plus, plus, minus]] {
            #expect(result(.minimum, values).map(bytes) == bytes(of: minus), "minimum of \(values)")
            #expect(result(.maximum, values).map(bytes) == bytes(of: plus), "maximum of \(values)")
            #expect(result(.sum, values).map(bytes) == bytes(of: plus), "sum of \(values)")
        }
        #expect(result(.sum, [minus, minus]).map(bytes) == bytes(of: minus))
        #expect(result(.maximum, [minus, minus]).map(bytes) == bytes(of: minus))
    }

    @Test func minusZeroIsBelowZero() {
        checkZeros(Float(0), -0)
        checkZeros(Double(0), -0)
        checkZeros(Float16(0), -0)
        checkZeros(BFloat16(0), BFloat16(-0))
    }

    @Test func halvesAreFoldedInFloatAndRoundedOnce() {
        // Half a last place is lost where each step rounds, and kept where the two halves meet first.
        #expect(result(.sum, [Float16(1), 0x1p-11, 0x1p-11]) == 1 + 0x1p-10)
        #expect(result(.sum, [1, 0x1p-8, 0x1p-8].map { BFloat16($0) }) == BFloat16(1 + 0x1p-7))
        // The sum is beyond the largest half; the average is not.
        #expect(result(.average, [Float16(60000), 60000], divisor: 2) == 60000)
        #expect(result(.average, [Float16(1), 1, 0], divisor: 3) == Float16(Float(2) / 3))
    }

    @Test func halvesRoundToNearestAndTiesToEven() {
        #expect(result(.sum, [Float16(2048), 1]) == 2048)
        #expect(result(.sum, [Float16(2050), 1]) == 2052)
        #expect(result(.sum, [Float16(2048), 1, 0x1p-10]) == 2050)
        #expect(result(.sum, [Float16(65504), 15.992]) == 65504)
        #expect(result(.sum, [Float16(65504), 16]) == .infinity)
        #expect(result(.sum, [Float16(-65504), -16]) == -.infinity)
        #expect(result(.product, [Float16(0x1p-14), 0x1p-10]) == 0x1p-24)
        #expect(result(.product, [Float16(0x1p-14), 0x1p-11]) == 0)
        #expect(result(.product, [Float16(0x1p-14), 0x1.004p-11]) == 0x1p-24)
        #expect(result(.product, [Float16(0x1.ffcp-1), 0x1p-14]) == 0x1p-14)
        #expect(result(.sum, [256, 1].map { BFloat16($0) }) == BFloat16(256))
        #expect(result(.sum, [258, 1].map { BFloat16($0) }) == BFloat16(260))
        let largest = BFloat16(bitPattern: 0x7f7f)
        #expect(result(.sum, [largest, largest]) == BFloat16(.infinity))
        #expect(result(.average, [largest, largest], divisor: 2) == largest, "though the sum is beyond float")
    }

    private func checkLargest<E: Reducible & Comparable>(_ largest: E, _ half: E, _ minus: E, _ infinity: E) throws {
        for ranks in [2, 3, 4, 5, 64, 100] {
            let all = Array(repeating: largest, count: ranks)
            let atOnce = try #require(result(.average, all, divisor: ranks))
            #expect(atOnce > half && atOnce <= largest)
            #expect(try #require(result(.average, Array(repeating: minus, count: ranks), divisor: ranks)) >= minus)
            #expect(result(.average, [infinity] + all.dropFirst(), divisor: ranks) == infinity)
            // One after the other, as in a ring: what is partial is not scaled again.
            var sum = largest
            for rank in 1..<ranks {
                let averaging = Averaging(ranks: ranks, partials: rank == 1 ? 0 : 1, isFinal: rank == ranks - 1)
                sum = try #require(result(.average, [sum, largest], averaging))
            }
            #expect(sum > half && sum <= largest, "\(ranks) times \(largest)")
        }
    }

    /// The average of finite numbers is finite, whatever their sum; an infinite number makes it infinite.
    @Test func averagesOfTheLargestNumbersFit() throws {
        try checkLargest(Float.greatestFiniteMagnitude, 0x1p127, -.greatestFiniteMagnitude, .infinity)
        try checkLargest(Double.greatestFiniteMagnitude, 0x1p1023, -.greatestFiniteMagnitude, .infinity)
        try checkLargest(Float16.greatestFiniteMagnitude, 0x1p15, -.greatestFiniteMagnitude, .infinity)
        try checkLargest(BFloat16(bitPattern: 0x7f7f), BFloat16(0x1p127), BFloat16(bitPattern: 0xff7f), BFloat16(.infinity))
        // Four ranks' 30000, three of them already in.
        #expect(result(.average, [Float16(22500), 30000], Averaging(ranks: 4, partials: 1, isFinal: true)) == 30000)
    }

    /// Roundings on the way may lead above the largest number: of 8 ranks, which have one or the other of the two largest, in the order of a ring.
    @Test func roundingsDoNotMakeAnAverageInfinite() {
        for mask in 0..<256 {
            let values = (0..<8).map { Float16(bitPattern: 0x7bff - UInt16(mask >> $0 & 1)) }
            var sum = values[0]
            for rank in 1..<8 {
                sum =
                    result(
                        .average, [sum, values[rank]], Averaging(ranks: 8, partials: rank == 1 ? 0 : 1, isFinal: rank == 7)) ?? .nan
            }
            #expect(sum.isFinite && sum >= 65408, "\(mask)")
        }
    }

    @Test func subnormalsAreKept() {
        #expect(result(.sum, [Float.leastNonzeroMagnitude, 0]) == .leastNonzeroMagnitude)
        #expect(result(.average, [Double.leastNonzeroMagnitude, 0], divisor: 1) == .leastNonzeroMagnitude)
        #expect(result(.sum, [Float16.leastNonzeroMagnitude, .leastNonzeroMagnitude])?.bitPattern == 2)
        #expect(result(.maximum, [BFloat16(bitPattern: 1), BFloat16(0)])?.bitPattern == 1)
    }

    /// A part of an average may lose what is below the least subnormal number: see `Averaging`. Halves, whose subnormals are near, are rounded
    /// once a call.
    @Test func averagesNearZeroAreWithinTheirLastPlace() {
        #expect(result(.average, [Double.leastNonzeroMagnitude, .leastNonzeroMagnitude], divisor: 2) == 0)
        #expect(result(.average, [Double(0x1p-1072), 0x1p-1072], divisor: 2) == 0x1p-1072)
        #expect(result(.average, [Float(0x1p-146), 0x1p-146, 0x1p-146, 0x1p-146], divisor: 4) == 0x1p-146)
        #expect(result(.average, [Float16.leastNonzeroMagnitude, .leastNonzeroMagnitude], divisor: 2) == .leastNonzeroMagnitude)
        let many = Array(repeating: Float16.leastNonzeroMagnitude, count: 64)
        #expect(result(.average, many, divisor: 64) == .leastNonzeroMagnitude)
        // A partial sum of halves is rounded to what the average is rounded to: 2 of 64 are nothing, 32 are one half of a place.
        #expect(result(.average, Array(many[..<2]), Averaging(ranks: 64, isFinal: false)) == 0)
        #expect(result(.average, Array(many[..<33]), Averaging(ranks: 64, isFinal: false)) == .leastNonzeroMagnitude)
    }

    @Test func integersWrapAndTruncate() {
        #expect(result(.sum, [Int8(127), 1]) == -128)
        #expect(result(.product, [Int16(0x4000), 4]) == 0)
        #expect(result(.product, [Int64.max, 3]) == Int64.max &* 3)
        #expect(result(.sum, [UInt32.max, 2]) == 1)
        #expect(result(.average, [Int32(-3), -4], divisor: 2) == -3)
        #expect(result(.average, [Int8(-100), -100], divisor: 2) == 28, "the sum has wrapped to 56")
        #expect(result(.average, [Int8(100), 100], divisor: 2) == -28, "the sum has wrapped to -56")
        #expect(result(.average, [Int8(100), 27], Averaging(ranks: 3, isFinal: false)) == 127, "no division before the end")
        #expect(result(.average, [Int8(-128)], divisor: 128) == -1)
        #expect(result(.average, [Int8(-128)], divisor: 129) == 0)
        #expect(result(.average, [Int64.min], divisor: Int.max) == -1)
        #expect(result(.average, [UInt64.max], divisor: 2) == UInt64.max / 2)
        #expect(result(.average, [UInt32.max], divisor: 3) == 0x5555_5555)
        #expect(result(.minimum, [UInt8(200), 100]) == 100)
        #expect(result(.minimum, [Int8(-56), 100]) == -56)
    }
}

/// `Kernels.reduce` of whole arrays into one new array.
func reduced<E: Reducible>(_ operation: ReductionOperation, _ inputs: [[E]], divisor: Int, on set: InstructionSet) -> [E] {
    reduced(operation, inputs, averaging: Averaging(ranks: divisor, isFinal: true), on: set)
}

func reduced<E: Reducible>(_ operation: ReductionOperation, _ inputs: [[E]], averaging: Averaging, on set: InstructionSet) -> [E] {
    var inputs = inputs
    let count = inputs[0].count
    let flat = inputs.flatMap { $0 }
    inputs = []
    // SAFETY: the buffer is initialized by the reduction; both arrays outlive the closures.
    return unsafe [E](unsafeUninitializedCapacity: count) { into, initializedCount in
        unsafe flat.withUnsafeBytes { flat in
            let sources = unsafe stride(from: 0, to: flat.count, by: count * E.elementType.byteCount).map {
                unsafe UnsafeMutableRawPointer(mutating: flat.baseAddress! + $0)
            }
            unsafe reduce(
                operation, E.elementType, sources, [UnsafeMutableRawPointer(into.baseAddress!)], count: count, averaging: averaging,
                streaming: false, on: set)
        }
        initializedCount = count
    }
}
