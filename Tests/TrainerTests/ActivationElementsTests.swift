import Testing

@testable import Trainer

/// Against functions in double, whose derivatives are taken numerically; and the same bits on every instruction set.
@Suite("Elements: activations")
struct ActivationElementsTests {
    @Test("sums, products, squares", arguments: [1, 15, 16, 17, 100])
    func arithmetic(count: Int) {
        let (left, right, bias) = (OwnedMatrix(3, count, seed: 1), OwnedMatrix(3, count, seed: 2), OwnedMatrix(1, count, seed: 3))
        let (target, lefts) = (OwnedMatrix(3, count), left.values)
        func made(_ body: () -> Void) -> [Float] {
            target.matrix.fill { lefts[$0] }
            body()
            return target.values
        }
        var squares = 0.0
        let results = onEverySet { set in
            // SAFETY: the buffer is the matrix' own.
            squares = unsafe set.sumOfSquares(left.memory.values)
            return [
                made { set.add(right.matrix, to: target.matrix) }, made { set.multiply(target.matrix, by: right.matrix) },
                made { set.scale(target.matrix, by: 0.3) }, made { set.add(bias: bias.matrix, to: target.matrix) },
                made { set.rectify(target.matrix, bias: bias.matrix) }, [Float(squares)],
            ]
        }
        let biases = bias.values
        let biased = left.values.enumerated().map { $1 + biases[$0 % count] }
        #expect(results[0] == zip(left.values, right.values).map { $0 + $1 })
        #expect(results[1] == zip(left.values, right.values).map { $0 * $1 })
        #expect(results[2] == left.values.map { $0 * 0.3 })
        #expect(results[3] == biased)
        #expect(results[4] == biased.map { max($0, 0) })
        let exact = left.doubles.reduce(0) { $0 + $1 * $1 }
        #expect(abs(squares - exact) <= 1e-12 * exact)
    }

