import Testing

@testable import Trainer

/// A matrix with memory of its own.
struct OwnedMatrix {
    let memory: FloatBuffer
    let matrix: Matrix

    init(_ rows: Int, _ columns: Int, _ value: (Int) -> Float) {
        memory = FloatBuffer(count: rows * columns)
        matrix = memory.matrix(rows: rows, columns: columns)
        matrix.fill(value)
    }

    init(copying other: OwnedMatrix) {
        let values = other.values
        self.init(other.matrix.rows, other.matrix.columns) { values[$0] }
    }

    /// Nothing that a kernel may read.
    init(_ rows: Int, _ columns: Int) { self.init(rows, columns) { _ in .nan } }

    /// Uniform in `range`.
    init(_ rows: Int, _ columns: Int, seed: UInt64, in range: ClosedRange<Float> = -2...2) {
        var generator = SeededGenerator(seed: seed, purpose: .parameters)
        self.init(rows, columns) { _ in generator.uniform(range.lowerBound, range.upperBound) }
    }

    /// A copy, of all of it: not for the inside of a loop.
    var values: [Float] { matrix.values }
    var doubles: [Double] { values.map(Double.init) }
    func row(_ index: Int) -> [Double] { Array(doubles[index * matrix.columns..<(index + 1) * matrix.columns]) }
    func column(_ index: Int) -> [Double] {
        // SAFETY: this value holds the memory, which has rows * columns values.
        (0..<matrix.rows).map { unsafe Double(matrix.base[$0 * matrix.columns + index]) }
    }
}

/// What every instruction set makes of the same inputs: the same bits, which are returned.
func onEverySet(_ body: (Elements) -> [[Float]]) -> [[Float]] {
    let results = Elements.available.map { ($0, body($0)) }
    let expected = results[results.count - 1].1
    for (set, result) in results {
        #expect(result.map { $0.map(\.bitPattern) } == expected.map { $0.map(\.bitPattern) }, "\(set) has bits of its own")
    }
    return expected
}

/// Central differences of sum(weights * function(x)) by each element of x.
func numericalGradient(at point: [Double], weights: [Double], of function: ([Double]) -> [Double]) -> [Double] {
    let step = 1e-5
    func value(_ point: [Double]) -> Double { zip(function(point), weights).reduce(0) { $0 + $1.0 * $1.1 } }
    return point.indices.map { index in
        var (above, below) = (point, point)
        above[index] += step
        below[index] -= step
        return (value(above) - value(below)) / (2 * step)
    }
}
