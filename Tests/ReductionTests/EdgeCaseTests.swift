import Reduction
import Testing

/// What is promised about NaN, signed zero, overflow and rounding, in numbers that can be checked by hand.
@Suite struct EdgeCaseTests {
    /// Long enough for every width of vector and a tail.
    static let count = 131

    /// Reduces arrays whose elements are all alike, on every instruction set; the one value that all elements of all results are.
    private func result<E: Reducible & Equatable>(_ operation: ReductionOperation, _ values: [E], divisor: Int = 0) -> E? {
        let results = InstructionSet.available.flatMap { set in
            reduced(operation, values.map { Array(repeating: $0, count: Self.count) }, divisor: divisor, on: set)
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
        #expect(result(.average, [largest, largest], divisor: 2) == BFloat16(.infinity), "the sum itself is beyond float")
    }

    @Test func subnormalsAreKept() {
        #expect(result(.sum, [Float.leastNonzeroMagnitude, 0]) == .leastNonzeroMagnitude)
        #expect(result(.average, [Double.leastNonzeroMagnitude, .leastNonzeroMagnitude], divisor: 2) == .leastNonzeroMagnitude)
        #expect(result(.sum, [Float16.leastNonzeroMagnitude, .leastNonzeroMagnitude])?.bitPattern == 2)
        #expect(result(.maximum, [BFloat16(bitPattern: 1), BFloat16(0)])?.bitPattern == 1)
    }

    @Test func integersWrapAndTruncate() {
        #expect(result(.sum, [Int8(127), 1]) == -128)
        #expect(result(.product, [Int16(0x4000), 4]) == 0)
        #expect(result(.product, [Int64.max, 3]) == Int64.max &* 3)
        #expect(result(.sum, [UInt32.max, 2]) == 1)
        #expect(result(.average, [Int32(-3), -4], divisor: 2) == -3)
        #expect(result(.average, [Int8(-100), -100], divisor: 2) == 28, "the sum has wrapped to 56")
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
                operation, E.elementType, sources, [UnsafeMutableRawPointer(into.baseAddress!)], count: count, divisor: divisor,
                streaming: false, on: set)
        }
        initializedCount = count
    }
}
