import Testing

@testable import Trainer

@Suite("Matrix products")
struct MatrixProductTests {
    /// left x right in double.
    private func product(_ left: Matrix.Operand, _ right: Matrix.Operand) -> [Double] {
        func value(_ side: Matrix.Operand, _ row: Int, _ column: Int) -> Double {
            // SAFETY: the tests hold the memory, and ask for places inside the matrices.
            unsafe Double(side.matrix.base[side.isTransposed ? column * side.matrix.stride + row : row * side.matrix.stride + column])
        }
        var result: [Double] = []
        for row in 0..<left.rows {
            for column in 0..<right.columns {
                result.append((0..<left.columns).reduce(0) { $0 + value(left, row, $1) * value(right, $1, column) })
            }
        }
        return result
    }

    private func values(of matrix: Matrix) -> [Float] {
        // SAFETY: the tests hold the memory.
        (0..<matrix.count).map { unsafe matrix.base[$0 / matrix.columns * matrix.stride + $0 % matrix.columns] }
    }

    @Test(
        "plain and transposed, scaled, set and added", arguments: [(1, 1, 1), (1, 9, 5), (7, 3, 20), (33, 65, 17), (64, 64, 32)],
        [(false, false), (true, false), (false, true), (true, true)])
    func products(shape: (rows: Int, columns: Int, depth: Int), isTransposed: (Bool, Bool)) {
        let (rows, columns, depth) = shape
        let left = isTransposed.0 ? OwnedMatrix(depth, rows, seed: 1) : OwnedMatrix(rows, depth, seed: 1)
        let right = isTransposed.1 ? OwnedMatrix(columns, depth, seed: 2) : OwnedMatrix(depth, columns, seed: 2)
        let sides = (
            isTransposed.0 ? left.matrix.transposed : left.matrix.plain, isTransposed.1 ? right.matrix.transposed : right.matrix.plain
        )
        let expected = product(sides.0, sides.1)
        let target = OwnedMatrix(rows, columns)
        target.matrix.setProduct(sides.0, sides.1)
        #expect(relativeError(target.values, expected) < 1e-5)
        target.matrix.setProduct(sides.0, sides.1, scale: 0.5, accumulating: true)
        #expect(relativeError(target.values, expected.map { $0 * 1.5 }) < 1e-5)
    }

    @Test("parts of matrices, in place: a head of attention touches its own columns only")
    func parts() {
        let (all, target) = (OwnedMatrix(10, 24, seed: 3), OwnedMatrix(10, 16) { Float($0) })
        let query = all.matrix.part(rows: 2..<8, columns: 0..<8)
        let key = all.matrix.part(rows: 2..<8, columns: 8..<16)
        let head = target.matrix.part(rows: 1..<7, columns: 5..<11)
        head.setProduct(query.plain, key.transposed)
        #expect(relativeError(values(of: head), product(query.plain, key.transposed)) < 1e-5)
        let untouched = target.values.indices.filter { !(1..<7).contains($0 / 16) || !(5..<11).contains($0 % 16) }
        let values = target.values
        #expect(untouched.allSatisfy { values[$0] == Float($0) })
        // A part of a part.
        #expect(self.values(of: head.part(rows: 2..<3, columns: 4..<6)) == Array(values[3 * 16 + 9..<3 * 16 + 11]))
    }

    @Test("rows of another length have the same values in the same memory")
    func reshaped() {
        let matrix = OwnedMatrix(4, 6) { Float($0) }
        let other = matrix.matrix.part(rows: 1..<3).reshaped(rows: 4, columns: 3)
        #expect(other.rows == 4 && other.columns == 3 && values(of: other) == (6..<18).map(Float.init))
    }

    @Test("a sum of nothing is 0, and adds nothing: a rank without samples must not keep its old gradient")
    func noDepth() {
        let nothing = FloatBuffer(count: 0)
        let target = OwnedMatrix(3, 4) { _ in 7 }
        let sides = (nothing.matrix(rows: 0, columns: 3).transposed, nothing.matrix(rows: 0, columns: 4).plain)
        target.matrix.setProduct(sides.0, sides.1, accumulating: true)
        #expect(target.values.allSatisfy { $0 == 7 })
        let part = target.matrix.part(columns: 1..<3)
        part.setProduct(nothing.matrix(rows: 0, columns: 3).transposed, nothing.matrix(rows: 0, columns: 2).plain)
        #expect(target.values == (0..<12).map { (1..<3).contains($0 % 4) ? 0 : 7 })
        target.matrix.setProduct(sides.0, sides.1)
        #expect(target.values.allSatisfy { $0 == 0 })
        // No rows, no columns: nothing to do.
        nothing.matrix(rows: 0, columns: 4).setProduct(nothing.matrix(rows: 0, columns: 3).plain, OwnedMatrix(3, 4).matrix.plain)
        let sums = OwnedMatrix(1, 4)
        Elements.chosen.sumColumns(of: nothing.matrix(rows: 0, columns: 4), into: sums.matrix)
        #expect(sums.values == [0, 0, 0, 0])
    }
}
