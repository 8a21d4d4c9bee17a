import Testing

@testable import Trainer

/// Against functions in double, whose derivatives are taken numerically; and the same bits on every instruction set.
@Suite("Elements: normalisation")
struct NormalisationElementsTests {
    private static func normalised(_ values: [Double], _ epsilon: Double) -> [Double] {
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        return values.map { ($0 - mean) / (variance + epsilon).squareRoot() }
    }

    @Test("layer norm and its gradients", arguments: [(1, 5), (3, 16), (7, 33), (4, 128)])
    func layerNorm(shape: (rows: Int, columns: Int)) {
        let (rows, columns) = shape
        let (inputs, slopes) = (OwnedMatrix(rows, columns, seed: 1, in: 1...4), OwnedMatrix(rows, columns, seed: 2))
        let (gamma, beta) = (OwnedMatrix(1, columns, seed: 3), OwnedMatrix(1, columns, seed: 4))
        let (gammas, betas) = (gamma.doubles, beta.doubles)
        for isAccumulating in [false, true] {
            let before = OwnedMatrix(rows, columns, seed: 5)
            let results = onEverySet { set in
                let (outputs, means, inverses) = (OwnedMatrix(rows, columns), OwnedMatrix(1, rows), OwnedMatrix(1, rows))
                let gradient = isAccumulating ? OwnedMatrix(copying: before) : OwnedMatrix(rows, columns)
                let (gammaGradient, betaGradient) = (OwnedMatrix(1, columns), OwnedMatrix(1, columns))
                set.normaliseRows(
                    inputs.matrix, gamma: gamma.matrix, beta: beta.matrix, epsilon: 1e-5, means: means.matrix, inverses: inverses.matrix,
                    into: outputs.matrix)
                set.normaliseRows(
                    gradient: slopes.matrix, inputs: inputs.matrix, gamma: gamma.matrix, means: means.matrix, inverses: inverses.matrix,
                    inputGradient: gradient.matrix, isAccumulating: isAccumulating, gammaGradient: gammaGradient.matrix,
                    betaGradient: betaGradient.matrix)
                return [outputs.values, gradient.values, gammaGradient.values, betaGradient.values]
            }
            func layer(_ row: [Double]) -> [Double] {
                Self.normalised(row, 1e-5).enumerated().map { $1 * gammas[$0] + betas[$0] }
            }
            #expect(relativeError(results[0], (0..<rows).flatMap { layer(inputs.row($0)) }) < 2e-6)
            var gradient = (0..<rows).flatMap { numericalGradient(at: inputs.row($0), weights: slopes.row($0), of: layer) }
            if isAccumulating { gradient = zip(gradient, before.doubles).map { $0 + $1 } }
            #expect(relativeError(results[1], gradient) < 5e-6)
            let products = (0..<rows).map { zip(Self.normalised(inputs.row($0), 1e-5), slopes.row($0)).map { $0 * $1 } }
            #expect(relativeError(results[2], (0..<columns).map { column in products.reduce(0) { $0 + $1[column] } }) < 5e-6)
            #expect(relativeError(results[3], (0..<columns).map { slopes.column($0).reduce(0, +) }) < 5e-6)
        }
    }

    @Test("columns' sums and sums of squares, of many rows too", arguments: [(1, 1), (3, 16), (70, 40), (20_003, 17)])
    func moments(shape: (rows: Int, columns: Int)) {
        let matrix = OwnedMatrix(shape.rows, shape.columns, seed: 6, in: 0...2)
        let results = onEverySet { set in
            let (sums, squares) = (OwnedMatrix(1, shape.columns), OwnedMatrix(1, shape.columns))
            set.columnMoments(of: matrix.matrix, sums: sums.matrix, squares: squares.matrix)
            return [sums.values, squares.values]
        }
        let columns = (0..<shape.columns).map(matrix.column)
        #expect(relativeError(results[0], columns.map { $0.reduce(0, +) }) < 1e-6)
        #expect(relativeError(results[1], columns.map { $0.reduce(0) { $0 + $1 * $1 } }) < 1e-6)
    }

