import Testing

@testable import Trainer

@Suite("Elements")
struct ElementsTests {
    private static let counts = [1, 7, 8, 9, 16, 31, 64, 130, 257]

    private func random(_ count: Int, seed: UInt64) -> [Float] {
        var generator = SeededGenerator(seed: seed, purpose: .parameters)
        var values = (0..<count).map { _ in generator.uniform(-2, 2) }
        for (index, special) in [Float.nan, .infinity, -.infinity, -0.0, 0, .leastNonzeroMagnitude].enumerated() where index * 11 < count {
            values[index * 11] = special
        }
        return values
    }

    private func bits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern } }

    @Test("the best set is the chosen one, and what every processor has is the last")
    func sets() {
        #expect(Elements.chosen.description == Elements.available[0].description)
        #expect(Elements.available.last?.description == "baseline")
    }

    @Test("every set has the bits of plain loops", arguments: counts)
    func bits(count: Int) {
        let (values, others, velocities) = (random(count, seed: 1), random(count, seed: 2), random(count, seed: 3))
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let memory = (0..<3).map { _ in FloatBuffer(count: count) }
        let rows = memory.map { $0.matrix(rows: 1, columns: count) }
        for set in Elements.available {
            // SAFETY (whole test): the test holds the buffers.
            unsafe set.scale(bytes, into: rows[0].base, count: count)
            #expect(bits(rows[0].values) == bits(bytes.map { Float($0) * (1 / 255) }), "\(set)")

            rows[0].fill { values[$0] }
            set.rectify(rows[0])
            #expect(bits(rows[0].values) == bits(values.map { $0 < 0 ? 0 : $0 }), "\(set)")

            rows[0].fill { values[$0] }
            rows[1].fill { others[$0] }
            set.rectify(gradient: rows[1], output: rows[0])
            #expect(bits(rows[1].values) == bits(zip(values, others).map { $0 > 0 ? $1 : 0 }), "\(set)")

            rows[0].fill { values[$0] }
            rows[1].fill { velocities[$0] }
            rows[2].fill { others[$0] }
            unsafe set.update(memory[0].values, memory[1].values, by: memory[2].values, MomentumStep(rate: 0.05, momentum: 0.9))
            let moved = zip(velocities, others).map { 0.9 * $0 + $1 }
            #expect(bits(rows[1].values) == bits(moved), "\(set)")
            #expect(bits(rows[0].values) == bits(zip(values, moved).map { $0 - 0.05 * $1 }), "\(set)")

            rows[0].fill { -80 * abs(values[$0]) }
            unsafe set.exponentials(rows[0].base, count: count)
            #expect(bits(rows[0].values) == bits(values.map { exponential(ofNonPositive: -80 * abs($0)) }), "\(set)")
        }
    }

    @Test("columns are summed from the first row on", arguments: [(1, 1), (1, 9), (5, 1), (33, 7), (12, 70)])
    func columnSums(rows: Int, columns: Int) {
        let (memory, sums) = (FloatBuffer(count: rows * columns), FloatBuffer(count: columns))
        let matrix = memory.matrix(rows: rows, columns: columns)
        let values = random(rows * columns, seed: 4)
        matrix.fill { values[$0] }
        let expected = (0..<columns).map { column in
            (1..<rows).reduce(values[column]) { $0 + values[$1 * columns + column] }
        }
        for set in Elements.available {
            set.sumColumns(of: matrix, into: sums.matrix(rows: 1, columns: columns))
            #expect(bits(sums.matrix(rows: 1, columns: columns).values) == bits(expected), "\(set)")
        }
    }
}
