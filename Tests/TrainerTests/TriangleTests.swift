import Testing

@testable import Trainer

/// Against plain loops in double, on every instruction set.
@Suite("Products with triangles")
struct TriangleTests {
    @Test("all three, of parts of a wider matrix", arguments: [(1, 1), (5, 3), (13, 16), (16, 20), (64, 32), (67, 33), (40, 48)])
    func products(shape: (size: Int, columns: Int)) {
        let (size, columns) = shape
        let wide = OwnedMatrix(size, 2 * columns + 3, seed: 1)
        let (left, right) = (wide.matrix.part(columns: 1..<columns + 1), wide.matrix.part(columns: columns + 2..<2 * columns + 2))
        let lower = OwnedMatrix(size, size, seed: 2)
        lower.matrix.fill { place in
            // SAFETY: the test holds the memory.
            place % size <= place / size ? unsafe lower.matrix.base[place] : 0
        }
        let (all, triangle) = (wide.doubles, lower.doubles)
        func leftValue(_ row: Int, _ column: Int) -> Double { all[row * wide.matrix.columns + 1 + column] }
        func rightValue(_ row: Int, _ column: Int) -> Double { all[row * wide.matrix.columns + columns + 2 + column] }
        var expected: [[Double]] = [[], [], []]
        for row in 0..<size {
            for column in 0...row { expected[0].append((0..<columns).reduce(0) { $0 + leftValue(row, $1) * rightValue(column, $1) }) }
            for column in 0..<columns {
                expected[1].append((0..<size).reduce(0) { $0 + triangle[row * size + $1] * rightValue($1, column) })
                expected[2].append((0..<size).reduce(0) { $0 + triangle[$1 * size + row] * rightValue($1, column) })
            }
        }

        var results: [String: [[Float]]] = [:]
        for (name, products) in Triangle(size: size, columns: columns).bySet {
            let scratch = FloatBuffer(count: products.scratchCount)
            // SAFETY: the buffer is this test's own.
            unsafe scratch.values.update(repeating: .nan)
            let (made, target) = (OwnedMatrix(size, size), OwnedMatrix(size, columns + 5) { _ in 7 })
            products.setLower(made.matrix, ofProduct: left, right, scratch: scratch)
            let lowerValues = made.values
            var values = [(0..<size * size).filter { $0 % size <= $0 / size }.map { lowerValues[$0] }]
            for isTransposed in [false, true] {
                let part = target.matrix.part(columns: 2..<columns + 2)
                if isTransposed {
                    products.setProduct(part, ofTransposed: lower.matrix, right, scratch: scratch)
                } else {
                    products.setProduct(part, of: lower.matrix, right, scratch: scratch)
                }
                let places = (0..<target.matrix.count).filter { (2..<columns + 2).contains($0 % target.matrix.columns) }
                let targetValues = target.values
                values.append(places.map { targetValues[$0] })
                #expect(targetValues.count { $0 == 7 } >= 5 * size, "\(name) writes beside its part")
            }
            for (result, reference) in zip(values, expected) { #expect(relativeError(result, reference) < 2e-6, "\(name)") }
            results[name] = values
        }
        if let wide = results["avx512"], let narrow = results["avx2"] {
            #expect(wide.map { $0.map(\.bitPattern) } == narrow.map { $0.map(\.bitPattern) })
        }
    }
}
