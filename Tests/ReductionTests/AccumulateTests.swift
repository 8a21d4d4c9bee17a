import Reduction
import Testing

/// Accumulating and finishing against a plain Swift loop: equal bits, and not a byte beyond the array.
@Suite struct AccumulateTests {
    static let counts = [0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 4099]

    @Test(arguments: counts) func sumsFloats(count: Int) { checkSum(Float.self, count: count) }
    @Test(arguments: counts) func sumsDoubles(count: Int) { checkSum(Double.self, count: count) }

    @Test(arguments: counts) func averagesOverRanks(count: Int) {
        let sums = (0..<count).map { Float($0) * 0.37 - 11 }
        var values = sums + [99]
        // SAFETY: the array outlives the closure.
        unsafe values.withUnsafeMutableBytes {
            unsafe Kernels.finish(.average, .float32, $0.baseAddress!, count: count, ranks: 3)
        }
        #expect(values == sums.map { $0 / 3 } + [99])
    }

    @Test func sumIsFinishedAsItIs() {
        var values: [Double] = [1, 2, 3]
        // SAFETY: the array outlives the closure.
        unsafe values.withUnsafeMutableBytes { unsafe Kernels.finish(.sum, .float64, $0.baseAddress!, count: 3, ranks: 7) }
        #expect(values == [1, 2, 3])
    }

    private func checkSum<E: Element & BinaryFloatingPoint>(_: E.Type, count: Int) {
        let left = (0..<count).map { E($0) * E(1.1) - 3 }
        let right = (0..<count).map { E(7) / (E($0) + 1) }
        var into = left + [42]
        // SAFETY: both arrays outlive the closures; the guard element behind `into` is not part of the count.
        unsafe into.withUnsafeMutableBytes { target in
            unsafe right.withUnsafeBytes { source in
                guard count > 0 else { return }
                unsafe Kernels.accumulate(E.elementType, into: target.baseAddress!, from: source.baseAddress!, count: count)
            }
        }
        #expect(into == zip(left, right).map { $0 + $1 } + [42])
    }
}