    private static func gelu(_ x: Double) -> Double {
        x / (1 + referenceExponential(-2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    @Test("GELU and its slope", arguments: [1, 16, 23, 300])
    func gelu(columns: Int) {
        let (inputs, bias) = (OwnedMatrix(4, columns, seed: 4, in: -6...6), OwnedMatrix(1, columns, seed: 5))
        let biases = bias.doubles
        for hasBias in [false, true] {
            let results = onEverySet { set in
                let (slopes, outputs) = (OwnedMatrix(copying: inputs), OwnedMatrix(4, columns))
                set.gelu(slopes.matrix, bias: hasBias ? bias.matrix : nil, into: outputs.matrix)
                return [outputs.values, slopes.values]
            }
            let points = inputs.doubles.enumerated().map { $1 + (hasBias ? biases[$0 % columns] : 0) }
            #expect(relativeError(results[0], points.map(Self.gelu)) < 1e-6)
            let slopes = points.map { (Self.gelu($0 + 1e-5) - Self.gelu($0 - 1e-5)) / 2e-5 }
            #expect(relativeError(results[1], slopes) < 1e-6)
        }
    }

    @Test("GELU far out: x itself, or nothing; NaN stays NaN")
    func geluFarOut() {
        let results = onEverySet { set in
            let (inputs, outputs) = (OwnedMatrix(1, 5) { [30, -30, 1e4, -1e4, 0][$0] }, OwnedMatrix(1, 5))
            set.gelu(inputs.matrix, into: outputs.matrix)
            return [outputs.values, inputs.values]
        }
        #expect(results[0][0] == 30 && results[0][2] == 1e4 && results[0][4] == 0)
        #expect(abs(results[0][1]) < 1e-30 && abs(results[0][3]) < 1e-30)
        #expect(results[1][0] == 1 && abs(results[1][1]) < 1e-30 && results[1][4] == 0.5)
        let (inputs, outputs) = (OwnedMatrix(1, 2), OwnedMatrix(1, 2))
        Elements.chosen.gelu(inputs.matrix, into: outputs.matrix)
        #expect(outputs.values.allSatisfy { $0.isNaN })
    }

    private static func softmax(_ values: [Double], _ scale: Double) -> [Double] {
        let exponentials = values.map { referenceExponential($0 * scale) }
        let sum = exponentials.reduce(0, +)
        return exponentials.map { $0 / sum }
    }

    @Test("softmax of rows and its gradient", arguments: [(1, 1), (3, 10), (16, 16), (128, 64), (10, 5)], [false, true])
    func softmax(shape: (rows: Int, columns: Int), isCausal: Bool) {
        let (rows, columns) = shape
        let (scores, slopes) = (OwnedMatrix(rows, columns, seed: 6, in: -9...9), OwnedMatrix(rows, columns, seed: 7))
        let results = onEverySet { set in
            let probabilities = OwnedMatrix(copying: scores)
            let gradient = OwnedMatrix(copying: slopes)
            set.softmax(probabilities.matrix, scale: 0.25, isCausal: isCausal)
            set.softmax(gradient: gradient.matrix, probabilities: probabilities.matrix, scale: 0.25, isCausal: isCausal)
            return [probabilities.values, gradient.values]
        }
        var (probabilities, gradient): ([Double], [Double]) = ([], [])
        for row in 0..<rows {
            let used = isCausal ? row % columns + 1 : columns
            let (point, weights) = (Array(scores.row(row).prefix(used)), Array(slopes.row(row).prefix(used)))
            let rest = [Double](repeating: 0, count: columns - used)
            probabilities += Self.softmax(point, 0.25) + rest
            gradient += numericalGradient(at: point, weights: weights) { Self.softmax($0, 0.25) } + rest
        }
        #expect(relativeError(results[0], probabilities) < 1e-6)
        // A softmax over one value has no slope at all.
        #expect(zip(results[1], gradient).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    }

    @Test("a score far below the largest has no part; NaN spoils its row alone")
    func softmaxExtremes() {
        let matrix = OwnedMatrix(3, 2) { [1000, -1000, .nan, 0, 3, 3][$0] }
        Elements.chosen.softmax(matrix.matrix, scale: 1, isCausal: false)
        #expect(matrix.values.prefix(2) == [1, 0] && matrix.values.suffix(2) == [0.5, 0.5])
        #expect(matrix.values[2].isNaN && matrix.values[3].isNaN)
    }

    @Test("drop-out: the rate asked for, by key and place alone, undone by nothing")
    func dropOut() {
        let count = 20_011
        func dropped(_ set: Elements, key: UInt64, rate: Float) -> [Float] {
            let values = OwnedMatrix(1, count) { _ in 2 }
            set.drop(values.matrix, rate: rate, key: key)
            return values.values
        }
        let results = onEverySet { set in
            [
                dropped(set, key: 1, rate: 0.25), dropped(set, key: 1, rate: 0.25), dropped(set, key: 2, rate: 0.25),
                dropped(set, key: 1 << 32, rate: 0.25), dropped(set, key: 9, rate: 0),
            ]
        }
        #expect(results[0] == results[1] && results[0] != results[2] && results[0] != results[3] && results[2] != results[3])
        for result in results.prefix(4) {
            #expect(result.allSatisfy { $0 == 0 || $0 == 2 / 0.75 })
            // Seven standard deviations.
            #expect(abs(Double(result.count { $0 == 0 }) / Double(count) - 0.25) < 0.022)
        }
        // Neither neighbours nor keys go together.
        let both = zip(results[0], results[0].dropFirst()).count { $0 == 0 && $1 == 0 }
        let sameInTwo = zip(results[0], results[2]).count { $0 == 0 && $1 == 0 }
        for joint in [both, sameInTwo] { #expect(abs(Double(joint) / Double(count) - 0.0625) < 0.013) }
        #expect(results[4].allSatisfy { $0 == 2 })
    }

    @Test("rows of a table, there and back", arguments: [1, 16, 37])
    func embedding(columns: Int) {
        let table = OwnedMatrix(5, columns, seed: 8)
        let indices: [Int32] = [4, 0, 4, 2, 4, 0]
        let slopes = OwnedMatrix(indices.count, columns, seed: 9)
        let values = slopes.values
        let results = onEverySet { set in
            let (rows, gradient) = (OwnedMatrix(indices.count, columns), OwnedMatrix(5, columns) { _ in 0 })
            // SAFETY: the indices outlive both calls.
            unsafe indices.withUnsafeBufferPointer { indices in
                unsafe set.gather(indices, of: table.matrix, into: rows.matrix)
                unsafe set.scatter(slopes.matrix, to: indices, of: gradient.matrix)
            }
            return [rows.values, gradient.values]
        }
        let gathered: [[Double]] = indices.map { table.row(Int($0)) }
        #expect(results[0].map(Double.init) == Array(gathered.joined()))
        var gradient = [Float](repeating: 0, count: 5 * columns)
        for (row, index) in indices.enumerated() {
            for column in 0..<columns { gradient[Int(index) * columns + column] += values[row * columns + column] }
        }
        #expect(results[1] == gradient)
    }
}