    /// Batch norm of the columns, with an addend and ReLU if they are wanted.
    private struct Column {
        var (gamma, beta): (Double, Double)
        var addend: [Double]?
        var isRectified: Bool

        func callAsFunction(_ values: [Double]) -> [Double] {
            var result = normalised(values, 1e-3).map { $0 * gamma + beta }
            if let addend { result = zip(result, addend).map { $0 + $1 } }
            return isRectified ? result.map { max($0, 0) } : result
        }
    }

    @Test("batch norm and its gradients, with what is fused into it", arguments: [(5, 1), (9, 16), (67, 35)], [false, true])
    func batchNorm(shape: (rows: Int, columns: Int), isFused: Bool) {
        let (rows, columns) = shape
        let (inputs, slopes) = (OwnedMatrix(rows, columns, seed: 7, in: 1...4), OwnedMatrix(rows, columns, seed: 8))
        let (gamma, beta) = (OwnedMatrix(1, columns, seed: 9), OwnedMatrix(1, columns, seed: 10))
        let addend = OwnedMatrix(rows, columns, seed: 11)
        let results = onEverySet { set in
            let (means, inverses) = (OwnedMatrix(1, columns), OwnedMatrix(1, columns))
            set.columnMoments(of: inputs.matrix, sums: means.matrix, squares: inverses.matrix)
            let (sums, squares) = (means.doubles, inverses.doubles)
            means.matrix.fill { Float(sums[$0] / Double(rows)) }
            inverses.matrix.fill { column in
                let mean = sums[column] / Double(rows)
                return Float(1 / (squares[column] / Double(rows) - mean * mean + 1e-3).squareRoot())
            }
            let moments = ColumnMoments(means: means.matrix, inverses: inverses.matrix, gamma: gamma.matrix)
            let (outputs, gradient) = (OwnedMatrix(rows, columns), OwnedMatrix(copying: slopes))
            let (gammaGradient, betaGradient) = (OwnedMatrix(1, columns), OwnedMatrix(1, columns))
            set.normaliseColumns(
                inputs.matrix, by: moments, beta: beta.matrix, adding: isFused ? addend.matrix : nil, isRectified: isFused,
                into: outputs.matrix)
            set.normaliseColumns(
                gradient: gradient.matrix, inputs: inputs.matrix, by: moments, outputs: isFused ? outputs.matrix : nil,
                gammaGradient: gammaGradient.matrix, betaGradient: betaGradient.matrix)
            let addendGradient = gradient.values
            set.normaliseColumns(
                gradient: gradient.matrix, inputs: inputs.matrix, by: moments, gammaGradient: gammaGradient.matrix,
                betaGradient: betaGradient.matrix, count: rows, inputGradient: gradient.matrix)
            return [outputs.values, gradient.values, gammaGradient.values, betaGradient.values, addendGradient]
        }
        let layers = (0..<columns).map {
            Column(
                gamma: gamma.doubles[$0], beta: beta.doubles[$0], addend: isFused ? addend.column($0) : nil, isRectified: isFused)
        }
        func rowMajor(_ columns: [[Double]]) -> [Double] { (0..<rows).flatMap { row in columns.map { $0[row] } } }
        let outputs = (0..<columns).map { layers[$0](inputs.column($0)) }
        #expect(relativeError(results[0], rowMajor(outputs)) < 5e-5)
        let kept = (0..<columns).map { column in
            zip(slopes.column(column), outputs[column]).map { !isFused || $1 > 0 ? $0 : 0 }
        }
        #expect(relativeError(results[4], rowMajor(kept)) == 0)
        #expect(relativeError(results[3], kept.map { $0.reduce(0, +) }) < 5e-5)
        let products = (0..<columns).map { column in
            zip(Self.normalised(inputs.column(column), 1e-3), kept[column]).reduce(0) { $0 + $1.0 * $1.1 }
        }
        #expect(relativeError(results[2], products) < 5e-5)
        let gradient = (0..<columns).map { column in
            numericalGradient(at: inputs.column(column), weights: slopes.column(column)) { layers[column]($0) }
        }
        #expect(relativeError(results[1], rowMajor(gradient)) < 5e-5)
    }
}
