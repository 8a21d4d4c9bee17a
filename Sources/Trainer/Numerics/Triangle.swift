internal import CTiles

/// Products with lower triangles, of which causal attention consists: position r sees positions 0...r only, so half of each product need not be computed.
///
/// Triangles are dense matrices of size x size; the other matrices have as many rows, which may lie apart. Nothing overlaps. The products need some scratch
/// memory, which others may use in between. CPUs with AVX2 and with AVX-512 give the same bits; older ones round twice where those round once.
// SAFETY (whole file): a set is a constant of the program; whoever calls keeps its matrices' memory alive, and shapes are checked here.
@safe
struct Triangle {
    let size: Int
    let columns: Int
    private let set: UnsafePointer<TileSet>

    private var shape: TriangleShape { TriangleShape(size: size, columns: columns) }
    /// How many floats of scratch each product may need.
    var scratchCount: Int { unsafe withUnsafePointer(to: shape) { unsafe triangle_scratch($0) } }

    /// - Parameter columns: of the matrices that are no triangles: a head's size.
    init(size: Int, columns: Int) { unsafe self.init(size: size, columns: columns, set: tile_set_chosen()) }

    @unsafe
    private init(size: Int, columns: Int, set: UnsafePointer<TileSet>) {
        invariant(size > 0 && columns > 0, "a triangle of \(size), and matrices of \(columns) columns")
        (self.size, self.columns) = (size, columns)
        unsafe self.set = set
    }

    /// The same by each instruction set of this processor, best first. For tests.
    var bySet: [(name: String, triangle: Triangle)] {
        var all: [(name: String, triangle: Triangle)] = []
        while let set = unsafe tile_set_at(all.count) {
            unsafe all.append((String(cString: set.pointee.name), Triangle(size: size, columns: columns, set: set)))
        }
        return all
    }

    /// lower = the lower triangle, with its diagonal, of left x right transposed; what is above it may be anything.
    func setLower(_ lower: Matrix, ofProduct left: Matrix, _ right: Matrix, scratch: FloatBuffer) {
        check(lower, left, right, scratch)
        var shape = shape
        unsafe set.pointee.lower_of_product(&shape, rows(of: left), rows(of: right), lower.dense, scratch.values.baseAddress!)
    }

    /// result = lower x right, where the triangle is 0 above its diagonal.
    func setProduct(_ result: Matrix, of lower: Matrix, _ right: Matrix, scratch: FloatBuffer) {
        check(lower, result, right, scratch)
        var shape = shape
        let target = unsafe MutableRows(values: result.base, stride: result.stride)
        unsafe set.pointee.lower_times(&shape, lower.dense, rows(of: right), target, scratch.values.baseAddress!)
    }

    /// result = lower transposed x right.
    func setProduct(_ result: Matrix, ofTransposed lower: Matrix, _ right: Matrix, scratch: FloatBuffer) {
        check(lower, result, right, scratch)
        var shape = shape
        let target = unsafe MutableRows(values: result.base, stride: result.stride)
        unsafe set.pointee.lower_transposed_times(&shape, lower.dense, rows(of: right), target, scratch.values.baseAddress!)
    }

    private func rows(of matrix: Matrix) -> Rows { unsafe Rows(values: matrix.base, stride: matrix.stride) }

    private func check(_ lower: Matrix, _ first: Matrix, _ second: Matrix, _ scratch: FloatBuffer) {
        invariant(
            lower.rows == size && lower.columns == size && first.rows == size && first.columns == columns && second.hasShape(of: first),
            "a triangle of \(size) and matrices of \(columns) columns are not \(lower.rows) x \(lower.columns), \(first.rows) x \(first.columns)"
        )
        invariant(scratch.count >= scratchCount, "\(scratch.count) floats of scratch, where \(scratchCount) are needed")
    }
}
